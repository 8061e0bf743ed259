/**
 * Port input and output. Outside of what IOPL allows, the I/O permission bitmap of the task decides.
 * @spec SDM 1 chapter 19, "Input/Output"
 */
import { declareFunction } from "./functions.ts";
import { type Instruction, instruction } from "./instruction.ts";
import { ES, type Operand, RAX, RCX, RDI, RDX, RSI, type Semantics } from "./semantics.ts";
import type { Value } from "./value.ts";

/** (port, bytes): #GP(0) unless the I/O permission bitmap allows it. */
const CHECK_PORT = declareFunction("checkPort", { in: "host", params: ["i32", "i32"], faults: true });
/** (port, bytes) → value. */
const READ_PORT = declareFunction("readPort", { in: "host", params: ["i32", "i32"], result: "i32" });
/** (port, bytes, value). */
const WRITE_PORT = declareFunction("writePort", { in: "host", params: ["i32", "i32", "i32"] });

/** Elements that one start of a repeated INS or OUTS does at most. */
const REPEAT_LIMIT = 128;
const EFLAGS_IOPL = 12;
const EFLAGS_VM = 1 << 17;

type PortWidth = 8 | 16 | 32;

/** Operand size 64 is 32 for ports. */
const portWidth = (o: Semantics): PortWidth => (o.operandSize === 16 ? 16 : 32);

/** In virtual-8086 mode the bitmap is asked whatever IOPL is. */
function requirePort(o: Semantics, port: Value, width: PortWidth): void {
  const flags = o.state("eflagsSystem");
  const outside = o.state("cpl").gtU(flags.shrU(EFLAGS_IOPL).and(3));
  o.if(outside.or(flags.and(EFLAGS_VM)), () => {
    o.call(CHECK_PORT, port, width / 8);
  });
}

/** The port of an IN or OUT: an immediate byte or DX. */
const portOf = (o: Semantics, operand: Operand): Value => o.get(operand).and(operand.width === 8 ? 0xff : 0xffff);

function input(o: Semantics, operand: Operand, width: PortWidth): void {
  const port = portOf(o, operand);
  requirePort(o, port, width);
  o.setRegister(RAX, width, o.call(READ_PORT, port, width / 8));
}

function output(o: Semantics, operand: Operand, width: PortWidth): void {
  const port = portOf(o, operand);
  requirePort(o, port, width);
  o.call(WRITE_PORT, port, width / 8, o.register(RAX, width));
}

const DEVICES = "belongs to devices";

export const IN: readonly Instruction[] = [
  instruction("in", {
    spec: "SDM 2, IN",
    forms: ["E4 AL,Ib", "EC AL,DX"],
    untested: DEVICES,
    meaning: (o, _dst, port) => input(o, port, 8),
  }),
  instruction("in", {
    spec: "SDM 2, IN",
    forms: ["E5 rAX,Ib", "ED rAX,DX"],
    untested: DEVICES,
    meaning: (o, _dst, port) => input(o, port, portWidth(o)),
  }),
];

export const OUT: readonly Instruction[] = [
  instruction("out", {
    spec: "SDM 2, OUT",
    forms: ["E6 Ib,AL", "EE DX,AL"],
    untested: DEVICES,
    meaning: (o, port) => output(o, port, 8),
  }),
  instruction("out", {
    spec: "SDM 2, OUT",
    forms: ["E7 Ib,rAX", "EF DX,rAX"],
    untested: DEVICES,
    meaning: (o, port) => output(o, port, portWidth(o)),
  }),
];

/** An index register (RSI, RDI) as an offset. */
const offset = (o: Semantics, index: number): Value => o.register(index, o.addressSize).extendU();

function advance(o: Semantics, width: PortWidth, index: number): void {
  const step = o.state("direction").shl(Math.log2(width / 8));
  const register = o.register(index, o.addressSize);
  o.setRegister(index, o.addressSize, register.add(o.addressSize === 64 ? step.extendS() : step));
}

/** Runs `element` with the port in DX once, or rCX times with a REP prefix. */
function transfer(o: Semantics, width: PortWidth, element: (port: Value) => void): void {
  const port = o.register(RDX, 16);
  const count = () => o.register(RCX, o.addressSize);
  if (o.repeat === "none") {
    requirePort(o, port, width);
    element(port);
    return;
  }
  o.if(count().ne(0), () => {
    requirePort(o, port, width);
    const left = o.variable("i32", o.i32(1).when(o.state("stepping"), REPEAT_LIMIT));
    o.loop((leaveIf) => {
      element(port);
      o.setRegister(RCX, o.addressSize, count().sub(1));
      left.set(left.get().sub(1));
      leaveIf(left.get().eqz().or(count().eqz()));
    });
    o.if(count().ne(0), () => o.restart());
  });
}

/** The destination is written with what it holds first: a fault must come before the port is read. */
function inputString(o: Semantics, width: PortWidth): void {
  transfer(o, width, (port) => {
    const at = offset(o, RDI);
    o.store(ES, at, width, o.load(ES, at, width));
    o.store(ES, at, width, o.call(READ_PORT, port, width / 8));
    advance(o, width, RDI);
  });
}

function outputString(o: Semantics, width: PortWidth): void {
  transfer(o, width, (port) => {
    o.call(WRITE_PORT, port, width / 8, o.load(o.sourceSegment, offset(o, RSI), width));
    advance(o, width, RSI);
  });
}

const stringPair = (
  name: string,
  opcode: number,
  meaning: (o: Semantics, width: PortWidth) => void,
): readonly Instruction[] => {
  const upper = name.toUpperCase();
  const spec = `SDM 2, ${upper}/${upper}B/${upper}W/${upper}D`;
  const form = (code: number) => [code.toString(16).toUpperCase()];
  return [
    instruction(`${name}b`, {
      spec,
      forms: form(opcode),
      repeat: "rep",
      untested: DEVICES,
      meaning: (o) => meaning(o, 8),
    }),
    instruction(`${name}w|${name}d`, {
      spec,
      forms: form(opcode + 1),
      repeat: "rep",
      untested: DEVICES,
      meaning: (o) => meaning(o, portWidth(o)),
    }),
  ];
};

export const INS = stringPair("ins", 0x6c, inputString);
export const OUTS = stringPair("outs", 0x6e, outputString);

export const IO: readonly Instruction[] = [...IN, ...OUT, ...INS, ...OUTS];
