/**
 * The code blocks of a guide in `docs/`, and a copy of the sources in which they are carried out. What stands behind
 * the language of a block says what to do with it:
 *
 *     ts src/a/b.ts           is the new file src/a/b.ts
 *     diff src/a/b.ts         changes that file: lines with "-" become those with "+", the others stay
 *     ts quote src/a/b.ts     stands in that file, word for word
 *
 * Blocks with nothing behind the language are for reading.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

export const ROOT: string = fileURLToPath(new URL("../../", import.meta.url));

/** What a copy needs so that its types can be checked and its tests run. */
const COPIED = ["src", "test/conformance", "scripts", "bin", "catalogue", "package.json", "tsconfig.json"];

interface Block {
  readonly kind: "file" | "change" | "quote";
  /** Of the file, from the root of the sources. */
  readonly file: string;
  readonly text: string;
}

const BLOCK = /^```(\w+) (quote )?(\S+)\n([\s\S]*?)^```$/gm;

/** The blocks of `document` that are about a file, in order. */
export function blocksOf(document: string): Block[] {
  return [...document.matchAll(BLOCK)].map(([, language, quote, file = "", text = ""]) => ({
    kind: quote ? "quote" : language === "diff" ? "change" : "file",
    file,
    text,
  }));
}

/** `source` with the change made; fails where the lines to change are not there once. */
function changed(source: string, { file, text }: Block): string {
  const lines = text.trimEnd().split("\n");
  const pick = (dropped: string) =>
    lines
      .filter((line) => !line.startsWith(dropped))
      .map((line) => `${line.slice(1)}\n`)
      .join("");
  const [before, after] = [pick("+"), pick("-")];
  const places = source.split(before).length - 1;
  assert.equal(places, 1, `${file} has these lines ${places} times:\n${before}`);
  return source.replace(before, () => after);
}

/** Carries out the blocks of docs/`name` in a copy of the sources; checks the types of, and runs, what they make. */
export function follow(name: string): void {
  const blocks = blocksOf(readFileSync(path.join(ROOT, "docs", name), "utf8"));
  const copy = mkdtempSync(path.join(tmpdir(), "bunkhouse-guide-"));
  try {
    for (const part of COPIED) cpSync(path.join(ROOT, part), path.join(copy, part), { recursive: true });
    symlinkSync(path.join(ROOT, "node_modules"), path.join(copy, "node_modules"), "dir");
    for (const block of blocks) carryOut(block, copy);
    const touched = [...new Set(blocks.filter(({ kind }) => kind !== "quote").map(({ file }) => file))];
    checkTypes(copy, touched);
    const tests = touched.filter((file) => file.endsWith(".test.ts"));
    const { status, output } = run(copy, ["--test", ...tests]);
    assert.equal(status, 0, output);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

function carryOut(block: Block, copy: string): void {
  const file = path.join(copy, block.file);
  if (block.kind === "file") {
    assert.ok(!existsSync(file), `${block.file} is there already: the guide needs another example`);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, block.text);
    return;
  }
  const source = readFileSync(file, "utf8");
  if (block.kind === "change") writeFileSync(file, changed(source, block));
  else assert.ok(source.includes(block.text), `${block.file} does not say:\n${block.text}`);
}

/** Fails with the type errors of `files`; those of others are not the guide's. */
function checkTypes(copy: string, files: readonly string[]): void {
  const project = { extends: "./tsconfig.json", files: [...files, "src/wasm/webassembly.d.ts"], include: [] };
  writeFileSync(path.join(copy, "guide.json"), JSON.stringify(project));
  const { output } = run(copy, ["node_modules/typescript/bin/tsc", "-p", "guide.json", "--pretty", "false"]);
  const errors = output.split("\n").filter((line) => files.some((file) => line.startsWith(`${file}(`)));
  assert.deepEqual(errors, []);
}

function run(directory: string, args: readonly string[]): { status: number | null; output: string } {
  // The test runner tells its children by a variable that they are such, and they then report in another format.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: directory, env, encoding: "utf8" });
  return { status, output: `${stdout}${stderr}` };
}
