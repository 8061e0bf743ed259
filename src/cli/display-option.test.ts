import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultDisplays, parseDisplay } from "./display-option.ts";

test("a page and VNC are on this host unless another address is given", () => {
  assert.deepEqual(parseDisplay("none"), { kind: "none" });
  assert.deepEqual(parseDisplay("web"), { kind: "web", address: { host: "127.0.0.1", port: 0 } });
  assert.deepEqual(parseDisplay("web=8080"), { kind: "web", address: { host: "127.0.0.1", port: 8080 } });
  assert.deepEqual(parseDisplay("web=[::1]:80"), { kind: "web", address: { host: "::1", port: 80 } });
  const vnc = (address: object, passwordFile?: string) => ({ kind: "vnc", address, passwordFile });
  assert.deepEqual(parseDisplay("vnc=5900"), vnc({ host: "127.0.0.1", port: 5900 }));
  assert.deepEqual(parseDisplay("vnc=localhost:0"), vnc({ host: "localhost", port: 0 }));
  assert.deepEqual(parseDisplay("vnc=unix:/run/a b.sock"), vnc({ path: "/run/a b.sock" }));
  assert.deepEqual(parseDisplay("vnc=unix:x,password-file=p,q"), vnc({ path: "x" }, "p,q"));
  assert.deepEqual(parseDisplay("vnc=0.0.0.0:5900,password-file=p"), vnc({ host: "0.0.0.0", port: 5900 }, "p"));
});

for (const [text, problem] of [
  ["", "--display  must be none, web, web=HOST:PORT, vnc=HOST:PORT or vnc=unix:PATH"],
  ["vnc", "--display vnc must be none, web, web=HOST:PORT, vnc=HOST:PORT or vnc=unix:PATH"],
  ["gtk", "--display gtk must be none, web, web=HOST:PORT, vnc=HOST:PORT or vnc=unix:PATH"],
  ["vnc=", '--display vnc=: "" must be HOST:PORT, such as vnc=127.0.0.1:5900; port 0 is any that is free'],
  [
    "vnc=unix:",
    '--display vnc=unix:: "unix:" must be HOST:PORT, such as vnc=127.0.0.1:5900; port 0 is any that is free',
  ],
  ["web=70000", '--display web=70000: "70000" must be HOST:PORT, such as web=8080; port 0 is any that is free'],
  ["vnc=1,password-file=", "--display vnc=1,password-file=: password-file needs the name of a file"],
  [
    "vnc=0.0.0.0:5900",
    "--display vnc=0.0.0.0:5900: others than this host reach 0.0.0.0; add ,password-file=FILE, whose first line is the password",
  ],
] as const) {
  test(`--display ${text} is refused with what to change`, () => {
    assert.throws(() => parseDisplay(text), { status: 64, message: problem });
  });
}

test("a page is shown by itself for a guest that starts on its screen, in a desktop's terminal", () => {
  const host = { startsOnScreen: true, environment: { DISPLAY: ":0" }, isTerminal: true };
  assert.deepEqual(defaultDisplays(host), [parseDisplay("web")]);
  assert.deepEqual(defaultDisplays({ ...host, environment: { WAYLAND_DISPLAY: "wayland-0" } }), [parseDisplay("web")]);
  assert.deepEqual(defaultDisplays({ ...host, environment: { DISPLAY: "" } }), []);
  assert.deepEqual(defaultDisplays({ ...host, isTerminal: false }), []);
  assert.deepEqual(defaultDisplays({ ...host, startsOnScreen: false }), []);
});
