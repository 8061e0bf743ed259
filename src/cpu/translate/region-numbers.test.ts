/**
 * SSE arithmetic in translated code, where an instruction relies on what earlier ones have found of its operands,
 * against the interpreter, which looks at each instruction by itself.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../bits/testing/seeded-random.ts";
import { assemble } from "../../isa/assemble.ts";
import { BareMachine, CODE, DATA } from "../system/testing/bare-machine.ts";
import { InPlace } from "./in-place.ts";

/** Upper halves of doubles, which are singles too: zeros, denormals, ends of the normal numbers, infinities, NaNs. */
const RARE = [
  ...[0, 0x8000_0000, 0x0000_0001, 0x8005_5555, 0x000f_ffff, 0x0010_0000, 0x0010_0001, 0x0020_0000, 0x7fef_ffff],
  ...[0x7fe0_0000, 0x7ff0_0000, 0xfff0_0000, 0x7ff8_0000, 0x7ff4_0000, 0x7f80_0000, 0x7f7f_ffff, 0x0080_0000],
  ...[0x007f_ffff, 0x7f7f_ffff, 0x7fc0_0000, 0x7f80_0001, 0x5fe0_0000, 0x1ff0_0000],
];
const COMMON = [0x3ff0_0000, 0xbff8_0000, 0x4024_1234, 0x3fb9_9999, 0xc059_0fdb, 0x3f80_0000, 0x4048_0000];

const SCALAR = ["add", "sub", "mul", "div", "sqrt", "min", "max"];
const SUFFIXES = ["sd", "sd", "ss", "pd", "ps"];

/** One instruction: arithmetic mostly, and what moves, compares, and converts numbers. */
function instructionOf(random: SeededRandom): string {
  const register = () => `xmm${random.below(6)}`;
  const [a, b] = [register(), register()];
  const memory = `[rsi+${16 * random.below(8)}]`;
  switch (random.below(12)) {
    case 0:
      return `movapd ${a}, ${b}`;
    case 1:
      return `movsd ${a}, qword ptr ${memory}`;
    case 2:
      return `movss ${a}, ${b}`;
    case 3:
      return `${random.pick(["cvtsd2ss", "cvtss2sd", "cvtps2pd", "cvtpd2ps", "cvtdq2ps"])} ${a}, ${b}`;
    case 4:
      return `${random.pick(["comisd", "ucomisd", "comiss"])} ${a}, ${b}\n setb al\n adc r8d, eax`;
    case 5:
      return `${random.pick(["xorpd", "unpcklpd", "movhlps", "pxor"])} ${a}, ${b}`;
    case 6:
      return `${random.pick(["cvttsd2si", "cvtsd2si", "cvttss2si"])} r9, ${b}\n add r8, r9`;
    default: {
      const suffix = random.pick(SUFFIXES);
      const width = suffix === "sd" ? "qword" : suffix === "ss" ? "dword" : "xmmword";
      const source = random.below(3) === 0 ? `${width} ptr ${memory}` : b;
      return `${random.pick(SCALAR)}${suffix} ${a}, ${source}`;
    }
  }
}

interface State {
  readonly registers: string;
  readonly mxcsr: number;
}

function run(machine: BareMachine, start: { data: Uint32Array; mxcsr: number }): State {
  const { registers } = machine.processor;
  const words = new Uint32Array(machine.ram.buffer, machine.ram.byteOffset + DATA, start.data.length);
  words.set(start.data);
  registers.set32("activity", 0);
  registers.set64("ip", BigInt(CODE));
  registers.set32("mxcsr", start.mxcsr);
  registers.setGpr(6, BigInt(DATA));
  registers.setGpr(8, 0n);
  registers.setGpr(9, 0n);
  const xmm = (index: number) =>
    new Uint32Array(machine.processor.registers.bytes.buffer, registers.xmmAddress(index), 4);
  for (let i = 0; i < 6; i++) xmm(i).set(start.data.subarray(i * 4, i * 4 + 4));
  for (let kind = "budget"; kind === "budget"; ) kind = machine.processor.run(1000).kind;
  const vectors = Array.from({ length: 6 }, (_, i) => [...xmm(i)].map((word) => word.toString(16)).join("."));
  return { registers: `${vectors.join(" ")} ${registers.gpr(8).toString(16)}`, mxcsr: registers.get32("mxcsr") };
}

function machineFor(code: Uint8Array, translated: boolean): BareMachine {
  const machine = new BareMachine(64, "max", translated ? (settings) => new InPlace(settings) : undefined);
  const { registers } = machine.processor;
  registers.set64("cr4", registers.get64("cr4") | 0x600n);
  machine.processor.modeChanged();
  new Uint8Array(machine.ram.buffer, machine.ram.byteOffset + CODE).set(code);
  return machine;
}

test("numbers that are not ordinary come out of translated code as they do one instruction at a time", () => {
  const random = new SeededRandom(7);
  for (let round = 0; round < 30; round++) {
    const source = Array.from({ length: 14 }, () => instructionOf(random)).join("\n");
    // The jump ends a block, so that it is translated.
    const { bytes } = assemble(`${source}\n jmp end\n end:\n hlt`, { bits: 64, origin: BigInt(CODE) });
    const interpreted = machineFor(bytes, false);
    const translated = machineFor(bytes, true);
    for (let i = 0; i < 40; i++) {
      const rare = random.below(3);
      const word = () => (random.below(10) < rare * 2 ? random.pick(RARE) : random.pick(COMMON));
      const data = Uint32Array.from({ length: 32 }, (_, at) => (at % 2 === 0 && random.below(2) ? 0 : word()));
      // Everything masked; mostly quiet, else with flags clear, flushing, or rounding in other ways.
      const mxcsr = random.pick([0x1fa0, 0x1fa0, 0x1fa0, 0x1f80, 0x9fe0, 0x1fe0, 0x9fa0, 0x3fa0, 0x7fa0]);
      const expected = run(interpreted, { data, mxcsr });
      const actual = run(translated, { data, mxcsr });
      assert.deepEqual(actual, expected, `${source}\nmxcsr ${mxcsr.toString(16)}, words ${[...data].join()}`);
    }
    assert.ok(translated.processor.statistics.translated.regions > 0);
  }
});
