/** Regions that one processor made are used by another one, at other addresses, where the code is the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../../isa/assemble.ts";
import type { RegionSettings } from "../processor-options.ts";
import { BareMachine } from "../system/testing/bare-machine.ts";
import { GROUP, KeptRegions } from "./kept-regions.ts";
import type { ReadyModule } from "./ready-regions.ts";
import { type CompiledRegions, RegionCompiler } from "./region-compiler.ts";
import { type RegionIndex, regionsOf } from "./region-index.ts";
import type { RegionJob, RegionNodes } from "./region-job.ts";
import type { GroupUse, RegionPart, RegionStore, StoredRegion } from "./region-store.ts";
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

  expect: (index: RegionIndex) => void = () => {};
  ready: (module: ReadyModule) => void = () => {};
  readonly inUse: number[] = [];
  used(regions: readonly number[]): void {
    this.inUse.push(...regions);
  }
  /** How many groups were asked for. */
  loads = 0;
  makeReady(loads: boolean): void {
    this.expect(this.kept.index);
    if (!loads) for (const module of this.kept.first(this.#settings)) this.ready(module);
  }
  load(regions: readonly number[]): void {
    for (const group of new Set(regions.map((region) => Math.floor(region / GROUP)))) {
      this.loads++;
      const module = this.kept.load(this.#settings, group);
      if (module) this.ready(module);
    }
  }

  /** Instructions in the first large region that was made. */
  large = 0;
  request(job: RegionJob): void {
    const compiled = this.#compiler.compile([job]);
    if (job.large) this.large ||= compiled.regions[0]?.instructions ?? 0;
    this.done(compiled);
  }

  covered(regions: readonly RegionNodes[]): void {
    this.#compiler.covered(regions);
  }

  close(): void {}
}

/**
 * Runs the program from `page` on; what it came to, and how many regions were made. With `kept` all becomes regions, of
 * which those that are kept may be ready from the start.
 */
function run(
  page: number,
  kept?: KeptRegions,
  program = PROGRAM,
  ready?: "at once" | "when asked for",
  { rounds = ROUNDS, heat = 1 } = {},
) {
  let maker: Maker | undefined;
  const makeRegions = kept && ((settings: RegionSettings) => (maker = new Maker(settings, kept)));
  const machine = new BareMachine(64, "max", makeRegions, heat);
  if (ready) maker?.makeReady(ready === "when asked for");
  const { processor, ram } = machine;
  const { registers } = processor;
  const start = page + OFFSET;
  const { bytes } = assemble(program, { bits: 64, origin: BigInt(start) });
  new Uint8Array(ram.buffer, ram.byteOffset + start).set(bytes);
  registers.set64("ip", BigInt(start));
  const initial = { 0: 0x1234_5678, 1: rounds, 2: 0, 3: start, 4: 0x20_1000, 7: DATA };
  for (const [register, value] of Object.entries(initial)) registers.setGpr(Number(register), BigInt(value));
  assert.equal(machine.runInSlices(rounds * 60), 6);
  const data = Buffer.from(ram.buffer, ram.byteOffset + DATA, 0x100).toString("hex");
  const state = [data, ...[0, 1, 2, 7].map((register) => registers.gpr(register))];
  const { regions, asked } = processor.statistics.translated;
  return { state, regions, asked, used: maker?.inUse ?? [], loads: maker?.loads ?? 0, large: maker?.large };
}

/** Keeps regions in memory. */
class MemoryStore implements RegionStore {
  readonly parts: RegionPart[] = [];
  /** Bodies are gone. */
  isEmptied = false;
  readonly used = new Set<RegionPart>();

  add(regions: readonly StoredRegion[]): RegionPart {
    const part: RegionPart = {
      name: String(this.parts.length),
      keys: Uint32Array.from(regions, ({ key }) => key),
      places: Uint32Array.from(regions, ({ place }) => place),
      read: (first, count) => (this.isEmptied ? undefined : regions.slice(first, first + count)),
      use: () => void this.used.add(part),
    };
    this.parts.push(part);
    return part;
  }

  readonly #uses = new Map<string, readonly GroupUse[]>();
  usesOf(start: string): readonly GroupUse[] {
    return this.#uses.get(start) ?? [];
  }
  noteUses(start: string, uses: readonly GroupUse[]): void {
    this.#uses.set(start, uses);
  }
}

/** As another process finds them. */
function stored(kept: KeptRegions, store: MemoryStore): KeptRegions {
  kept.store();
  return new KeptRegions(store);
}
/** A new set, and what it is stored in. */
function newSet(): { first: KeptRegions; store: MemoryStore } {
  const store = new MemoryStore();
  return { first: new KeptRegions(store), store };
}

test("code at another address runs in the regions that were made of it, and does the same", () => {
  const expected = run(0x10_0000);
  const { first, store } = newSet();
  const made = run(0x10_0000, first);
  assert.deepEqual(made.state, expected.state);
  assert.ok(made.regions > 0 && first.added > 0);
  const second = stored(first, store);
  const used = run(0x18_3000, second);
  assert.deepEqual(used.state, expected.state);
  assert.ok(used.regions > 0);
  assert.equal(second.added, 0);
  assert.ok(store.used.size > 0);
});

test("code that differs in one place gets regions of its own", () => {
  const { first, store } = newSet();
  run(0x10_0000, first);
  for (const [from, to] of [
    ["0x1003", "0x1005"],
    ["setc", "setnc"],
    ["jb over", "jae over"],
  ] as const) {
    const program = PROGRAM.replace(from, to);
    const second = stored(first, store);
    assert.deepEqual(run(0x10_0000, second, program).state, run(0x10_0000, undefined, program).state);
    assert.ok(second.added > 0, to);
  }
});

test("a large region has what runs in regions that were ready, as it has what was made just now", () => {
  // What calls the subroutine runs more than that does.
  const program = `
    again: call work
    ${"rol rdx, 5\n xor rdx, rax\n".repeat(20)}
    dec ecx
    jnz again
    ud2
    work: add rax, rcx
    test al, 1
    jz even
    xor rax, 0x55
    even: rol rax, 3
    test al, 2
    jz low
    add rax, rbx
    low: sub rax, 9
    ret`;
  // Regions of several blocks each, which run long enough to be made larger.
  const often = { rounds: 600_000, heat: 100 };
  const { first, store } = newSet();
  const made = run(0x10_0000, first, program, undefined, often);
  const used = run(0x10_0000, stored(first, store), program, "at once", often);
  assert.deepEqual(used.state, made.state);
  assert.ok(used.asked < made.asked, "most are ready");
  assert.ok(used.large && used.large > 50);
  assert.equal(used.large, made.large);
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
  const { first, store } = newSet();
  run(0x10_0000, first, program("-0x7efff000"));
  assert.ok(first.added > 0);
  for (const [page, address] of [
    [0x18_3000, "-0x5edff008"],
    [0x10_0000, "-0x40000001"],
    [0x10_0000, "-0x7efff000"],
  ] as const) {
    const second = stored(first, store);
    const { state, regions } = run(page, second, program(address));
    assert.deepEqual(state, run(page, undefined, program(address)).state);
    assert.ok(regions > 0);
    assert.equal(second.added, 0, address);
  }
  // These are no addresses.
  for (const address of ["-0x3ffff000", "0x1003"]) {
    const second = stored(first, store);
    const { state } = run(0x10_0000, second, program(address));
    assert.deepEqual(state, run(0x10_0000, undefined, program(address)).state);
    assert.ok(second.added > 0, address);
  }
});

test("regions that are ready are used without being asked for", () => {
  const { first, store } = newSet();
  const expected = run(0x10_0000, first);
  const kept = stored(first, store);
  const used = run(0x18_3000, kept, PROGRAM, "at once");
  assert.deepEqual(used.state, run(0x18_3000).state);
  assert.notEqual(used.regions, 0);
  assert.equal(used.asked, 0);
  assert.ok(expected.asked > 0);
  assert.equal(used.loads, 0);
  assert.deepEqual([...used.used].sort(), [...new Set(used.used)].sort());
  const other = PROGRAM.replace("0x1003", "0x1005");
  const refused = run(0x10_0000, stored(first, store), other, "at once");
  assert.deepEqual(refused.state, run(0x10_0000, undefined, other).state);
  assert.ok(refused.asked > 0);
});

test("regions that are not given from the start come when they are needed", () => {
  const { first, store } = newSet();
  run(0x10_0000, first);
  const used = run(0x18_3000, stored(first, store), PROGRAM, "when asked for");
  assert.deepEqual(used.state, run(0x18_3000).state);
  assert.ok(used.loads > 0);
  assert.notEqual(used.regions, 0);
  assert.equal(used.asked, 0);
});

test("regions that are gone are made anew", () => {
  const { first, store } = newSet();
  run(0x10_0000, first);
  for (const ready of ["at once", "when asked for"] as const) {
    const kept = stored(first, store);
    store.isEmptied = true;
    const made = run(0x18_3000, kept, PROGRAM, ready);
    assert.deepEqual(made.state, run(0x18_3000).state);
    assert.ok(made.asked > 0 && made.regions > 0 && kept.added > 0);
    store.isEmptied = false;
  }
});

/** Adds regions with these keys, of code that does nothing. */
function addEmpty(kept: KeptRegions, from: number, to: number): void {
  const body = { bytes: Uint8Array.of(0, 0x0b), hints: [], marks: [], calls: [] };
  for (let key = from; key < to; key++) {
    kept.add(
      { key, model: "max", context: 0, offset: 0, first: 0 },
      { instructions: 1, nodes: [0], code: [] },
      [],
      body,
    );
  }
}
const PAGES = { memoryPages: { initial: 1, maximum: 1 } };

test("what starts of the same used comes first, and only what is worth it; else what was used last", () => {
  const store = new MemoryStore();
  const maker = new KeptRegions(store);
  addEmpty(maker, 0, 30 * GROUP);
  maker.store();
  const numbers = (kept: KeptRegions) => [...kept.first(PAGES)].map(({ first }) => first / GROUP);
  const start = (name: string) => new KeptRegions(store, name);
  const recent = Array.from({ length: 24 }, (_, group) => group);
  const first = start("kernel");
  assert.deepEqual(numbers(first), recent);
  const used = (group: number, count: number) => Array.from({ length: count }, (_, i) => group * GROUP + i);
  // What this process has made itself counts, too, once it is stored.
  first.use([...used(27, 20), ...used(3, 60), ...used(5, 2)]);
  addEmpty(first, 5000, 5000 + GROUP / 2);
  first.store();
  first.noteStart();
  assert.deepEqual(numbers(start("other")), recent);
  assert.deepEqual(numbers(new KeptRegions(store)), recent);
  const second = start("kernel");
  assert.deepEqual(numbers(second), [3, 30, 27]);
  // Each start counts half as much as the one after it.
  second.use(used(8, 40));
  second.noteStart();
  assert.deepEqual(numbers(start("kernel")), [8, 3, 30, 27]);
  start("kernel").noteStart();
  assert.deepEqual(numbers(start("kernel")), [8, 3, 30]);
});

test("a process adds so many at the most, and finds them whether or not they are stored", () => {
  const store = new MemoryStore();
  const kept = new KeptRegions(store);
  addEmpty(kept, 0, 100);
  kept.store();
  assert.equal(kept.added, 0);
  addEmpty(kept, 100, 20_000);
  assert.equal(kept.added, 16_384 - 100);
  kept.store();
  assert.deepEqual(
    store.parts.map(({ keys }) => keys.length),
    [100, 16_384 - 100],
  );
  const { index } = new KeptRegions(store);
  const second = new KeptRegions(store);
  const loads = Array.from({ length: 200 }, (_, group) => second.load(PAGES, group));
  assert.equal(loads.filter((ready) => ready !== undefined).length, 160);
  // The first part takes two groups of 64.
  const found = [0, 99, 100, 101, 16_383, 16_384].map((key) => regionsOf(index, key));
  assert.deepEqual(found, [[0], [99], [128], [129], [16_383 + 28], []]);
});
