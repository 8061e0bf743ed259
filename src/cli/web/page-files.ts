/** The files that the page is made of: its own scripts, noVNC and xterm.js. Nothing else can be asked for. */
import { readdir, readFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { PAGE_STYLE } from "./page-html.ts";

const PAGE = fileURLToPath(new URL("../../page/", import.meta.url));
const KINDS: Readonly<Record<string, string>> = {
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".ts": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
};

export interface PageFile {
  readonly type: string;
  read(): Promise<Uint8Array | string>;
}

export interface PageFiles {
  /** By their addresses beside the document. */
  readonly files: ReadonlyMap<string, PageFile>;
  readonly script: string;
  readonly imports: Readonly<Record<string, string>>;
}

export async function findPageFiles(): Promise<PageFiles> {
  const files = new Map<string, PageFile>();
  const add = (address: string, read: PageFile["read"]) =>
    files.set(address, { type: KINDS[path.extname(address)] as string, read });
  add("style.css", async () => PAGE_STYLE);

  let script = "";
  for (const name of await readdir(PAGE)) {
    if (!/^[\w-]+\.[jt]s$/.test(name)) continue;
    if (name.startsWith("main.")) script = `page/${name}`;
    const source = () => readFile(path.join(PAGE, name), "utf8");
    // A clone has the scripts as TypeScript, the published package as JavaScript.
    add(`page/${name}`, name.endsWith(".ts") ? async () => stripTypeScriptTypes(await source()) : source);
  }

  const novnc = path.dirname(path.dirname(fileURLToPath(import.meta.resolve("@novnc/novnc"))));
  for (const folder of ["core", "vendor"]) {
    for (const name of await readdir(path.join(novnc, folder), { recursive: true })) {
      if (name.endsWith(".js")) {
        add(`novnc/${folder}/${name.split(path.sep).join("/")}`, () => readFile(path.join(novnc, folder, name)));
      }
    }
  }
  const xterm = path.dirname(path.dirname(fileURLToPath(import.meta.resolve("@xterm/xterm"))));
  add("xterm/xterm.mjs", () => readFile(path.join(xterm, "lib", "xterm.mjs")));
  add("xterm/xterm.css", () => readFile(path.join(xterm, "css", "xterm.css")));
  return {
    files,
    script,
    imports: { "@novnc/novnc": "./novnc/core/rfb.js", "@xterm/xterm": "./xterm/xterm.mjs" },
  };
}
