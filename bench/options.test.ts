import assert from "node:assert/strict";
import { test } from "node:test";
import { parseOptions } from "./options.ts";

const NAMES = { workloads: ["integer", "boot"], machines: ["ours64", "qemu64"] };
const parse = (...args: string[]) => parseOptions(args, NAMES);

test("lists of names may be given with commas or several times", () => {
  const options = parse("--only", "integer,boot", "--machines", "ours64", "--machines", "qemu64");
  assert.ok(typeof options === "object");
  assert.deepEqual(options.only, ["integer", "boot"]);
  assert.deepEqual(options.machines, ["ours64", "qemu64"]);
});

test("a quick run has one round of the core workloads, unless workloads are named", () => {
  const quick = parse("--quick");
  assert.ok(typeof quick === "object");
  assert.deepEqual([quick.rounds, quick.core, quick.only], [1, true, undefined]);
  const named = parse("--quick", "--only", "boot", "--rounds", "4", "--duration", "2");
  assert.ok(typeof named === "object");
  assert.deepEqual([named.rounds, named.core, named.duration], [4, false, 2000]);
});

test("what makes no sense is said in one line", () => {
  assert.throws(() => parse("--only", "integr"), { message: "--only integr: the workloads are integer, boot" });
  assert.throws(() => parse("--machines", "vax"), { message: "--machines vax: the machines are ours64, qemu64" });
  assert.throws(() => parse("--rounds", "0"), { message: "--rounds 0: must be a whole number from 1 up" });
  assert.throws(() => parse("--rounds", "2.5"), { message: /^--rounds 2.5: / });
  assert.throws(() => parse("--duration", "long"), { message: /^--duration long: / });
  assert.throws(() => parse("--fast"));
});
