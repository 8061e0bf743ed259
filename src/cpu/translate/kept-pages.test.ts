/** What a region keeps of the pages that it found, through all that becomes of it, against the chain it follows. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../bits/testing/seeded-random.ts";
import { assemble } from "../../isa/assemble.ts";
import { KEPT_KINDS, SCATTERED, SCATTERED_SIZE, VCPU_BASE } from "../state.ts";
import { BareMachine, CODE } from "../system/testing/bare-machine.ts";
import { InPlace } from "./in-place.ts";

/** Linear address of the chain's pages, and where they lie: beside each other, and apart. */
const PAGES = 0x28_0000;
const BESIDE = [0x20_0000, 0x20_1000, 0x20_2000];
const APART = [0x24_0000, 0x22_0000, 0x23_0000];
const NODE = 16;
const NODES = (BESIDE.length * 4096) / NODE;

/** Follows the chain from RSI, adds up its numbers in RAX and counts each in its node; ends with #UD. */
const { bytes } = assemble(
  `again: mov rdi, rsi
  next: add eax, [rdi+8]
  add dword ptr [rdi+12], 1
  mov rdi, [rdi]
  test rdi, rdi
  jnz next
  dec r8
  jnz again
  ud2`,
  { bits: 64, origin: BigInt(CODE) },
);

class Chain {
  readonly machine = new BareMachine(64, "max", (settings) => new InPlace(settings));
  readonly #order: readonly number[];
  readonly #numbers: readonly number[];

  constructor(order: readonly number[], random: SeededRandom) {
    this.#order = order;
    this.#numbers = this.#order.map(() => random.below(1000));
    new Uint8Array(this.machine.ram.buffer, this.machine.ram.byteOffset + CODE).set(bytes);
  }

  /** Lays it into pages at these physical addresses, with counts of 0. */
  lay(pages: readonly number[]): void {
    const { machine } = this;
    pages.forEach((physical, i) => machine.mapPage(PAGES + i * 4096, physical));
    machine.processor.flushTlb();
    this.#order.forEach((node, i) => {
      const next = this.#order[i + 1];
      const at = this.#at(pages, node);
      machine.ram.setBigUint64(at, next === undefined ? 0n : BigInt(PAGES + next * NODE), true);
      machine.ram.setUint32(at + 8, this.#numbers[node] as number, true);
      machine.ram.setUint32(at + 12, 0, true);
    });
  }

  #at(pages: readonly number[], node: number): number {
    const place = node * NODE;
    return (pages[Math.floor(place / 4096)] as number) + (place % 4096);
  }

  /** Follows it so often, and compares what comes of it. */
  follow(pages: readonly number[], times: number): void {
    const { processor, ram } = this.machine;
    const { registers } = processor;
    registers.set32("activity", 0);
    registers.set64("ip", BigInt(CODE));
    registers.setGpr(0, 0n);
    registers.setGpr(6, BigInt(PAGES + (this.#order[0] as number) * NODE));
    registers.setGpr(8, BigInt(times));
    assert.equal(this.machine.runInSlices(times * (NODES * 5 + 3) + 10), 6);
    const sum = this.#numbers.reduce((a, b) => a + b);
    assert.equal(registers.gpr(0), BigInt.asUintN(32, BigInt(sum * times)));
    for (const node of this.#order) assert.equal(ram.getUint32(this.#at(pages, node) + 12, true), times);
  }

  get regions(): number {
    return this.machine.processor.statistics.translated.regions;
  }

  get kinds(): ReadonlySet<string | undefined> {
    return kindsOf(this.machine);
  }
}

/** What is noted to be kept for some access. */
function kindsOf({ ram }: BareMachine): ReadonlySet<string | undefined> {
  const noted = new Uint8Array(ram.buffer, VCPU_BASE + SCATTERED, SCATTERED_SIZE);
  return new Set([...noted].filter((kind) => kind !== 0).map((kind) => KEPT_KINDS[kind]));
}

function shuffled(random: SeededRandom): number[] {
  const left = Array.from({ length: NODES }, (_, i) => i);
  return Array.from({ length: NODES }, () => left.splice(random.below(left.length), 1)[0] as number);
}

test("a chain through pages is followed alike with its page kept, only its distance, or nothing", () => {
  const random = new SeededRandom(5);
  const chain = new Chain(shuffled(random), random);
  const made: number[] = [];
  for (const pages of [BESIDE, APART, BESIDE, APART.toReversed()]) {
    chain.lay(pages);
    // More instructions than a region runs before it is made larger.
    chain.follow(pages, 6_000);
    made.push(chain.regions);
  }
  const [beside = 0, apart = 0, , last = 0] = made;
  assert.ok(beside >= 3, "made larger, and again for the pages that change");
  assert.ok(apart > beside, "made again where the distance changes, too");
  assert.ok(last - apart <= 2, "an end of it comes soon");
  assert.ok(chain.kinds.has(undefined), "nothing is kept where no page follows from those before it");
  assert.ok(!chain.kinds.has("addends"));
});

test("where a chain's pages follow from those before them, the distances of several are kept", () => {
  const random = new SeededRandom(6);
  // A stride without a factor of NODES: neighbours lie in different pages.
  const chain = new Chain(
    Array.from({ length: NODES }, (_, i) => (i * 301) % NODES),
    random,
  );
  for (const pages of [APART, BESIDE, APART.toReversed(), APART.map((page) => page + 0x4000)]) {
    chain.lay(pages);
    chain.follow(pages, 6_000);
  }
  assert.ok(chain.kinds.has("addends"));
  assert.ok(!chain.kinds.has(undefined));
});

test("a page that changes with each of a region's short runs is not kept for long", () => {
  // Calls that are too deep for one region: the last ones are another, which is entered and left in each turn.
  const depth = 8;
  const calls = Array.from({ length: depth }, (_, i) => `f${i}: call f${i + 1}\n nop\n ret`);
  const { bytes } = assemble(
    `again: xor rsi, 0x5000
    call f0
    dec rcx
    jnz again
    ud2
    ${calls.join("\n")}
    f${depth}: ${"add rdx, [rsi]\n rol rbx, 1\n add rbx, rdx\n".repeat(3)}
    ret`,
    { bits: 64, origin: BigInt(CODE) },
  );
  const machine = new BareMachine(64, "max", (settings) => new InPlace(settings, { large: true }));
  new Uint8Array(machine.ram.buffer, machine.ram.byteOffset + CODE).set(bytes);
  const { registers } = machine.processor;
  const [turns, first, second] = [4000, 0x20_0000, 0x20_5000];
  [first, second].forEach((at, i) => machine.ram.setBigUint64(at, BigInt(i + 1), true));
  registers.set64("ip", BigInt(CODE));
  for (const [index, value] of [
    [1, turns],
    [2, 0],
    [4, 0x21_0000],
    [6, first],
  ] as const) {
    registers.setGpr(index, BigInt(value));
  }
  assert.equal(machine.runInSlices(turns * 100), 6);
  assert.equal(registers.gpr(2), BigInt((turns / 2) * 3 * (1 + 2)));
  // These pages lie where their addresses say.
  assert.deepEqual([...kindsOf(machine)], ["addend"]);
});
