/** The page's document. What it does is in src/page/. */
import { LAYOUTS } from "../../vm/input/layouts.ts";

export interface PageParts {
  readonly name: string;
  /** The page's script, by its address beside the document. */
  readonly script: string;
  /** Where packages are, by their names, beside the document. */
  readonly imports: Readonly<Record<string, string>>;
  /** What lets the document's own import map pass its security policy. */
  readonly nonce: string;
}

const escaped = (text: string) => text.replaceAll(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

export function pageHtml({ name, script, imports, nonce }: PageParts): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escaped(name)} – Bunkhouse</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="xterm/xterm.css">
<link rel="stylesheet" href="style.css">
<script type="importmap" nonce="${nonce}">${JSON.stringify({ imports })}</script>
<script type="module" src="${script}"></script>
</head>
<body>
<header>
<strong>${escaped(name)}</strong>
<button id="show-screen" aria-pressed="true">Screen</button>
<button id="show-serial" aria-pressed="false">Serial console</button>
<button id="ctrl-alt-delete">Ctrl-Alt-Del</button>
<button id="show-paste">Type text…</button>
<button id="capture" title="Escape gives it back">Give the mouse to the guest</button>
<a href="screenshot.png" download="${escaped(name)}.png">Screenshot</a>
<button id="full-screen">Full screen</button>
<span id="status" role="status">connecting…</span>
</header>
<main id="views">
<div id="screen"></div>
<div id="serial" hidden></div>
</main>
<dialog id="paste">
<p><label for="paste-text">Text for the guest, which is typed on its keyboard:</label></p>
<textarea id="paste-text" rows="12" cols="72" spellcheck="false"></textarea>
<p>
<label>The guest's layout: <select id="paste-layout">${LAYOUTS.map((layout) => `<option>${layout}</option>`).join("")}</select></label>
<button id="paste-type">Type it</button>
<button id="paste-cancel">Close</button>
</p>
<p id="paste-problem" role="status"></p>
</dialog>
</body>
</html>
`;
}

export const PAGE_STYLE = `
html, body { height: 100%; margin: 0; }
body { display: flex; flex-direction: column; background: #202124; color: #e8eaed; font: 14px system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; gap: 0.5em; align-items: center; padding: 0.5em; }
header button, header a, dialog button {
  font: inherit; color: inherit; background: #3c4043; border: 1px solid #5f6368; border-radius: 4px;
  padding: 0.25em 0.75em; text-decoration: none; cursor: pointer;
}
header button[aria-pressed="true"] { background: #1a5fb4; }
#status { margin-left: auto; color: #9aa0a6; }
main { flex: 1; min-height: 0; position: relative; background: #000; }
#screen, #serial { position: absolute; inset: 0; }
#serial { padding: 8px; overflow: auto; }
[hidden] { display: none; }
dialog { background: #292a2d; color: inherit; border: 1px solid #5f6368; border-radius: 6px; }
textarea { font: 13px monospace; background: #202124; color: inherit; }
`;
