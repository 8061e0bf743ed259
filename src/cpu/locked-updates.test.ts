/** Guest code and another thread that change the same bytes of memory at the same time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { assemble } from "../isa/assemble.ts";
import { BareMachine, CODE, DATA } from "./system/testing/bare-machine.ts";
import { InPlace } from "./translate/in-place.ts";

/** Words of what the two threads tell each other. */
const IS_READY = 0;
const IS_OVER = 1;
const DONE = 2;
/** What each is to have done at least while the other one did it, too. */
const ENOUGH = 400_000;
/** The guest's loop, and how many million instructions it may take where it waits for the other thread. */
const TURNS = 20_000;
const MOST_STRETCHES = 500;
const RSI = 6;
const RDI = 7;
const R8 = 8;
const UNDEFINED = 6;

/** Adds `step` to a cell, again and again. */
const ADDING = `
  const { workerData: { buffer, at, width, step, control } } = require("node:worker_threads");
  const cells = new { 8: Int8Array, 16: Int16Array, 32: Int32Array, 64: BigInt64Array }[width](buffer);
  const number = width === 64 ? BigInt(step) : step;
  Atomics.store(control, ${IS_READY}, 1);
  while (Atomics.load(control, ${IS_OVER}) === 0) {
    for (let i = 0; i < 100; i++) Atomics.add(cells, at / (width / 8), number);
    Atomics.add(control, ${DONE}, 100);
  }`;

/** Adds 1 to the word behind a lock, again and again, and holds the lock meanwhile. */
const LOCKING = `
  const { workerData: { buffer, at, control } } = require("node:worker_threads");
  const words = new Int32Array(buffer);
  Atomics.store(control, ${IS_READY}, 1);
  const isOver = () => Atomics.load(control, ${IS_OVER}) !== 0;
  while (!isOver()) {
    while (Atomics.exchange(words, at / 4, 1) !== 0) if (isOver()) process.exit();
    words[at / 4 + 1]++;
    Atomics.store(words, at / 4, 0);
    Atomics.add(control, ${DONE}, 1);
  }`;

/** What guest code does to [RDI] in each turn. */
interface Change {
  readonly name: string;
  readonly width: 8 | 16 | 32 | 64;
  readonly source: string;
  /** What the other thread adds each time. */
  readonly step: number;
  /** What a turn adds; undefined where it changes only bits that the other thread's step does not reach. */
  readonly adds: number | undefined;
}

/** Bits below this are the guest's alone. */
const STEP = 16;
const add = (name: string, width: Change["width"], source: string, adds = 1): Change => ({
  ...{ name, width, source, adds },
  step: 1,
});
const bit = (name: string, source: string): Change => ({ name, width: 32, source, step: STEP, adds: undefined });

const CHANGES: readonly Change[] = [
  add("add", 8, "lock add byte ptr [rdi], 3", 3),
  add("inc", 16, "lock inc word ptr [rdi]"),
  add("inc", 32, "lock inc dword ptr [rdi]"),
  add("dec", 64, "lock dec qword ptr [rdi]", -1),
  add("sub", 32, "lock sub dword ptr [rdi], esi", -5),
  add("adc", 32, "stc\n lock adc dword ptr [rdi], esi", 6),
  add("sbb", 64, "stc\n lock sbb qword ptr [rdi], 0", -1),
  add("xadd", 32, "mov eax, 3\n lock xadd dword ptr [rdi], eax", 3),
  add("xadd", 64, "mov eax, 3\n lock xadd qword ptr [rdi], rax", 3),
  add("cmpxchg", 32, "mov eax, [rdi]\n retry: lea edx, [rax+1]\n lock cmpxchg dword ptr [rdi], edx\n jnz retry"),
  add("cmpxchg", 16, "mov ax, [rdi]\n retry: lea edx, [rax+1]\n lock cmpxchg word ptr [rdi], dx\n jnz retry"),
  add(
    "cmpxchg8b",
    64,
    `mov eax, [rdi]
     mov edx, [rdi+4]
     retry: lea rbx, [rax+1]
     mov ecx, edx
     cmp ebx, 1
     adc ecx, 0
     lock cmpxchg8b qword ptr [rdi]
     jnz retry`,
  ),
  bit("or and and", "lock or dword ptr [rdi], 1\n lock and dword ptr [rdi], -2"),
  bit("xor", "lock xor dword ptr [rdi], 3"),
  bit("bts and btr", "lock bts dword ptr [rdi], 2\n lock btr dword ptr [rdi], 1"),
  bit("btc", "lock btc dword ptr [rdi], 3"),
  bit("or of nothing", "lock or dword ptr [rdi], 0"),
];

/** Runs turns of `source` while the other thread does what `work` says: how many turns, and how much it did. */
async function race(
  machine: BareMachine,
  source: string,
  work: string,
  data: Record<string, unknown>,
): Promise<{ turns: number; done: number }> {
  const { processor, ram } = machine;
  const { registers } = processor;
  const { bytes } = assemble(`again:\n ${source}\n dec r8\n jnz again\n ud2`, { bits: 64, origin: BigInt(CODE) });
  new Uint8Array(ram.buffer, ram.byteOffset + CODE).set(bytes);
  const control = new Int32Array(new SharedArrayBuffer(12));
  const at = ram.byteOffset + DATA;
  const worker = new Worker(work, { eval: true, workerData: { ...data, buffer: ram.buffer, at, control } });
  const ended = new Promise((resolve, reject) => worker.once("exit", resolve).once("error", reject));
  const ready = new Promise((resolve) => worker.once("online", resolve));
  await Promise.race([ready, ended]);
  while (Atomics.load(control, IS_READY) === 0) await Promise.race([new Promise(setImmediate), ended]);
  let turns = 0;
  const before = Atomics.load(control, DONE);
  while (turns < ENOUGH || Atomics.load(control, DONE) - before < ENOUGH) {
    registers.set32("activity", 0);
    registers.set64("ip", BigInt(CODE));
    registers.setGpr(RDI, BigInt(DATA));
    registers.setGpr(RSI, 5n);
    registers.setGpr(R8, BigInt(TURNS));
    let fault: ReturnType<typeof processor.stretch>;
    for (let i = 0; i < MOST_STRETCHES && fault === undefined; i++) fault = processor.stretch(1_000_000);
    if (fault?.vector !== UNDEFINED) break;
    turns += TURNS;
  }
  Atomics.store(control, IS_OVER, 1);
  await ended;
  assert.ok(turns >= ENOUGH, "the guest's loop ends");
  return { turns, done: control[DONE] as number };
}

const TIERS = {
  "the interpreter": () => new BareMachine(64),
  "translated code": () => new BareMachine(64, "max", (settings) => new InPlace(settings)),
};

for (const [tier, make] of Object.entries(TIERS)) {
  for (const { name, width, source, step, adds } of CHANGES) {
    test(`${name} with LOCK, ${width} bits: ${tier} and another thread lose nothing of what each does`, async () => {
      const machine = make();
      const { turns, done } = await race(machine, source, ADDING, { width, step });
      const found = machine.ram.getBigUint64(DATA, true);
      const others = BigInt(done) * BigInt(step);
      if (adds === undefined) assert.equal((found / BigInt(STEP)) * BigInt(STEP), BigInt.asUintN(width, others));
      else assert.equal(found, BigInt.asUintN(width, others + BigInt(turns) * BigInt(adds)));
      assert.equal(machine.processor.statistics.translated.instructions > 0, tier === "translated code");
    });
  }

  test(`a lock that XCHG takes is held by ${tier} or another thread, never by both`, async () => {
    const machine = make();
    const source = `taken: mov eax, 1
      xchg eax, [rdi]
      test eax, eax
      jnz taken
      inc dword ptr [rdi+4]
      xchg eax, [rdi]`;
    const { turns, done } = await race(machine, source, LOCKING, {});
    assert.equal(machine.ram.getUint32(DATA + 4, true), turns + done);
  });
}
