/** Changes of memory under LOCK: what code they have, and that they are done as without it while nobody else is there. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../../isa/assemble.ts";
import { FORMS } from "../../isa/index.ts";
import type { Form } from "../../isa/instruction.ts";
import { disassembleBody, readModule } from "../../wasm/disassemble.ts";
import { type AtomicOperation, atomicOpcode } from "../../wasm/opcodes.ts";
import { HANDLER } from "../emit/enter-block.ts";
import { codeModule } from "../interpret/code-table.ts";
import { buildHandler } from "../interpret/handler.ts";
import { codeContext, linkageOf } from "../interpret/handlers.ts";
import { CONTEXT, VCPU_BASE } from "../state.ts";
import { BareMachine, CODE, HOLE } from "../system/testing/bare-machine.ts";
import { InPlace } from "../translate/in-place.ts";
import { bindOperand } from "./semantics.ts";

/** What each instruction that can be locked does to memory. */
const ATOMIC: Readonly<Record<string, AtomicOperation | undefined>> = {
  add: "add",
  or: "or",
  adc: "cmpxchg",
  sbb: "cmpxchg",
  and: "and",
  sub: "sub",
  xor: "xor",
  inc: "add",
  dec: "sub",
  neg: "cmpxchg",
  not: "xor",
  bts: "or",
  btr: "and",
  btc: "xor",
  xchg: "xchg",
  xadd: "add",
  cmpxchg: "cmpxchg",
  cmpxchg8b: "cmpxchg",
  cmpxchg16b: undefined,
};
const LOCKABLE = FORMS.filter(({ instruction, operands }) => instruction.lock && operands[0]?.place === "rm");

/** The atomic instructions of a form's handler. */
function atomicsOf(form: Form, operandSize: 16 | 32 | 64, lock: boolean): string[] {
  const module = codeModule({ initial: 1, maximum: 1 });
  const context = codeContext(CONTEXT.long);
  const where = { addressSize: 64, segmentUse: "flat", memory: true, indexed: false } as const;
  const shape = { form, operandSize, context, lock, repeat: "none", opcodeLow: 0, ...where } as const;
  module.function(HANDLER, (f) => buildHandler(f, VCPU_BASE, shape, linkageOf(module, undefined)), { name: form.text });
  const { names, functions } = readModule(module.build());
  return functions
    .flatMap(({ body }) => disassembleBody(body, names).map(({ text }) => text))
    .filter((text) => text.includes("atomic"));
}

test("an instruction with LOCK changes memory by one atomic instruction, and one without by none", () => {
  assert.deepEqual(new Set(LOCKABLE.map(({ instruction }) => instruction.name)), new Set(Object.keys(ATOMIC)));
  for (const form of LOCKABLE) {
    for (const operandSize of [16, 32, 64] as const) {
      const { name, lock } = form.instruction;
      const operation = ATOMIC[name];
      const { width } = bindOperand(form.operands[0] as (typeof form.operands)[0], true, operandSize);
      const atomic = operation === undefined ? [] : [atomicOpcode(operation, width).name];
      const about = `${name} ${form.text} ${operandSize}`;
      assert.deepEqual(atomicsOf(form, operandSize, true), atomic, about);
      assert.deepEqual(atomicsOf(form, operandSize, false), lock === "implicit" ? atomic : [], about);
    }
  }
});

/** Linear addresses of two pages that lie apart in memory; then HOLE. */
const PAGES = HOLE - 0x2000;
const APART = [0x24_0000, 0x22_0000];
const INSTRUCTIONS = [
  ...["add PLACE, REGISTER", "or PLACE, REGISTER", "adc PLACE, REGISTER", "sbb PLACE, REGISTER"],
  ...["and PLACE, REGISTER", "sub PLACE, REGISTER", "xor PLACE, REGISTER", "xadd PLACE, REGISTER"],
  ...["inc PLACE", "dec PLACE", "neg PLACE", "not PLACE", "cmpxchg PLACE, REGISTER", "or PLACE, 0"],
];
const WIDE = ["bts PLACE, REGISTER", "btr PLACE, 3", "btc PLACE, REGISTER", "cmpxchg8b qword ptr [rdi]"];
const SIZES = [
  ["byte", "dl"],
  ["word", "dx"],
  ["dword", "edx"],
  ["qword", "rdx"],
] as const;
const PLACES = [
  ...[PAGES, PAGES + 1, PAGES + 2, PAGES + 4, PAGES + 7, PAGES + 8],
  ...[PAGES + 0xff8, PAGES + 0xff9, PAGES + 0xffc, PAGES + 0xffe, PAGES + 0xfff],
  ...[HOLE - 8, HOLE - 4, HOLE - 3, HOLE - 1, HOLE],
];
const COMPARED = 0x40;

class Tester {
  readonly #machine: BareMachine;
  readonly #bytes = new Map<string, Uint8Array>();

  constructor(regions?: { large: boolean }) {
    this.#machine = new BareMachine(64, "max", regions && ((settings) => new InPlace(settings, regions)));
    for (const [i, physical] of APART.entries()) this.#machine.mapPage(PAGES + i * 4096, physical);
    this.#machine.processor.flushTlb();
  }

  /** Runs an instruction five times on [RDI], and gathers flags: what comes of it. */
  run(instruction: string, place: number): string {
    const { processor, ram } = this.#machine;
    const { registers } = processor;
    const source = `again: ${instruction}
      pushfq
      pop r9
      rol r10, 7
      xor r10, r9
      mov eax, 0x01020304
      dec r8
      jnz again
      ud2`;
    const bytes = this.#bytes.get(source) ?? assemble(source, { bits: 64, origin: BigInt(CODE) }).bytes;
    this.#bytes.set(source, bytes);
    processor.physicalWritten(CODE, CODE + 0x100);
    new Uint8Array(ram.buffer, ram.byteOffset + CODE).set(bytes);
    for (const physical of APART) {
      for (let at = 0; at < 4096; at += 4) ram.setUint32(physical + at, Math.imul(at + 4, 0x0102_0304), true);
    }
    registers.set32("activity", 0);
    registers.set64("ip", BigInt(CODE));
    for (let i = 0; i < 16; i++) registers.setGpr(i, BigInt(i) * 0x0123_4567_89ab_cdefn);
    registers.setGpr(4, 0x21_0000n);
    registers.setGpr(7, BigInt(place));
    registers.setGpr(8, 5n);
    registers.set64("faultAddress", 0n);
    const fault = processor.stretch(1000);
    const gprs = Array.from({ length: 16 }, (_, i) => registers.gpr(i).toString(16)).join();
    const around = APART.flatMap((physical) => [physical, physical + 4096 - COMPARED]).map((at) =>
      Buffer.from(ram.buffer, ram.byteOffset + at, COMPARED).toString("hex"),
    );
    return `${fault?.vector} ${registers.get64("faultAddress").toString(16)} ${gprs} ${around.join()}`;
  }

  get translated(): number {
    return this.#machine.processor.statistics.translated.instructions;
  }
}

test("LOCK changes nothing else: aligned or not, across pages and into a page that is not there", () => {
  const plain = new Tester();
  const interpreted = new Tester();
  const translated = [new Tester({ large: false }), new Tester({ large: true })];
  for (const [size, register] of SIZES) {
    for (const template of size === "byte" ? INSTRUCTIONS : [...INSTRUCTIONS, ...WIDE]) {
      const instruction = template.replace("PLACE", `${size} ptr [rdi]`).replace("REGISTER", register);
      for (const place of PLACES) {
        const expected = plain.run(instruction, place);
        for (const tester of [interpreted, ...translated]) {
          assert.equal(tester.run(`lock ${instruction}`, place), expected, `${instruction} at ${place.toString(16)}`);
        }
      }
    }
  }
  for (const tester of translated) assert.ok(tester.translated > 0);
});
