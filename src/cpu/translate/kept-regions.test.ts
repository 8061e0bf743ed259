/** Regions that one processor made are used by another one, at other addresses, where the code is the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../../isa/assemble.ts";
import type { RegionSettings } from "../processor.ts";
import { BareMachine } from "../system/testing/bare-machine.ts";
import { KeptRegions } from "./kept-regions.ts";
import { type CompiledRegions, RegionCompiler, type RegionJob } from "./region-compiler.ts";
import type { RegionMaker } from "./translator.ts";

/** Offset of the program in its page: a part of it lies on the next one. */
const OFFSET = 0xfd0;
const DATA = 0x28_0000;
const ROUNDS = 500;
const PROGRAM = `
  again: call work
  mov [rdi], rax
  add rdi, 8
  cmp rdi, 0x280100
  jb over
  mov edi, 0x280000
  over: dec ecx
  jnz again
  ud2
  work: imul rax, rax, 0x1003
  lea rdx, [rip + 16]
  sub rdx, rbx
  add rax, rdx
  xor eax, [rdi]
  setc dl
  movzx edx, dl
  adc rax, rdx
  ret`;

/** Makes regions in place, with those that are kept. */
class Maker implements RegionMaker {
  readonly kept: KeptRegions;
  readonly #compiler: RegionCompiler;
  done: (compiled: CompiledRegions) => void = () => {};

  constructor(settings: RegionSettings, kept: KeptRegions) {
    this.kept = kept;
    this.#compiler = new RegionCompiler(settings, kept);
  }

  request(job: RegionJob): void {
    this.done(this.#compiler.compile([job]));
  }

  close(): void {}
}

/** Runs the program from `page` on; what it came to, and how many regions were made. With `kept` all becomes regions. */
function run(page: number, kept?: KeptRegions, program = PROGRAM) {
  const machine = new BareMachine(64, "max", kept && ((settings) => new Maker(settings, kept)));
  const { processor, ram } = machine;
  const { registers } = processor;
  const start = page + OFFSET;
  const { bytes } = assemble(program, { bits: 64, origin: BigInt(start) });
  new Uint8Array(ram.buffer, ram.byteOffset + start).set(bytes);
  registers.set64("ip", BigInt(start));
  const initial = { 0: 0x1234_5678, 1: ROUNDS, 2: 0, 3: start, 4: 0x20_1000, 7: DATA };
  for (const [register, value] of Object.entries(initial)) registers.setGpr(Number(register), BigInt(value));
  assert.equal(processor.stretch(ROUNDS * 20)?.vector, 6);
  const data = Buffer.from(ram.buffer, ram.byteOffset + DATA, 0x100).toString("hex");
  const state = [data, ...[0, 1, 2, 7].map((register) => registers.gpr(register))];
  return { state, regions: processor.statistics.translated.regions };
}

/** As another process finds them. */
const stored = (kept: KeptRegions) => new KeptRegions(Buffer.concat(kept.toKeep()));

test("code at another address runs in the regions that were made of it, and does the same", () => {
  const expected = run(0x10_0000);
  const first = new KeptRegions();
  const made = run(0x10_0000, first);
  assert.deepEqual(made.state, expected.state);
  assert.ok(made.regions > 0 && first.added > 0);
  const second = stored(first);
  const used = run(0x18_3000, second);
  assert.deepEqual(used.state, expected.state);
  assert.ok(used.regions > 0);
  assert.equal(second.added, 0);
  assert.deepEqual(Buffer.concat(second.toKeep()), Buffer.concat(first.toKeep()));
});

test("code that differs in one place gets regions of its own", () => {
  const first = new KeptRegions();
  run(0x10_0000, first);
  for (const [from, to] of [
    ["0x1003", "0x1005"],
    ["setc", "setnc"],
    ["jb over", "jae over"],
  ] as const) {
    const program = PROGRAM.replace(from, to);
    const second = stored(first);
    assert.deepEqual(run(0x10_0000, second, program).state, run(0x10_0000, undefined, program).state);
    assert.ok(second.added > 0, to);
  }
});

test("regions with addresses of a kernel are not kept", () => {
  const loop = (factor: string) => `again: imul rax, rax, ${factor}\n dec ecx\n jnz again\n ud2`;
  for (const [factor, isKept] of [
    ["0x1003", true],
    ["-0x7efff000", false],
  ] as const) {
    const kept = new KeptRegions();
    const { state, regions } = run(0x10_0000, kept, loop(factor));
    assert.deepEqual(state, run(0x10_0000, undefined, loop(factor)).state);
    assert.equal(kept.added === regions, isKept, factor);
  }
});

test("what is no file of regions is refused", () => {
  const first = new KeptRegions();
  run(0x10_0000, first);
  const bytes = Buffer.concat(first.toKeep());
  assert.throws(() => new KeptRegions(bytes.subarray(0, bytes.length - 1)), RangeError);
  assert.throws(() => new KeptRegions(Buffer.alloc(64, 0xff)), RangeError);
});
