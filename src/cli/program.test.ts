import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { bunk, startBunk } from "./testing/bunk.ts";
import { smallKernel } from "./testing/small-kernel.ts";

let directory = "";
before(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-cli-"));
});
after(() => rm(directory, { recursive: true }));

/** Options of a small machine with a small guest. */
const guest = async (program: Parameters<typeof smallKernel>[0], ...options: string[]) => [
  "run",
  "--kernel",
  await smallKernel(program, directory),
  "--memory",
  "16M",
  ...options,
];

test("bunk --help goes to standard output with status 0", async () => {
  const { status, output, errors } = await bunk(["--help"]);
  assert.match(output, /^Usage: bunk COMMAND/);
  assert.deepEqual([status, errors], [0, ""]);
});

test("a wrong option is one line on standard error, with status 64", async () => {
  assert.deepEqual(await bunk(["run", "debian", "--memroy", "1G"]), {
    status: 64,
    output: "",
    errors: "bunk: unknown option '--memroy'; did you mean --memory?\n",
  });
});

test("a kernel file that is none is refused with what it seems to be, with status 66", async () => {
  const file = path.join(directory, "kernel.txt");
  await writeFile(file, "This is no kernel.\n");
  const { status, errors } = await bunk(["run", "--kernel", file]);
  assert.equal(status, 66);
  assert.match(errors, /^bunk: .*kernel\.txt: not a kernel .*: the file seems to be a text file\n$/);
});

test("a guest's output and its debug-exit status come out", async () => {
  assert.deepEqual(await bunk(await guest("greet", "--debug-exit")), { status: 43, output: "Hi", errors: "" });
});

test("what is piped in reaches the guest, more than a serial port holds", async () => {
  const text = `${"0123456789".repeat(100)}.`;
  const { status, output } = await bunk(await guest("echo", "--debug-exit"), text);
  assert.deepEqual([status, output], [1, text]);
});

test("Ctrl-A X quits with status 0", async () => {
  const program = startBunk(await guest("wait"));
  await program.shows("on");
  program.process.stdin.write("\x01x");
  assert.equal((await program.ended).status, 0);
});

test("SIGTERM ends a machine whose input has ended, with status 143", async () => {
  const program = startBunk(await guest("wait"));
  program.process.stdin.end();
  await program.shows("on");
  program.process.kill("SIGTERM");
  assert.equal((await program.ended).status, 143);
});

test("a reset under --no-reboot ends with status 72 and its cause", async () => {
  const { status, errors } = await bunk(await guest("reset", "--no-reboot"));
  assert.deepEqual([status, errors], [72, "bunk: the guest asked for a reset (keyboard controller)\n"]);
});

test("a triple fault ends with status 70 and a report", async () => {
  const { status, errors } = await bunk(await guest("crash"));
  assert.equal(status, 70);
  assert.match(errors, /^bunk: the guest crashed, triple fault: .*\nRIP /);
});

test("--console FILE keeps the output, --console none drops it", async () => {
  const file = path.join(directory, "output.txt");
  const kept = await bunk(await guest("greet", "--debug-exit", "--console", file));
  assert.deepEqual([kept.status, kept.output, await readFile(file, "utf8")], [43, "", "Hi"]);
  const dropped = await bunk(await guest("greet", "--debug-exit", "--console", "none"));
  assert.deepEqual(dropped, { status: 43, output: "", errors: "" });
});

test("a reader that goes away ends the machine with status 74", async () => {
  const program = startBunk(await guest("flood"));
  await program.shows("y");
  program.process.stdout.destroy();
  const { status, errors } = await program.ended;
  assert.equal(status, 74);
  assert.match(errors, /^bunk: the machine was stopped, since its output has nowhere to go/);
});

test("a machine that runs is typed on by its name, and is gone with its end", async () => {
  const environment = { XDG_RUNTIME_DIR: directory };
  const program = startBunk(await guest("keys", "--name", "found"), undefined, environment);
  await program.shows("on");
  assert.deepEqual(await bunk(["sendkeys", "found", "ctrl-c", "--text", "a"], "", environment), {
    status: 0,
    output: "",
    errors: "",
  });
  await program.shows("on1e9e1d2eae9d");
  const other = await bunk(["sendkeys", "lost", "a"], "", environment);
  assert.equal(other.status, 69);
  assert.match(other.errors, /^bunk: no machine "lost" runs; there are found \(process \d+\)\n$/);
  program.process.stdin.write("\x01x");
  assert.equal((await program.ended).status, 0);
  assert.deepEqual(await readdir(path.join(directory, "bunkhouse")), []);
});

const RUNTIME = fileURLToPath(new URL("../../bin/node26.mjs", import.meta.url));

test("a program on the pinned runtime passes its status on", async () => {
  const { status } = await startBunk(["-e", "process.exit(7)"], RUNTIME).ended;
  assert.equal(status, 7);
});

test("a program on the pinned runtime gets the launcher's signals, and one that dies of a signal gives the shell's status", async () => {
  const program = startBunk(["-e", "setInterval(() => {}, 1000); console.log('up')"], RUNTIME);
  await program.shows("up");
  program.process.kill("SIGTERM");
  assert.equal((await program.ended).status, 143);
});

test("a program on the pinned runtime ends with a launcher that is killed", async () => {
  const program = startBunk(["-e", "setInterval(() => {}, 1000); console.log('up')"], RUNTIME);
  await program.shows("up");
  program.process.kill("SIGKILL");
  // "close" comes when nobody holds the output any more: the program has ended too.
  assert.equal((await program.ended).status, null);
});
