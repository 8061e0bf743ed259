/** Regions of code that is made to be awkward. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../../isa/assemble.ts";
import { BareMachine, CODE } from "../system/testing/bare-machine.ts";
import { InPlace } from "./in-place.ts";
import type { CompiledRegion } from "./region-compiler.ts";
import { listing } from "./testing/listing-maker.ts";

test("branches of which both ways lead to the same place do not make code grow with each of them", () => {
  for (const large of [false, true]) {
    const { processor, ram } = new BareMachine(64, "max", (settings) => new InPlace(settings, { large }));
    const branches = Array.from({ length: 40 }, (_, i) => `inc rax\n jz to${i}\n to${i}:`);
    const { bytes } = assemble(`again: ${branches.join("\n")}\n dec rcx\n jnz again\n ud2`, {
      bits: 64,
      origin: BigInt(CODE),
    });
    new Uint8Array(ram.buffer, ram.byteOffset + CODE).set(bytes);
    processor.registers.set64("ip", BigInt(CODE));
    processor.registers.setGpr(0, 0n);
    processor.registers.setGpr(1, 5n);
    assert.equal(processor.stretch(10_000)?.vector, 6);
    assert.equal(processor.registers.gpr(0), 200n);
    assert.ok(processor.statistics.translated.instructions > 0);
  }
});

test("a subroutine of a few instructions is a part of the smallest regions that call it, a longer one is not", () => {
  /** Instructions of all regions. */
  const run = (padding: number) => {
    const { processor, ram } = new BareMachine(64, "max", (settings) => new InPlace(settings));
    const nops = "nop\n".repeat(padding);
    const program = `again: call place\n add rax, rbx\n dec rcx\n jnz again\n ud2\n place: ${nops} mov rbx, [rsp]\n ret`;
    const { bytes } = assemble(program, { bits: 64, origin: BigInt(CODE) });
    new Uint8Array(ram.buffer, ram.byteOffset + CODE).set(bytes);
    const { registers } = processor;
    registers.set64("ip", BigInt(CODE));
    registers.setGpr(0, 0n);
    registers.setGpr(1, 1000n);
    registers.setGpr(4, 0x20_1000n);
    assert.equal(processor.stretch(100_000)?.vector, 6);
    assert.equal(registers.gpr(0), 1000n * BigInt(CODE + 5));
    assert.equal(registers.gpr(4), 0x20_1000n);
    return processor.statistics.translated.instructions;
  };
  // Of four instructions and of five.
  assert.ok(run(2) > run(3));
});

test("a loop that control enters in two places is run as one in a large region", () => {
  const source = (entrance: string) => `
    again: test rsi, 1
      jnz ${entrance}
    head: lea rax, [rax + rax * 2 + 1]
      cmp rax, rbx
      jb middle
      sub rax, rbx
    middle: add rax, rcx
      dec rcx
      jnz head
      mov rcx, 50
      dec rsi
      jnz again
      ud2`;
  const expected = (entrance: string) => {
    const mask = (1n << 64n) - 1n;
    let a = 1n;
    for (let turn = 200; turn > 0; turn--) {
      for (let left = 50n, skips = entrance === "middle" && turn % 2 === 1; left > 0n; left--, skips = false) {
        if (!skips) {
          a = (a * 3n + 1n) & mask;
          if (a >= 1_000_003n) a = (a - 1_000_003n) & mask;
        }
        a = (a + left) & mask;
      }
    }
    return a;
  };
  /** Instructions of the largest region. */
  const run = (entrance: string) => {
    const made: CompiledRegion[] = [];
    const { processor, ram } = new BareMachine(64, "max", listing(made, { large: true }));
    const { bytes } = assemble(source(entrance), { bits: 64, origin: BigInt(CODE) });
    new Uint8Array(ram.buffer, ram.byteOffset + CODE).set(bytes);
    const { registers } = processor;
    registers.set64("ip", BigInt(CODE));
    registers.setGpr(0, 1n);
    registers.setGpr(1, 50n);
    registers.setGpr(3, 1_000_003n);
    registers.setGpr(6, 200n);
    assert.equal(processor.stretch(1_000_000)?.vector, 6);
    assert.equal(registers.gpr(0), expected(entrance));
    return Math.max(...made.map(({ instructions }) => instructions));
  };
  // What control comes by on its other way in is there twice.
  assert.ok(run("middle") > run("head"));
});

/** Runs `source` with all regions large; what was made, and the processor. */
function runLarge(source: string, registers: Readonly<Record<number, bigint>>) {
  const made: CompiledRegion[] = [];
  const { processor, ram } = new BareMachine(64, "max", listing(made, { large: true }), 64);
  const { bytes, symbols } = assemble(source, { bits: 64, origin: BigInt(CODE) });
  new Uint8Array(ram.buffer, ram.byteOffset + CODE).set(bytes);
  processor.registers.set64("ip", symbols.get("start") as bigint);
  processor.registers.setGpr(4, 0x20_1000n);
  for (const [index, value] of Object.entries(registers)) processor.registers.setGpr(Number(index), value);
  assert.equal(processor.stretch(10_000_000)?.vector, 6);
  return { processor, made };
}

/** Calls each of `count` subroutines in turns, by a table; `body` is theirs, `after` what follows each call. */
const byTable = (count: number, body: string, after: string) => {
  const names = Array.from({ length: count }, (_, i) => `place${i}`);
  const places = names.map((name) => `align 32\n ${name}: ${body}\n ret`);
  return `table: ${names.map((name) => `dq ${name}`).join("\n")}
    align 4096
    start: xor ebx, ebx
    again: lea rsi, [rel table]
    call [rsi + rbx * 8]
    ${after}
    inc rbx
    cmp rbx, ${count}
    jb next
    xor ebx, ebx
    next: dec rcx
    jnz again
    ud2
    ${places.join("\n")}`;
};

test("the inner one of two loops has copies in a large region, the outer one has none", () => {
  const inner = "inner: add rax, rbx\n xor rdx, rax\n dec rbx\n jnz inner";
  const { processor, made } = runLarge(
    `start: nop
    again: mov ebx, 9
    ${inner}
    dec rcx
    jnz again
    ud2`,
    { 0: 0n, 1: 5000n },
  );
  const sum = Array.from({ length: 9 }, (_, i) => BigInt(i + 1)).reduce((a, b) => a + b);
  assert.equal(processor.registers.gpr(0), 5000n * sum);
  const largest = Math.max(...made.map(({ instructions }) => instructions));
  // Four turns of the inner one, and one of the outer one around them.
  assert.ok(largest >= 4 * 4 && largest <= 4 * 4 + 8, `${largest}`);
});

test("a large region has every subroutine that a table of twelve leads to", () => {
  const { processor, made } = runLarge(byTable(12, "inc rax\n add rax, 2\n inc rax\n inc rax\n inc rax", ""), {
    0: 0n,
    1: 12_000n,
  });
  assert.equal(processor.registers.gpr(0), 72_000n);
  // Its own seven or eight instructions, and six for each of them.
  assert.ok(Math.max(...made.map(({ instructions }) => instructions)) >= 7 + 12 * 6);
});

test("a large region has what every way leads to before all that only some ways lead to", () => {
  const after = `jmp tail\n align 4096\n tail: ${"inc rdx\n".repeat(30)} jmp back\n align 4096\n back:`;
  const { processor, made } = runLarge(byTable(8, "inc rax\n".repeat(60), after), { 0: 0n, 1: 8000n, 2: 0n });
  assert.equal(processor.registers.gpr(0), 480_000n);
  assert.equal(processor.registers.gpr(2), 240_000n);
  const largest = made.reduce((most, region) => (region.instructions > most.instructions ? region : most));
  const at = Number(largest.job.linear);
  assert.ok(largest.instructions > 300);
  const pages = largest.code.map(({ distance }) => (at >> 12) + distance);
  // The call's page, the tail's, and the one where all comes together again.
  for (const page of [1, 2, 3]) assert.ok(pages.includes((CODE >> 12) + page), `page ${page} of ${pages}`);
});
