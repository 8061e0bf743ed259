/**
 * Accesses near each other in translated code, which are found together, against the interpreter, which finds each by
 * itself: across ends of pages that lie elsewhere, cannot be written or are not there, in loops, branches and calls.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../bits/testing/seeded-random.ts";
import { assemble } from "../../isa/assemble.ts";
import { BareMachine, CODE, HOLE } from "../system/testing/bare-machine.ts";
import { InPlace } from "./in-place.ts";

/** Linear addresses: two pages that lie apart in memory, one to read only, then HOLE. */
const PAGES = HOLE - 0x3000;
const APART = [0x24_0000, 0x22_0000, 0x23_0000];
const MOST_CODE = 0x1000;
const UNDEFINED = 6;
const WRITE_PROTECT = 1n << 16n;

const WIDTHS = [
  ["byte", "al"],
  ["word", "ax"],
  ["dword", "eax"],
  ["qword", "rax"],
] as const;

/** A few accesses off RSI, RDI and RSP, with what changes those registers between them. */
function body(random: SeededRandom, most: number): string {
  const distance = () => random.pick([0, 8, 16, 4, -8, 1 + random.below(30), -random.below(60), random.below(300)]);
  const place = () => random.pick([`rsi+${distance()}`, `rsi+${distance()}`, `rdi+${distance()}`, `rsi+rcx*8`]);
  const lines = Array.from({ length: most - random.below(most - 2) }, () => {
    const [width, register] = random.pick(WIDTHS);
    const memory = `${width} ptr [${place().replace("+-", "-")}]`;
    switch (random.below(12)) {
      case 0:
        return `add rsi, ${random.pick([8, 16, 24])}`;
      case 1:
        return `lea rdi, [rsi+${random.below(64)}]`;
      case 2:
        return "push rax";
      case 3:
        return "pop rax";
      case 4:
        return `add ${memory}, ${random.below(100)}`;
      case 5:
        return "test al, 1\n jz over_LABEL\n mov rax, [rsi]\n over_LABEL:";
      case 6:
      case 7:
        return `mov ${memory}, ${register}`;
      case 8:
        return "call near_LABEL\n jmp over_LABEL\n near_LABEL: mov rbx, [rsp]\n push rax\n pop rdx\n ret\n over_LABEL:";
      default:
        return `add ${register}, ${memory}`;
    }
  });
  return lines.map((line, i) => line.replaceAll("LABEL", `${i}`)).join("\n");
}

function machine(regions?: { large: boolean }): BareMachine {
  const made = new BareMachine(64, "max", regions && ((settings) => new InPlace(settings, regions)));
  made.processor.registers.set64("cr0", made.processor.registers.get64("cr0") | WRITE_PROTECT);
  made.processor.modeChanged();
  return made;
}

function run(machine: BareMachine, start: { seed: number; rsi: number; rsp: number; count: number }): string {
  const { processor, ram } = machine;
  const { registers } = processor;
  const random = new SeededRandom(start.seed);
  APART.forEach((physical, i) => {
    machine.mapPage(PAGES + i * 4096, physical, i < 2);
    for (let at = 0; at < 4096; at += 4) ram.setUint32(physical + at, random.next() >>> 0, true);
  });
  processor.flushTlb();
  registers.set32("activity", 0);
  registers.set64("ip", BigInt(CODE));
  for (let i = 0; i < 16; i++) registers.setGpr(i, BigInt(i));
  registers.setGpr(1, BigInt(random.below(6)));
  registers.setGpr(4, BigInt(start.rsp));
  registers.setGpr(6, BigInt(start.rsi));
  registers.setGpr(7, BigInt(start.rsi + 32));
  registers.setGpr(8, BigInt(start.count));
  const exception = processor.stretch(5000);
  const gprs = Array.from({ length: 16 }, (_, i) => registers.gpr(i).toString(16)).join();
  let hash = 0;
  for (let at = 0x8000; at < ram.byteLength; at += 4) hash = (Math.imul(hash, 31) + ram.getInt32(at, true)) | 0;
  const fault = exception
    ? `${exception.vector} ${exception.errorCode} ${registers.get64("faultAddress").toString(16)}`
    : "none";
  return `${fault} at ${registers.get64("ip").toString(16)}: ${gprs} ${hash}`;
}

/** Compares random loops of so many lines and turns at the most. */
function compareLoops(regions: { large: boolean }, lines: number, turns: number): void {
  const random = new SeededRandom(11);
  const [interpreted, translated] = [machine(), machine(regions)];
  const ends = { faults: 0, completions: 0 };
  for (let round = 0; round < 40; round++) {
    const source = `again:\n ${body(random, lines)}\n dec r8\n jnz again\n ud2`;
    const { bytes } = assemble(source, { bits: 64, origin: BigInt(CODE) });
    for (const { processor, ram } of [interpreted, translated]) {
      processor.physicalWritten(CODE, CODE + MOST_CODE);
      new Uint8Array(ram.buffer, ram.byteOffset + CODE).set(bytes);
    }
    for (let i = 0; i < 12; i++) {
      const near = () => PAGES + random.pick([0x1000, 0x2000, 0x3000, 0x800]) + random.below(100) - 80;
      const start = { seed: random.next(), rsi: near(), rsp: near() & ~7, count: 1 + random.below(turns) };
      const expected = run(interpreted, start);
      assert.equal(run(translated, start), expected, `${source}\n${JSON.stringify(start)}`);
      ends[expected.startsWith(`${UNDEFINED} `) ? "completions" : "faults"]++;
    }
  }
  assert.ok(translated.processor.statistics.translated.regions > 40);
  assert.ok(ends.faults > 50 && ends.completions > 50, JSON.stringify(ends));
}

test("accesses that are found together do what each does by itself, whatever lies between their pages", () =>
  compareLoops({ large: false }, 3 + 8, 5));

test("in large regions, too", () => compareLoops({ large: true }, 3 + 8, 5));

test("copies of small loops do what the loop does", () => compareLoops({ large: true }, 3, 30));
