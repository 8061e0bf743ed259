/** What the documents point at is there. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { ROOT } from "./guide.ts";

const DOCUMENTS = ["", "docs"].flatMap((folder) =>
  readdirSync(path.join(ROOT, folder))
    .filter((name) => name.endsWith(".md"))
    .map((name) => path.join(folder, name)),
);
const FOLDERS = readdirSync(ROOT, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== "node_modules")
  .map(({ name }) => name);
const SCRIPTS = Object.keys(JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8")).scripts);

/** Prose with its code spans; code blocks are left out where `blocks` is false. */
function textOf(document: string, { blocks }: { blocks: boolean }): string {
  const text = readFileSync(path.join(ROOT, document), "utf8");
  return blocks ? text : text.replaceAll(/^```[\s\S]*?^```$/gm, "");
}

for (const document of DOCUMENTS) {
  test(`the files that ${document} names exist`, () => {
    const text = textOf(document, { blocks: false });
    const links = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, to = ""]) => path.join(path.dirname(document), to));
    const spans = [...text.matchAll(/`([\w.-]+\/[\w./-]*)`/g)].map(([, span = ""]) => span);
    const paths = spans.filter((span) => FOLDERS.includes(span.slice(0, span.indexOf("/"))));
    const missing = [...links, ...paths].filter((file) => !existsSync(path.join(ROOT, file)));
    assert.deepEqual(missing, []);
  });

  test(`the npm scripts that ${document} names exist`, () => {
    const named = [...textOf(document, { blocks: true }).matchAll(/\bnpm (?:run (?:-s )?([\w-]+)|(start|test)\b)/g)];
    const unknown = named.map(([, run, short]) => run ?? short ?? "").filter((name) => !SCRIPTS.includes(name));
    assert.deepEqual(unknown, []);
  });
}
