/**
 * String instructions: MOVS, CMPS, STOS, LODS, SCAS. A repeated one does up to REPEAT_LIMIT bytes and then asks to be
 * started again, so that interrupts get their turn; registers are right after every element, so that a fault in the
 * next one finds them as of the last one done. CMPS and SCAS set flags only at their end.
 *
 * Forwards, elements are done as a run where one can be: a function of src/cpu/mmu takes as many as lie in one page
 * and need no attention. What it leaves (the first touch of a page that faults, elements across pages, device memory,
 * pages with code) is done one by one.
 * @spec SDM 1, 7.3.9; SDM 2, REP/REPE/REPZ/REPNE/REPNZ
 */
import { declareFunction } from "./functions.ts";
import { type Instruction, type InstructionSpec, instruction } from "./instruction.ts";
import { ES, type OperandSize, RAX, RCX, RDI, RSI, type Semantics } from "./semantics.ts";
import type { Value, Variable } from "./value.ts";

/** Bytes that one start of a repeated string instruction does at most; an element done by itself counts as more. */
const REPEAT_LIMIT = 65536;
const SINGLE_COST = 32;

/**
 * Runs of elements: how many were done. Addresses are linear, `bytes` what the run may have at most; `shift` is the
 * logarithm of an element's bytes.
 */
const COPY_RUN = declareFunction("copyRun", {
  in: "wasm",
  params: ["i64", "i64", "i32", "i32"], // from, to, bytes, shift
  result: "i32",
});
const FILL_RUN = declareFunction("fillRun", {
  in: "wasm",
  params: ["i64", "i64", "i32", "i32"], // to, element, bytes, shift
  result: "i32",
});
/** Elements at the start that are all equal (REPE), or all different. */
const COMPARE_RUN = declareFunction("compareRun", {
  in: "wasm",
  params: ["i64", "i64", "i32", "i32", "i32"], // first, second, bytes, shift, 1 for equal ones
  result: "i32",
});
const SCAN_RUN = declareFunction("scanRun", {
  in: "wasm",
  params: ["i64", "i64", "i32", "i32", "i32"], // memory, element, bytes, shift, 1 for equal ones
  result: "i32",
});

/** An index register (RSI, RDI) as an offset. */
const offset = (o: Semantics, index: number): Value => o.register(index, o.addressSize).extendU();

/** `bytes` (i32) from where RSI points, and from where RDI does, as far as their segment has them in one piece. */
const sourceSpan = (o: Semantics, bytes: Value) => o.span(o.sourceSegment, offset(o, RSI), bytes, false);
const targetSpan = (o: Semantics, bytes: Value, write: boolean) => o.span(ES, offset(o, RDI), bytes, write);

/** Moves index registers by `count` (i32) elements, forwards or backwards. */
function advance(o: Semantics, shift: number, count: Value, indices: readonly number[]): void {
  const step = o.state("direction").shl(shift).mul(count);
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

/** A repetition of elements of `width` bits at the places that `indices` are the registers of. */
class Repetition {
  readonly #o: Semantics;
  readonly shift: number;
  readonly #indices: readonly number[];
  /** Bytes that this start may still do; none while a debugger steps, which looks in after each element. */
  readonly #left: Variable;

  constructor(o: Semantics, width: number, indices: readonly number[]) {
    this.#o = o;
    this.shift = Math.log2(width / 8);
    this.#indices = indices;
    this.#left = o.variable("i32", o.i32(0).when(o.state("stepping"), REPEAT_LIMIT));
  }

  /** rCX. */
  count(): Value {
    return this.#o.register(RCX, this.#o.addressSize);
  }

  /**
   * Bytes (i32) that a run may have of rCX elements without the last `spared`: none backwards, or where only one
   * element is wanted.
   */
  bytes(spared: number): Value {
    const wanted = this.count().sub(spared);
    const most = this.#left.get().shrS(this.shift);
    const few = wanted.ltU(most.type === wanted.type ? most : most.extendU());
    const elements = wanted.wrap().when(few, most);
    return elements.shl(this.shift).when(this.#o.state("direction").gtS(0), 0);
  }

  /** Counts `elements` (i32) that are done, each of which took as long as `cost` bytes. */
  done(elements: Value, cost: number): void {
    const o = this.#o;
    advance(o, this.shift, elements, this.#indices);
    o.setRegister(RCX, o.addressSize, this.count().sub(o.addressSize === 64 ? elements.extendU() : elements));
    this.#left.set(this.#left.get().sub(elements.mul(cost)));
  }

  /** i32: whether this start has done what it may. */
  isOver(): Value {
    return this.#left.get().leS(0);
  }
}

/**
 * Runs `element` once, or rCX times with a REP prefix; `run` does elements within so many bytes (i32) at once, and
 * gives their number.
 */
function repeat(
  o: Semantics,
  width: number,
  indices: readonly number[],
  element: () => void,
  run?: (bytes: Value, shift: number) => Value,
): void {
  if (o.repeat === "none") {
    element();
    advance(o, Math.log2(width / 8), o.i32(1), indices);
    return;
  }
  // LODS, which has no run, leaves its pointer.
  clearUpperHalves(o, RCX, ...(run ? indices : []));
  o.if(o.register(RCX, o.addressSize).ne(0), () => {
    const repetition = new Repetition(o, width, indices);
    o.loop((leaveIf) => {
      const elements = run ? run(repetition.bytes(0), repetition.shift) : o.i32(0);
      o.if(
        elements,
        () => repetition.done(elements, width / 8),
        () => {
          element();
          repetition.done(o.i32(1), SINGLE_COST);
        },
      );
      leaveIf(repetition.isOver().or(repetition.count().eqz()));
    });
    o.if(repetition.count().ne(0), () => o.restart());
  });
}

/**
 * Runs `element`, which gives the two values it compares, once, or with REPE and REPNE until rCX is zero or the
 * comparison ends it; then sets flags of the last comparison, which is never part of a run.
 */
function repeatCompare(
  o: Semantics,
  width: number,
  indices: readonly number[],
  element: () => readonly [Value, Value],
  run: (bytes: Value, shift: number) => Value,
): void {
  if (o.repeat === "none") {
    const [a, b] = element();
    advance(o, Math.log2(width / 8), o.i32(1), indices);
    o.flagsSub(a, b, a.sub(b), width);
    return;
  }
  clearUpperHalves(o, RCX);
  const type = width === 64 ? "i64" : "i32";
  o.if(o.register(RCX, o.addressSize).ne(0), () => {
    const repetition = new Repetition(o, width, indices);
    const first = o.variable(type);
    const second = o.variable(type);
    const goesOn = o.variable("i32");
    o.loop((leaveIf) => {
      repetition.done(run(repetition.bytes(1), repetition.shift), width / 8);
      const [a, b] = element();
      first.set(a);
      second.set(b);
      repetition.done(o.i32(1), SINGLE_COST);
      goesOn.set((o.repeat === "repe" ? a.eq(b) : a.ne(b)).and(repetition.count().ne(0)));
      leaveIf(goesOn.get().eqz().or(repetition.isOver()));
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
  repeat(
    o,
    width,
    [RSI, RDI],
    () => {
      const value = o.load(o.sourceSegment, offset(o, RSI), width);
      o.store(ES, offset(o, RDI), width, value);
    },
    (bytes, shift) => {
      const from = sourceSpan(o, bytes);
      const to = targetSpan(o, from.bytes, true);
      return o.call(COPY_RUN, from.linear, to.linear, to.bytes, shift);
    },
  ),
);

export const CMPS = stringPair("cmps", 0xa6, "repe", (o, width) =>
  repeatCompare(
    o,
    width,
    [RSI, RDI],
    () => {
      const a = o.load(o.sourceSegment, offset(o, RSI), width);
      return [a, o.load(ES, offset(o, RDI), width)];
    },
    (bytes, shift) => {
      const first = sourceSpan(o, bytes);
      const second = targetSpan(o, first.bytes, false);
      return o.call(COMPARE_RUN, first.linear, second.linear, second.bytes, shift, o.repeat === "repe" ? 1 : 0);
    },
  ),
);

export const STOS = stringPair("stos", 0xaa, "rep", (o, width) =>
  repeat(
    o,
    width,
    [RDI],
    () => o.store(ES, offset(o, RDI), width, o.register(RAX, width)),
    (bytes, shift) => {
      const to = targetSpan(o, bytes, true);
      return o.call(FILL_RUN, to.linear, o.register(RAX, width).extendU(), to.bytes, shift);
    },
  ),
);

export const LODS = stringPair("lods", 0xac, "rep", (o, width) =>
  repeat(o, width, [RSI], () => {
    const value = o.load(o.sourceSegment, offset(o, RSI), width);
    o.setRegister(RAX, width, value);
  }),
);

export const SCAS = stringPair("scas", 0xae, "repe", (o, width) =>
  repeatCompare(
    o,
    width,
    [RDI],
    () => [o.register(RAX, width), o.load(ES, offset(o, RDI), width)],
    (bytes, shift) => {
      const memory = targetSpan(o, bytes, false);
      const element = o.register(RAX, width).extendU();
      return o.call(SCAN_RUN, memory.linear, element, memory.bytes, shift, o.repeat === "repe" ? 1 : 0);
    },
  ),
);

export const STRING: readonly Instruction[] = [...MOVS, ...CMPS, ...STOS, ...LODS, ...SCAS];
