/** Finishing touches of a random test: contents of operands for which anything would mean nothing. */
import type { EncodeOperand } from "../../../src/isa/encode.ts";
import type { Form } from "../../../src/isa/instruction.ts";
import { type OperandSpec, resolveWidth } from "../../../src/isa/operand.ts";
import { CS, type OperandSize, RAX, RBX, RCX, RDX, RSP } from "../../../src/isa/semantics.ts";
import type { Traits } from "../instruction-traits.ts";
import { FX, PLACE, segmentBase } from "../record.ts";
import type { Address } from "./address.ts";
import type { TestCase } from "./test-case.ts";
import { double, extended, integer, packedDecimal, single } from "./values.ts";

export interface Choice {
  readonly form: Form;
  readonly traits: Traits;
  readonly operandSize: OperandSize;
  readonly addressSize: OperandSize;
  readonly operands: readonly (EncodeOperand | "memory" | undefined)[];
  readonly address: Address | undefined;
  /** Address of the next instruction. */
  readonly next: bigint;
}

export function seed(test: TestCase, choice: Choice): void {
  const { traits, address } = choice;
  if (address) seedMemory(test, choice, address);
  relate(test, choice);
  if (traits.bitOffset) seedBitOffset(test, choice);
  if (traits.expects) seedExpected(test, choice, traits.expects);
  if (traits.divides) seedDividend(test, choice, traits.divides);
  if (traits.jumps) seedTarget(test, choice, traits.jumps);
  if (traits.selector) seedSelector(test, choice);
  if (traits.popsFlags) test.poke(test.stackTop, 32, BigInt(test.random.next() & ~0x100 & 0x3fffff));
}

/** The operand in memory and what lies around it. */
function seedMemory(test: TestCase, choice: Choice, { linear }: Address): void {
  const { form } = choice;
  const spec = form.operands.find(({ place, memory }) => place === "moffs" || (place === "rm" && memory !== "never"));
  if (form.instruction.unit === "x87" && spec) {
    seedX87(test, form.instruction.name, linear, resolveWidth(spec.memoryWidth, choice.operandSize));
  } else {
    for (let offset = -16n; offset < 32n; offset += 8n) test.poke(linear + offset, 64, test.lanes());
  }
  switch (choice.traits.image) {
    case "mxcsr":
      test.poke(linear, 32, mxcsrImage(test));
      break;
    case "control":
    case "environment":
    case "x87":
    case "fx":
      seedImage(test, linear, choice.traits.image);
      break;
  }
}

/** Numbers of the format that the instruction takes. */
function seedX87(test: TestCase, name: string, linear: bigint, width: number): void {
  const { random } = test;
  if (name.startsWith("fb")) test.poke(linear, 80, packedDecimal(random));
  else if (name.startsWith("fi")) test.poke(linear, width, integer(random));
  else if (width === 32) test.poke(linear, 32, single(random));
  else if (width === 64) test.poke(linear, 64, double(random));
  else if (width === 80) test.poke(linear, 80, extended(random));
}

/** An MXCSR, sometimes with bits that there are not; bit 17 is there on AMD processors. */
function mxcsrImage(test: TestCase): bigint {
  return BigInt(test.random.chance(80) ? test.mxcsr() : (test.random.next() & ~0x2_0000) >>> 0);
}

/** Control and status words that leave no exception pending most of the time, and an MXCSR that can be loaded. */
function seedImage(test: TestCase, linear: bigint, image: "control" | "environment" | "x87" | "fx"): void {
  const { random } = test;
  const control = BigInt(random.chance(80) ? (random.next() & 0xf00) | 0x7f : random.next() & 0x1f7f);
  test.poke(linear, 16, control);
  if (image === "control") return;
  const status = BigInt(random.next() & 0x7f7f);
  if (image === "fx") {
    test.poke(linear + 2n, 16, status);
    test.poke(linear + BigInt(FX.mxcsr), 32, mxcsrImage(test));
    for (let i = 0n; i < 8n; i++) test.poke(linear + BigInt(FX.st) + 16n * i, 80, extended(random));
  } else {
    test.poke(linear + 4n, 16, status);
    if (image === "x87") for (let i = 0n; i < 8n; i++) test.poke(linear + 28n + 10n * i, 80, extended(random));
  }
}

/** Numbers of registers that the memory operand's address is made of. */
function addressRegisters({ address }: Choice): readonly (number | undefined)[] {
  return address ? [address.operand.base, address.operand.index] : [];
}

function generalRegister({ form, operands }: Choice, ...places: OperandSpec["place"][]): number | undefined {
  const index = form.operands.findIndex(({ place, file }) => file === "general" && places.includes(place));
  const operand = operands[index];
  return typeof operand === "object" && operand.kind === "register" && !operand.high ? operand.number : undefined;
}

/** Sometimes the operands are the same, or nearly so. */
function relate(test: TestCase, choice: Choice): void {
  const { random } = test;
  const { form, operands, address } = choice;
  if (!random.chance(20)) return;
  const numbers = operands.map((operand) =>
    typeof operand === "object" && operand.kind === "register" ? operand.number : undefined,
  );
  const vectors = numbers.filter((number, i) => number !== undefined && form.operands[i]?.file === "xmm") as number[];
  const [first, second] = vectors;
  if (first !== undefined) {
    const bytes = test.xmm(first);
    if (second !== undefined) test.xmm(second).set(bytes);
    else if (address) test.memory(address.linear, 16)?.set(bytes);
    const other = second !== undefined ? test.xmm(second) : address && test.memory(address.linear, 16);
    if (other && random.chance(50)) {
      const at = random.below(16);
      other[at] = (other[at] as number) ^ (1 << random.below(8));
    }
    return;
  }
  const reg = generalRegister(choice, "reg");
  const rm = generalRegister(choice, "rm");
  if (reg === undefined || addressRegisters(choice).includes(reg)) return;
  if (rm !== undefined) test.setGpr(reg, test.gpr(rm) + BigInt(random.between(-1, 1)));
  else if (address) test.setGpr(reg, test.peek(address.linear, 64) + BigInt(random.between(-1, 1)));
}

/** Bit numbers that mostly stay in the window. */
function seedBitOffset(test: TestCase, choice: Choice): void {
  const source = generalRegister(choice, "reg");
  if (source === undefined || !choice.address || addressRegisters(choice).includes(source)) return;
  // Far away there is nothing, nearer by may be the host's own memory.
  const number = BigInt(test.random.between(-2500, 2500));
  const far = choice.operandSize === 64 && test.random.chance(10) ? 1n << 52n : 0n;
  if (choice.operandSize === 64) test.setGpr(source, number + far);
  else test.setGprLow(source, choice.operandSize, number);
}

/** A comparison that often finds what it looks for. */
function seedExpected(test: TestCase, choice: Choice, expects: "accumulator" | "pair"): void {
  const { random } = test;
  if (random.chance(40)) return;
  const addressed = addressRegisters(choice);
  const { address } = choice;
  if (expects === "accumulator") {
    const rm = generalRegister(choice, "rm");
    if (address) test.poke(address.linear, 64, test.gpr(RAX));
    else if (rm !== undefined && !addressed.includes(RAX)) test.setGpr(RAX, test.gpr(rm));
    return;
  }
  if (!address) return;
  const wide = choice.form.attributes.has("w1");
  const width = wide ? 64 : 32;
  test.poke(address.linear, width, test.gpr(RAX));
  test.poke(address.linear + BigInt(width / 8), width, test.gpr(RDX));
  if (!addressed.includes(RBX) && random.chance(50)) test.setGpr(RBX, integer(random));
  if (!addressed.includes(RCX) && random.chance(50)) test.setGpr(RCX, integer(random));
}

/** A dividend whose quotient fits most of the time. */
function seedDividend(test: TestCase, choice: Choice, divides: "unsigned" | "signed"): void {
  const { random } = test;
  if (random.chance(30)) return;
  const spec = choice.form.operands[0] as OperandSpec;
  const width = resolveWidth(spec.width, choice.operandSize);
  const addressed = addressRegisters(choice);
  const rax = test.gpr(RAX);
  const negative = divides === "signed" && BigInt.asIntN(width, rax) < 0n;
  const small = random.chance(60) ? 0n : BigInt(random.below(4));
  const high = negative ? -1n - small : small;
  if (addressed.includes(RAX) || addressed.includes(RDX)) return;
  if (width === 8) test.setGprLow(RAX, 16, ((high & 0xffn) << 8n) | (rax & 0xffn));
  else test.setGprLow(RDX, width, high);
}

/** Somewhere to jump to: code, most of the time. */
function seedTarget(test: TestCase, choice: Choice, jumps: "operand" | "stack"): void {
  const { random } = test;
  const base = segmentBase(test.bits, CS);
  const places = [
    BigInt(PLACE.window),
    PLACE.alias,
    0n,
    0x7523_4567n,
    0xffff_ff80_0000_0000n,
    0x8000_0000_0000n,
    0x7fff_0000_0000_0000n,
  ];
  const code = () => BigInt(PLACE.code + random.pick([0, 0x400, 0x1800]) + random.below(0x300)) - base;
  // Offsets of 16 bits, and one beyond.
  const near = [0x8000n, 0x1_0000n, 0x1_0010n, 0xffffn];
  const target = random.chance(85) ? code() : random.pick(test.bits === 16 ? near : places);
  if (jumps === "stack") {
    test.poke(test.stackTop, 64, target);
    return;
  }
  if (choice.address) test.poke(choice.address.linear, 64, target);
  else {
    const register = generalRegister(choice, "rm");
    // A call through RSP must find a stack there; no code is.
    const stack = register === RSP && choice.form.instruction.name === "call";
    if (register !== undefined && !stack) test.setGpr(register, target);
  }
}

/** Selectors of Linux's descriptor table: none, a program's, the kernel's, beyond its end; 78h differs by processor. */
const GLOBAL = [0, 1, 2, 3, 0x23, 0x28, 0x29, 0x2b, 0x2b, 0x2b, 0x33, 0x10, 0x18, 0x20, 0x22, 0x63, 0x8b, 0xfff8];
/** Selectors of the local one: its segments, with too much privilege asked for, too, and what is beyond. */
const LOCAL = [0x04, 0x07, 0x0f, 0x0c, 0x17, 0x1f, 0x1e, 0x27];

function seedSelector(test: TestCase, choice: Choice): void {
  const { form, address, operandSize } = choice;
  const selector = BigInt(test.random.pick(test.random.chance(60) ? GLOBAL : LOCAL));
  const addressed = addressRegisters(choice);
  if (form.instruction.name.startsWith("pop")) test.poke(test.stackTop, 16, selector);
  if (address) {
    const far = form.operands.some(({ text }) => text === "Mp");
    test.poke(address.linear + (far ? BigInt(operandSize / 8) : 0n), 16, selector);
  }
  const register = generalRegister(choice, "rm");
  if (register !== undefined && !addressed.includes(register)) test.setGprLow(register, 16, selector);
  const source = generalRegister(choice, "reg");
  if (form.instruction.name === "arpl" && source !== undefined) test.setGprLow(source, 16, selector);
}
