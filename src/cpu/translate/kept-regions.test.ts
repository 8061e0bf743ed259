/** Regions that one processor made are used by another one, at other addresses, where the code is the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../../isa/assemble.ts";
import type { RegionSettings } from "../processor.ts";
import { BareMachine } from "../system/testing/bare-machine.ts";
import { KeptRegions } from "./kept-regions.ts";
import type { ReadyModule } from "./ready-regions.ts";
import { type CompiledRegions, RegionCompiler } from "./region-compiler.ts";
import type { RegionJob } from "./region-job.ts";
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
  readonly #settings: RegionSettings;
  readonly #compiler: RegionCompiler;
  done: (compiled: CompiledRegions) => void = () => {};

  constructor(settings: RegionSettings, kept: KeptRegions) {
    this.kept = kept;
    this.#settings = settings;
    this.#compiler = new RegionCompiler(settings, kept);
  }

  ready: (module: ReadyModule) => void = () => {};
  readonly inUse: number[] = [];
  used(regions: readonly number[]): void {
    this.inUse.push(...regions);
  }
  makeReady(): void {
    for (const module of this.kept.toReady(this.#settings, 2)) this.ready(module);
  }

  request(job: RegionJob): void {
    this.done(this.#compiler.compile([job]));
  }

  close(): void {}
}

/**
 * Runs the program from `page` on; what it came to, and how many regions were made. With `kept` all becomes regions, of
 * which those that are kept may be ready from the start.
 */
function run(page: number, kept?: KeptRegions, program = PROGRAM, isReady = false) {
  let maker: Maker | undefined;
  const makeRegions = kept && ((settings: RegionSettings) => (maker = new Maker(settings, kept)));
  const machine = new BareMachine(64, "max", makeRegions);
  if (isReady) maker?.makeReady();
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
  const { regions, asked } = processor.statistics.translated;
  return { state, regions, asked, used: maker?.inUse ?? [] };
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

test("addresses of a kernel may be others, even where only they differ", () => {
  const program = (address: string) => `
    again: imul rax, rax, ${address}
    movabs rdx, ${address}
    add rax, rdx
    lea rdx, [rcx + ${address}]
    xor rax, rdx
    cmp rax, ${address}
    setl dl
    movzx edx, dl
    mov ebx, ${address}
    add rdx, rbx
    dec ecx
    jnz again
    ud2`;
  const first = new KeptRegions();
  run(0x10_0000, first, program("-0x7efff000"));
  assert.ok(first.added > 0);
  for (const [page, address] of [
    [0x18_3000, "-0x5edff008"],
    [0x10_0000, "-0x40000001"],
    [0x10_0000, "-0x7efff000"],
  ] as const) {
    const second = stored(first);
    const { state, regions } = run(page, second, program(address));
    assert.deepEqual(state, run(page, undefined, program(address)).state);
    assert.ok(regions > 0);
    assert.equal(second.added, 0, address);
  }
  // These are no addresses.
  for (const address of ["-0x3ffff000", "0x1003"]) {
    const second = stored(first);
    const { state } = run(0x10_0000, second, program(address));
    assert.deepEqual(state, run(0x10_0000, undefined, program(address)).state);
    assert.ok(second.added > 0, address);
  }
});

test("regions that are ready are used without being asked for", () => {
  const first = new KeptRegions();
  const expected = run(0x10_0000, first);
  const kept = stored(first);
  const used = run(0x18_3000, kept, PROGRAM, true);
  assert.deepEqual(used.state, run(0x18_3000).state);
  assert.notEqual(used.regions, 0);
  assert.equal(used.asked, 0);
  assert.ok(expected.asked > 0);
  assert.deepEqual([...used.used].sort(), [...new Set(used.used)].sort());
  const other = PROGRAM.replace("0x1003", "0x1005");
  const refused = run(0x10_0000, stored(first), other, true);
  assert.deepEqual(refused.state, run(0x10_0000, undefined, other).state);
  assert.ok(refused.asked > 0);
});

test("what is no file of regions is refused", () => {
  const first = new KeptRegions();
  run(0x10_0000, first);
  const bytes = Buffer.concat(first.toKeep());
  assert.throws(() => new KeptRegions(bytes.subarray(0, bytes.length - 1)), RangeError);
  assert.throws(() => new KeptRegions(Buffer.alloc(64, 0xff)), RangeError);
});
