/** The page of a machine: its screen, its serial console, and what can be done to it. Served by `bunk run --display web`. */
import { Control } from "./control.ts";
import { PointerCapture } from "./pointer-capture.ts";
import { Screen } from "./screen.ts";
import { SerialConsole } from "./serial-console.ts";

function element<E extends HTMLElement>(id: string, kind: new () => E): E {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
}

/** An address beside the page's own, for a WebSocket. */
function address(path: string): string {
  const url = new URL(path, location.href);
  url.protocol = "ws:";
  return url.href;
}

const status = element("status", HTMLElement);
const screenView = element("screen", HTMLElement);
const control = new Control(address("control"));
const screen = new Screen(screenView, address("screen"), (text) => {
  status.textContent = text;
});
const serial = new SerialConsole(element("serial", HTMLElement), address("serial"));
// Motion must not wait for text that is typed.
const capture = new PointerCapture(screenView, new Control(address("control")));

const views = ["screen", "serial"] as const;
for (const view of views) {
  element(`show-${view}`, HTMLButtonElement).addEventListener("click", () => {
    for (const other of views) {
      element(other, HTMLElement).hidden = other !== view;
      element(`show-${other}`, HTMLButtonElement).setAttribute("aria-pressed", String(other === view));
    }
    if (view === "screen") screen.focus();
    else serial.focus();
  });
}

element("ctrl-alt-delete", HTMLButtonElement).addEventListener("click", () => screen.sendCtrlAltDel());
element("capture", HTMLButtonElement).addEventListener("click", () => {
  capture.start();
  screen.focus();
});
element("full-screen", HTMLButtonElement).addEventListener("click", () => {
  if (document.fullscreenElement) void document.exitFullscreen();
  else void element("views", HTMLElement).requestFullscreen();
  screen.focus();
});

const paste = element("paste", HTMLDialogElement);
const pasteText = element("paste-text", HTMLTextAreaElement);
const pasteProblem = element("paste-problem", HTMLElement);
element("show-paste", HTMLButtonElement).addEventListener("click", () => {
  pasteProblem.textContent = "";
  paste.showModal();
});
element("paste-cancel", HTMLButtonElement).addEventListener("click", () => paste.close());
element("paste-type", HTMLButtonElement).addEventListener("click", () => {
  const layout = element("paste-layout", HTMLSelectElement).value;
  pasteProblem.textContent = "typing…";
  control.ask({ verb: "type", text: pasteText.value, layout }).then(
    () => {
      pasteText.value = "";
      paste.close();
      screen.focus();
    },
    (error: Error) => {
      pasteProblem.textContent = error.message;
    },
  );
});
