/** Regions that are made again: of what the process has that runs them, and once for all accesses that ask for it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../../isa/assemble.ts";
import { GROUP_MISSES, GROUP_MISSES_SIZE, VCPU_BASE } from "../state.ts";
import { BareMachine, CODE } from "../system/testing/bare-machine.ts";
import type { CompiledRegion } from "./region-compiler.ts";
import { GROWTH_STEP } from "./region-growth.ts";
import { isSure, type RegionJob } from "./region-job.ts";
import { listing } from "./testing/listing-maker.ts";

/** A machine with a program at CODE, and the regions that are made of it, in place. */
function prepare(source: string) {
  const made: CompiledRegion[] = [];
  const machine = new BareMachine(64, "max", listing(made));
  const { processor, ram } = machine;
  const { bytes } = assemble(source, { bits: 64, origin: BigInt(CODE) });
  new Uint8Array(ram.buffer, ram.byteOffset + CODE).set(bytes);
  /** Runs it from `ip` on, to its `ud2`, with RCX and RDX. */
  const run = (ip: number, turns: number, tables: number) => {
    const { registers } = processor;
    registers.set64("ip", BigInt(ip));
    registers.setGpr(1, BigInt(turns));
    registers.setGpr(2, BigInt(tables));
    registers.setGpr(4, 0x20_1000n);
    assert.equal(machine.runInSlices(Number.POSITIVE_INFINITY), 6);
    assert.equal(registers.gpr(1), 0n);
  };
  return { machine, made, run };
}

test("a region of which the first process is gone is made larger as the one that runs it has its code", () => {
  // Page tables of a process that has the same code elsewhere. In each of them the page after CODE's has the subroutine.
  const [TABLES, OTHERS, ALIAS, PAGE] = [0x8000, 0x1_0000, 0x18_0000, 4096];
  const subroutine = "inc rax\n".repeat(6);
  const { machine, made, run } = prepare(
    `mov cr3, rdx
    again: call place
    dec rcx
    jnz again
    ud2
    align ${PAGE}
    place: ${subroutine}
    ret`,
  );
  const { ram } = machine;
  const tables = new Uint8Array(ram.buffer, ram.byteOffset + TABLES, 5 * PAGE).slice();
  const others = new Uint8Array(ram.buffer, ram.byteOffset + OTHERS, 5 * PAGE);
  others.set(tables);
  const entry = (at: number, value: number) => ram.setBigUint64(at, BigInt(value | 7), true);
  for (let level = 0; level < 3; level++) entry(OTHERS + level * PAGE, OTHERS + (level + 1) * PAGE);
  entry(OTHERS + 2 * PAGE + 8, OTHERS + 4 * PAGE);
  for (const page of [0, PAGE]) entry(OTHERS + 3 * PAGE + ((ALIAS + page) / PAGE) * 8, CODE + page);
  machine.mapPage(ALIAS, CODE);

  run(ALIAS, 1000, OTHERS);
  assert.ok(made.some(({ job, instructions }) => instructions > 0 && job.linear >= BigInt(ALIAS)));
  run(CODE, 1, TABLES);
  others.fill(0);
  run(CODE, Math.ceil((4 * GROWTH_STEP) / 10), TABLES);
  const large = made.filter(({ job }) => job.large);
  assert.ok(large.some(({ instructions }) => instructions >= 3 + 7));
  assert.ok(large.every(({ job }) => job.linear < BigInt(ALIAS)));
});

test("what runs little is not made larger, though it comes between what runs a lot", () => {
  const { made, run } = prepare(
    `again: mov rbx, 1000
    hot: rol rax, 3
    add rax, rbx
    dec rbx
    jnz hot
    call rare
    dec rcx
    jnz again
    ud2
    align 1024
    rare: ${"inc rdx\n".repeat(30)}
    ret`,
  );
  run(CODE, Math.ceil((8 * GROWTH_STEP) / 4000), 0);
  const starts = made.filter(({ job }) => job.large).map(({ job }) => Number(job.linear));
  assert.ok(starts.length > 0);
  assert.ok(!starts.includes(CODE + 1024));
  assert.ok(made.some(({ job, instructions }) => instructions > 0 && Number(job.linear) === CODE + 1024));
});

for (const [where, busy] of [
  ["", 0],
  [", also where others have missed much", GROUP_MISSES_SIZE],
] as const) {
  test(`what is often not found is known of each group of accesses, and no longer left to the interpreter${where}`, () => {
    const { machine, made, run } = prepare(
      `again: mov rax, [rsi]
    add rax, [rsi + 8]
    add rax, [rdi]
    add rax, [rdi + 8]
    add rbx, rax
    dec rcx
    jnz again
    ud2`,
    );
    const { processor, ram } = machine;
    const [turns, crossing, within] = [1000, 0x20_0ff8, 0x20_2000];
    [crossing, crossing + 8, within, within + 8].forEach((at, i) => ram.setBigUint64(at, BigInt(i + 1), true));
    // What other regions have counted in the same places does not hide what this one misses.
    new Uint8Array(ram.buffer).fill(255, VCPU_BASE + GROUP_MISSES, VCPU_BASE + GROUP_MISSES + busy);
    const sum = () => {
      processor.registers.setGpr(3, 0n);
      processor.registers.setGpr(6, BigInt(crossing));
      processor.registers.setGpr(7, BigInt(within));
      run(CODE, turns, 0);
      assert.equal(processor.registers.gpr(3), BigInt(turns * 10));
      return made.filter(({ instructions }) => instructions > 0).length;
    };
    const regions = sum();
    assert.ok(regions >= 2, "made again");
    const memory = new Uint8Array(ram.buffer);
    const sure = (delta: number) => isSure(memory, VCPU_BASE, { physical: CODE }, delta);
    assert.deepEqual([sure(0), sure(7)], [false, busy === 0]);
    assert.equal(sum(), regions);
  });
}

test("a region of which several accesses ask for a new one is asked for once until it is there", () => {
  const asked: RegionJob[] = [];
  const made: CompiledRegion[] = [];
  const machine = new BareMachine(64, "max", (settings) => {
    const maker = listing(made, { large: true })(settings);
    const { request } = maker;
    const isAgain = (job: RegionJob) =>
      made.some(({ job: { linear }, instructions }) => instructions > 0 && linear === job.linear);
    return Object.assign(maker, {
      request: (job: RegionJob) => {
        if (isAgain(job)) asked.push(job);
        else request(job);
      },
    });
  });
  // Each of them goes to another page each time.
  const access = (index: string, start: number) =>
    `add ${index}, 0x5000\n and ${index}, 0xffff\n mov rax, [${index} + ${start}]`;
  const { bytes } = assemble(
    `again: ${access("rbx", 0x20_0000)}
    ${access("rsi", 0x21_0000)}
    ${access("rdi", 0x22_0000)}
    dec rcx
    jnz again
    ud2`,
    { bits: 64, origin: BigInt(CODE) },
  );
  const { processor, ram } = machine;
  new Uint8Array(ram.buffer, ram.byteOffset + CODE).set(bytes);
  processor.registers.set64("ip", BigInt(CODE));
  processor.registers.setGpr(1, 100_000n);
  assert.equal(processor.stretch(2_000_000)?.vector, 6);
  const places = asked.map(({ linear }) => linear);
  assert.ok(places.length > 0);
  assert.equal(new Set(places).size, places.length);
});
