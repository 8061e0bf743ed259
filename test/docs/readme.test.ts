/** What README.md says, tried. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { test } from "node:test";
import { promisify } from "node:util";
import { parseCommandLine } from "../../src/cli/command-line.ts";
import { catalogueGuest } from "../guest/catalogue-guest.ts";
import { blocksOf, ROOT } from "./guide.ts";

const README = readFileSync(path.join(ROOT, "README.md"), "utf8");

test("the options in README.md are those of bunk run", () => {
  const help = parseCommandLine(["run", "--help"], { version: "0", columns: 100 });
  assert.ok(help.verb === "print");
  const offered = [...help.text.matchAll(/^ {2}(--[\w-]+)/gm)].map(([, name]) => name);
  const described = [...README.matchAll(/^\| `(--[\w-]+)/gm)].map(([, name]) => name);
  assert.deepEqual(described, offered);
});

test("the library's example in README.md prints what README.md says", async (t) => {
  const guest = await catalogueGuest(t, "debian");
  if (!guest) return;
  const [example] = blocksOf(README);
  assert.equal(example?.file, "example.ts");
  const directory = mkdtempSync(path.join(tmpdir(), "bunkhouse-readme-"));
  t.after(() => rmSync(directory, { recursive: true }));
  mkdirSync(path.join(directory, "node_modules"));
  symlinkSync(ROOT, path.join(directory, "node_modules/bunkhouse"), "dir");
  symlinkSync(guest.kernel, path.join(directory, "kernel"));
  symlinkSync(guest.initrd, path.join(directory, "initrd"));
  writeFileSync(path.join(directory, "package.json"), '{ "type": "module" }');
  writeFileSync(path.join(directory, "example.ts"), example.text);
  // The sources as they are, not as they were when the package was last built.
  const args = ["--conditions=bunkhouse-source", "example.ts"];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: directory });
  const said = /It prints `(.*)` and `(.*)`\./.exec(README);
  assert.equal(stdout, `${said?.[1]}\n${said?.[2]}\n`);
});
