import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { busyKernel } from "../vm/tools/testing/busy-kernel.ts";
import { bunk, startBunk } from "./testing/bunk.ts";
import { smallKernel } from "./testing/small-kernel.ts";

let directory = "";
before(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-tools-"));
});
after(() => rm(directory, { recursive: true }));

const file = (name: string) => path.join(directory, name);

test("a profile, a trace and listings are there when the machine has ended", async () => {
  await writeFile(file("busy"), busyKernel().image);
  const options = ["--profile", file("profile"), "--trace", file("trace"), "--regions", file("regions")];
  const guest = ["run", "--kernel", file("busy"), "--memory", "16M", "--debug-exit", "--clock", "icount"];
  const { status, errors } = await bunk([...guest, ...options]);
  assert.deepEqual([status, errors], [43, ""]);
  assert.match(await readFile(file("profile"), "utf8"), /^Guest instructions\n {2}in regions/);
  assert.match(await readFile(file("trace"), "utf8"), /^\d+ exception 6 at [0-9a-f]+$/m);
  const [first = ""] = (await readdir(file("regions"))).sort();
  assert.match(first, /^0001-[0-9a-f]+\.txt$/);
  assert.match(
    await readFile(path.join(file("regions"), first), "utf8"),
    /^[0-9a-f]{6} {2}[0-9a-f]+ {2}mov eax,dword ptr \[esi\]$/m,
  );
});

test("a machine that its user ends with Ctrl-A X leaves its profile, on standard error if asked", async () => {
  const program = startBunk([
    ...["run", "--kernel", await smallKernel("wait", directory), "--memory", "16M"],
    ...["--profile", "-"],
  ]);
  await program.shows("on");
  program.process.stdin.write("\x01x");
  const { status, errors } = await program.ended;
  assert.equal(status, 0);
  assert.match(errors, /^Host time of the machine's thread, estimated/m);
  assert.match(errors, /^ {2}out 3f8 +2 {2}com1$/m);
});

test("a file that cannot be made is told before the guest starts", async () => {
  const guest = ["run", "--kernel", await smallKernel("greet", directory), "--debug-exit"];
  for (const option of ["--profile", "--trace"]) {
    const { status, output, errors } = await bunk([...guest, option, file("none/x")]);
    assert.deepEqual([status, output], [66, ""]);
    assert.match(errors, /^bunk: .*none\/x.*\n$/);
  }
});

test("listings go to a directory of their own", async () => {
  const guest = ["run", "--kernel", await smallKernel("greet", directory), "--debug-exit"];
  const { status, errors } = await bunk([...guest, "--regions", directory]);
  assert.equal(status, 66);
  assert.match(errors, /the directory must be empty/);
});
