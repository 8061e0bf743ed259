/** Jumps that are linked to what they go on with, where that changes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../bits/testing/seeded-random.ts";
import { assemble } from "../../isa/assemble.ts";
import { BareMachine, CODE } from "../system/testing/bare-machine.ts";

const UNDEFINED = 6;

function put({ processor, ram }: BareMachine, physical: number, bytes: Uint8Array): void {
  processor.physicalWritten(physical, physical + bytes.length - 1);
  new Uint8Array(ram.buffer, ram.byteOffset + physical).set(bytes);
}

/** Runs from `start` until UD2, with numbers of their own in all registers. */
function run({ processor }: BareMachine, start: number): readonly bigint[] {
  const { registers } = processor;
  registers.set64("ip", BigInt(start));
  for (let i = 0; i < 16; i++) registers.setGpr(i, BigInt(i * 0x101));
  registers.setGpr(4, 0x20_1000n);
  registers.setGpr(8, 5n);
  assert.equal(processor.stretch(5000)?.vector, UNDEFINED);
  return Array.from({ length: 16 }, (_, i) => registers.gpr(i));
}

/** A loop of a few lines that have the same lengths in many programs, so that jumps lie in the same places. */
function program(random: SeededRandom): Uint8Array {
  const lines = Array.from({ length: 6 }, (_, i) => {
    const register = random.pick(["rax", "rbx", "rdx"]);
    switch (random.below(6)) {
      case 0:
        return `test al, ${1 << random.below(4)}\n jz over${i}\n add ${register}, ${random.below(100)}\n over${i}:`;
      case 1:
        return `jmp over${i}\n in${i}: xor ${register}, ${random.below(100)}\n ret\n over${i}: call in${i}`;
      case 2:
        return `push ${register}\n pop rbx`;
      case 3:
        return `rol ${register}, ${1 + random.below(60)}`;
      default:
        return `add ${register}, ${random.below(100)}`;
    }
  });
  return assemble(`again:\n ${lines.join("\n")}\n dec r8\n jnz again\n ud2`, { bits: 64, origin: BigInt(CODE) }).bytes;
}

test("code in place of other code runs as on a machine that never had any other", () => {
  const random = new SeededRandom(3);
  const machine = new BareMachine(64);
  for (let round = 0; round < 150; round++) {
    const bytes = program(random);
    const fresh = new BareMachine(64);
    for (const each of [machine, fresh]) put(each, CODE, bytes);
    const expected = run(fresh, CODE);
    for (let i = 0; i < 3; i++) assert.deepEqual(run(machine, CODE), expected, `round ${round}`);
  }
});

test("a page that is mapped twice goes on in the page behind it, wherever it is entered", () => {
  const machine = new BareMachine(64);
  const [first, second] = [0x28_0000, 0x2a_0000];
  const [shared, behindFirst, behindSecond] = [0x20_0000, 0x21_0000, 0x22_0000];
  for (const [linear, physical] of [
    [first, shared],
    [first + 0x1000, behindFirst],
    [second, shared],
    [second + 0x1000, behindSecond],
  ] as const) {
    machine.mapPage(linear, physical);
  }
  machine.processor.flushTlb();
  const code = (source: string, origin = first) => assemble(source, { bits: 64, origin: BigInt(origin) }).bytes;
  const behind = `0x${(first + 0x1000).toString(16)}`;
  put(machine, shared, code(`again: dec r8\n jnz again\n test r8, r8\n jz ${behind}\n ud2`));
  put(machine, behindFirst, code("mov eax, 1\n ud2"));
  put(machine, behindSecond, code("mov eax, 2\n ud2"));
  for (let i = 0; i < 3; i++) {
    assert.equal(run(machine, first)[0], 1n);
    assert.equal(run(machine, second)[0], 2n);
  }
});

test("a jump in a page that is mapped to other memory goes on there", () => {
  const machine = new BareMachine(64);
  const pages = [0x20_0000, 0x21_0000];
  const linear = 0x28_0000;
  pages.forEach((physical, i) => {
    const source = `again: dec r8\n jnz again\n jmp over\n ud2\n over: mov eax, ${i}\n ud2`;
    put(machine, physical, assemble(source, { bits: 64, origin: BigInt(linear) }).bytes);
  });
  for (let i = 0; i < 4; i++) {
    machine.mapPage(linear, pages[i % 2] as number);
    machine.processor.flushTlb();
    assert.equal(run(machine, linear)[0], BigInt(i % 2));
  }
});
