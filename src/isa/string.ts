/**
 * String instructions: MOVS, CMPS, STOS, LODS, SCAS. A repeated one does up to REPEAT_LIMIT elements and then asks
 * to be started again, so that interrupts get their turn; registers are right after every element, so that a fault
 * in the next one finds them as of the last one done. CMPS and SCAS set flags only at their end.
 * @spec SDM 1, 7.3.9; SDM 2, REP/REPE/REPZ/REPNE/REPNZ
 */
import { type Instruction, type InstructionSpec, instruction } from "./instruction.ts";
import { ES, type OperandSize, RAX, RCX, RDI, RSI, type Semantics } from "./semantics.ts";
import type { Value } from "./value.ts";

/** Elements that one start of a repeated string instruction does at most. */
const REPEAT_LIMIT = 2048;

/** How many elements (i32) this start does at most: one while a debugger steps, which looks in after each. */
export const repeatLimit = (o: Semantics, limit: number): Value => o.i32(1).when(o.state("stepping"), limit);

/** An index register (RSI, RDI) as an offset. */
const offset = (o: Semantics, index: number): Value => o.register(index, o.addressSize).extendU();

/** Moves index registers by one element, forwards or backwards. */
function advance(o: Semantics, width: number, ...indices: number[]): void {
  const shift = Math.log2(width / 8);
  const step = o.state("direction").shl(shift);
  for (const index of indices) {
    const register = o.register(index, o.addressSize);
    o.setRegister(index, o.addressSize, register.add(o.addressSize === 64 ? step.extendS() : step));
  }
}

/**
 * A repeated instruction with 32-bit addresses in 64-bit mode clears the upper halves of its count and its pointers
 * before its first element, even if there is none: as Intel's processors do it, while AMD's do so after an element.
 */
function clearUpperHalves(o: Semantics, ...indices: number[]): void {
  if (!o.long || o.addressSize !== 32) return;
  for (const index of indices) o.setRegister(index, 32, o.register(index, 32));
}

/**
 * Runs `element` once, or rCX times with a REP prefix. `pointers` are the index registers whose upper halves are
 * cleared first.
 */
function repeat(o: Semantics, pointers: readonly number[], element: () => void): void {
  if (o.repeat === "none") {
    element();
    return;
  }
  clearUpperHalves(o, RCX, ...pointers);
  const count = () => o.register(RCX, o.addressSize);
  o.if(count().ne(0), () => {
    const left = o.variable("i32", repeatLimit(o, REPEAT_LIMIT));
    o.loop((leaveIf) => {
      element();
      o.setRegister(RCX, o.addressSize, count().sub(1));
      left.set(left.get().sub(1));
      leaveIf(left.get().eqz().or(count().eqz()));
    });
    o.if(count().ne(0), () => o.restart());
  });
}

/**
 * Runs `element`, which gives the two values it compares, once, or with REPE and REPNE until rCX is zero or the
 * comparison ends it; then sets flags of the last comparison.
 */
function repeatCompare(o: Semantics, width: number, element: () => readonly [Value, Value]): void {
  if (o.repeat === "none") {
    const [a, b] = element();
    o.flagsSub(a, b, a.sub(b), width);
    return;
  }
  clearUpperHalves(o, RCX);
  const count = () => o.register(RCX, o.addressSize);
  const type = width === 64 ? "i64" : "i32";
  o.if(count().ne(0), () => {
    const left = o.variable("i32", repeatLimit(o, REPEAT_LIMIT));
    const first = o.variable(type);
    const second = o.variable(type);
    const goesOn = o.variable("i32");
    o.loop((leaveIf) => {
      const [a, b] = element();
      first.set(a);
      second.set(b);
      o.setRegister(RCX, o.addressSize, count().sub(1));
      left.set(left.get().sub(1));
      goesOn.set((o.repeat === "repe" ? a.eq(b) : a.ne(b)).and(count().ne(0)));
      leaveIf(goesOn.get().eqz().or(left.get().eqz()));
    });
    o.if(
      goesOn.get(),
      () => o.restart(),
      () => {
        const [a, b] = [first.get(), second.get()];
        o.flagsSub(a, b, a.sub(b), width);
      },
    );
  });
}

/** The byte instruction and the one of operand size. */
function stringPair(
  name: string,
  opcode: number,
  repeats: NonNullable<InstructionSpec["repeat"]>,
  meaning: (o: Semantics, width: 8 | OperandSize) => void,
): Instruction[] {
  const hex = (code: number) => code.toString(16).toUpperCase();
  const upper = name.toUpperCase();
  const spec = `SDM 2, ${upper}/${upper}B/${upper}W/${upper}D/${upper}Q`;
  return [
    instruction(`${name}b`, { spec, forms: [hex(opcode)], repeat: repeats, meaning: (o) => meaning(o, 8) }),
    instruction(`${name}w|${name}d|${name}q`, {
      spec,
      forms: [hex(opcode + 1)],
      repeat: repeats,
      meaning: (o) => meaning(o, o.operandSize),
    }),
  ];
}

export const MOVS = stringPair("movs", 0xa4, "rep", (o, width) =>
  repeat(o, [RSI, RDI], () => {
    const value = o.load(o.sourceSegment, offset(o, RSI), width);
    o.store(ES, offset(o, RDI), width, value);
    advance(o, width, RSI, RDI);
  }),
);

export const CMPS = stringPair("cmps", 0xa6, "repe", (o, width) =>
  repeatCompare(o, width, () => {
    const a = o.load(o.sourceSegment, offset(o, RSI), width);
    const b = o.load(ES, offset(o, RDI), width);
    advance(o, width, RSI, RDI);
    return [a, b];
  }),
);

export const STOS = stringPair("stos", 0xaa, "rep", (o, width) =>
  repeat(o, [RDI], () => {
    o.store(ES, offset(o, RDI), width, o.register(RAX, width));
    advance(o, width, RDI);
  }),
);

export const LODS = stringPair("lods", 0xac, "rep", (o, width) =>
  repeat(o, [], () => {
    const value = o.load(o.sourceSegment, offset(o, RSI), width);
    o.setRegister(RAX, width, value);
    advance(o, width, RSI);
  }),
);

export const SCAS = stringPair("scas", 0xae, "repe", (o, width) =>
  repeatCompare(o, width, () => {
    const b = o.load(ES, offset(o, RDI), width);
    advance(o, width, RDI);
    return [o.register(RAX, width), b];
  }),
);

export const STRING: readonly Instruction[] = [...MOVS, ...CMPS, ...STOS, ...LODS, ...SCAS];
