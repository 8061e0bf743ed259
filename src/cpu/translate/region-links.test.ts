/** Links by which regions go on with other code: they hold as long as that is where it was. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../../isa/assemble.ts";
import { CONTEXT_BITS } from "../state.ts";
import { BareMachine, CODE, PAGE_TABLES } from "../system/testing/bare-machine.ts";
import type { CompiledRegion } from "./region-compiler.ts";
import { listing } from "./testing/listing-maker.ts";

/** A page, and two that it may be mapped to. */
const [PLACE, FIRST, SECOND] = [0x18_0000, 0x19_0000, 0x1a_0000];
const LAST_GENERATION = 0xffff_ffff >>> CONTEXT_BITS;
const TURNS = 500;

function prepare(source = `again: call ${PLACE}\n dec rcx\n jnz again\n ud2`) {
  const made: CompiledRegion[] = [];
  const machine = new BareMachine(64, "max", listing(made));
  const { processor, ram } = machine;
  const { registers } = processor;
  const put = (physical: number, linear: number, source: string) => {
    const { bytes } = assemble(source, { bits: 64, origin: BigInt(linear) });
    processor.physicalWritten(physical, physical + bytes.length - 1);
    new Uint8Array(ram.buffer, ram.byteOffset + physical).set(bytes);
  };
  put(CODE, CODE, source);
  put(FIRST, PLACE, "inc rax\n ret");
  put(SECOND, PLACE, "add rax, 100\n ret");
  machine.mapPage(PLACE, FIRST);
  /** RAX after so many calls of what is at PLACE. */
  const run = () => {
    registers.set64("ip", BigInt(CODE));
    registers.setGpr(0, 0n);
    registers.setGpr(1, BigInt(TURNS));
    registers.setGpr(4, 0x20_1000n);
    assert.equal(processor.stretch(1_000_000)?.vector, 6);
    return Number(registers.gpr(0));
  };
  const renew = (before: number) => {
    registers.set32("supervisorGeneration", before);
    processor.flushTlb();
  };
  return { machine, made, put, run, renew };
}

test("a region's link leads to what its page is mapped to now", () => {
  const { machine, made, run } = prepare();
  for (let i = 0; i < 3; i++) {
    machine.mapPage(PLACE, FIRST);
    machine.processor.flushTlb();
    assert.equal(run(), TURNS);
    machine.mapPage(PLACE, SECOND);
    machine.processor.flushTlb();
    assert.equal(run(), 100 * TURNS);
  }
  assert.ok(made.some(({ job, instructions }) => instructions > 0 && job.linear === BigInt(CODE)));
});

test("links of a generation that comes round again lead nowhere", () => {
  const { machine, run, renew } = prepare();
  renew(LAST_GENERATION);
  assert.equal(run(), TURNS);
  machine.mapPage(PLACE, SECOND);
  renew(LAST_GENERATION);
  assert.equal(run(), 100 * TURNS);
});

test("a link leads to the code that was written in place of what it led to", () => {
  const { put, run } = prepare();
  assert.equal(run(), TURNS);
  put(FIRST, PLACE, "add rax, 3\n ret");
  assert.equal(run(), 3 * TURNS);
  put(FIRST, PLACE, "add rax, 5\n ret");
  assert.equal(run(), 5 * TURNS);
});

test("a link leads to the region that is made in place of the block that it led to", () => {
  const { made, put, run } = prepare();
  run();
  const count = made.length;
  put(FIRST, PLACE, "mov rdx, 7\n again: dec rdx\n jnz again\n add rax, 2\n ret");
  assert.equal(run(), 2 * TURNS);
  assert.equal(run(), 2 * TURNS);
  assert.ok(made.length > count);
});

test("a subroutine comes back to where it says, which need not be behind its call", () => {
  const { put, run } = prepare(`again: call ${PLACE}\n inc rax\n add rax, 10\n dec rcx\n jnz again\n ud2`);
  assert.equal(run(), 12 * TURNS);
  // Every other time behind INC RAX, which has three bytes.
  put(FIRST, PLACE, "mov rdx, rcx\n and rdx, 1\n lea rdx, [rdx + rdx * 2]\n add [rsp], rdx\n ret");
  assert.equal(run(), 10 * TURNS + TURNS / 2);
});

test("calls within calls come back, more of them than are expected back", () => {
  const { put, run } = prepare(`again: mov rsi, 200\n call ${PLACE}\n dec rcx\n jnz again\n ud2`);
  put(FIRST, PLACE, `inc rax\n dec rsi\n jz done\n call ${PLACE}\n add rax, 2\n done: ret`);
  assert.equal(run(), TURNS * (200 + 2 * 199));
});

test("what a call goes back to is what its page is mapped to now", () => {
  const { put, run } = prepare();
  const SUBROUTINE = 0x18_1000;
  // The call's own page changes while its subroutine runs: by INVLPG there.
  const caller = (count: number) => `sub rsp, 8\n call ${SUBROUTINE}\n add rax, ${count}\n add rsp, 8\n ret`;
  put(FIRST, PLACE, caller(1));
  put(SECOND, PLACE, caller(1000));
  put(SUBROUTINE, SUBROUTINE, "nop\n ret");
  assert.equal(run(), TURNS);
  const entry = PAGE_TABLES + (PLACE / 4096) * 8;
  put(SUBROUTINE, SUBROUTINE, `xor dword ptr [${entry}], ${FIRST ^ SECOND}\n invlpg [${PLACE}]\n ret`);
  assert.equal(run(), TURNS / 2 + (1000 * TURNS) / 2);
});
