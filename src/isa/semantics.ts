/**
 * What an instruction's meaning is written against: operands, registers, flags, memory and control flow of
 * the guest processor. There are several implementations (an interpreter's handler, a translator's region);
 * a meaning works on all of them and contains no trace of any.
 *
 * Order matters in one respect: everything that can fault (`load`, `store`, `get` and `put` of memory, `push`,
 * `pop`, `raiseIf`, faulting functions) must come before the first change of a register or flag, so that
 * a fault finds the state as it was before the instruction.
 */
import type { Argument, Value, ValueType, Variable } from "./value.ts";

/** An operand of the instruction at hand. */
export interface Operand {
  /** Bits: 8, 16, 32, 64, 80 or 128; for memory without a size (LEA, FXSAVE, ...) 0. */
  readonly width: number;
  /** False for registers and immediates. */
  readonly isMemory: boolean;
}

export type OperandSize = 16 | 32 | 64;
/** General registers by encoding: 0 RAX, 1 RCX, 2 RDX, 3 RBX, 4 RSP, 5 RBP, 6 RSI, 7 RDI, 8–15. */
export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RBX = 3;
export const RSP = 4;
export const RBP = 5;
export const RSI = 6;
export const RDI = 7;
/** Segment registers by encoding. */
export const ES = 0;
export const CS = 1;
export const SS = 2;
export const DS = 3;
export const FS = 4;
export const GS = 5;

/** Exception vectors. @spec SDM 3A 6.3.1, table 6-1 */
export const VECTOR = {
  DE: 0,
  DB: 1,
  NMI: 2,
  BP: 3,
  OF: 4,
  BR: 5,
  UD: 6,
  NM: 7,
  DF: 8,
  TS: 10,
  NP: 11,
  SS: 12,
  GP: 13,
  PF: 14,
  MF: 16,
  AC: 17,
  MC: 18,
  XM: 19,
} as const;
export type Exception = keyof typeof VECTOR;

/** A status flag: carry, parity, auxiliary carry, zero, sign, overflow. */
export type Flag = "c" | "p" | "a" | "z" | "s" | "o";

/** Named fields of the processor's state that meanings read and write; see the processor's state layout. */
export type StateField =
  | "fpu"
  | "mxcsr"
  | "fpuControl"
  | "fpuStatus"
  | "fpuTag"
  | "fpuTop"
  | "fpuRaised"
  | "fpuOpcode"
  | "fpuIp"
  | "fpuDp"
  | "fpuCs"
  | "fpuDs"
  | "direction"
  | "interruptFlag"
  | "cpl"
  | "cr0"
  | "cr2"
  | "cr3"
  | "cr4"
  | "xcr0"
  | "eflagsSystem"
  | "interruptPending"
  | "heldOffAt"
  | "mmuMode"
  | "nmiBlocked"
  | "dr7"
  | "simdResult"
  | "tscAux"
  | "tscOffset"
  | "star"
  | "lstar"
  | "cstar"
  | "sfmask"
  | "fsBase"
  | "gsBase"
  | "esSelector"
  | "csSelector"
  | "ssSelector"
  | "dsSelector"
  | "fsSelector"
  | "gsSelector"
  | "kernelGsBase"
  | "gdtBase"
  | "gdtLimit"
  | "idtBase"
  | "idtLimit"
  | "efer"
  | "sysenterEsp"
  | "sysenterEip"
  | "stepping";

export interface ArithmeticFlags {
  /** CF stays as it is. */
  readonly keepCarry?: boolean;
  /** The result has the carry or borrow in it. */
  readonly withCarry?: boolean;
}

/** The formats of SSE's numbers. */
export type NumberType = "f32" | "f64";

/**
 * What code that is built for several instructions knows of SSE's numbers and of MXCSR. A number is called ordinary
 * that is zero or normal: neither denormal nor infinite nor NaN.
 */
export interface NumberKnowledge {
  /**
   * i32: QUIET_LIMIT (sse-native.ts) where rounding is quiet and all numbers are ordinary that are assumed to be; else 0.
   */
  limit(): Value;
  /** Whether a number, or all numbers of a vector, may be taken for ordinary while `limit` is not 0. */
  isAssumed(type: NumberType, value: Value): boolean;
  /** From here on these may be taken for ordinary, of which code has just made sure, or it has called `doubt`. */
  assume(type: NumberType, ...values: readonly Value[]): void;
  /** Where `condition` (i32) holds `limit` is 0. */
  doubt(condition: Value): void;
}

export interface Semantics {
  /** Operand size of the instruction, from mode and prefixes. */
  readonly operandSize: OperandSize;
  /** Address size of the instruction. */
  readonly addressSize: OperandSize;
  /** Bits of the stack pointer that are used: 64 in 64-bit mode, else by the stack segment. */
  readonly stackSize: OperandSize;
  /** True in 64-bit mode (not in compatibility mode). */
  readonly long: boolean;
  /** True in protected mode where ES, CS, SS and DS begin at 0 and have 4 GiB: offsets are linear addresses. */
  readonly flat: boolean;
  /** The REP prefix: F3 "repe", F2 "repne"; for instructions that take it as such. */
  readonly repeat: "none" | "repe" | "repne";
  /** Bits of the ModR/M reg or opcode that the form leaves free (condition code, register, ...). */
  readonly opcodeLow: number;

  i32(value: number): Value;
  i64(value: number | bigint): Value;
  f32(value: number): Value;
  f64(value: number): Value;
  v128(bytes: readonly number[]): Value;
  variable(type: ValueType, initial?: Argument): Variable;

  /**
   * Reads an operand: width up to 32 as a zero-extended i32, 64 as i64, 128 as v128. Immediates are
   * sign-extended to the width of the instruction's operand first. An XMM register read with a width below
   * 128 gives its low lane.
   */
  get(operand: Operand): Value;
  /** An operand of up to 32 bits as a sign-extended i32. */
  getSigned(operand: Operand): Value;
  /** An operand of 32 or 64 bits as a floating-point number: the low lane of an XMM register. */
  getNumber(operand: Operand): Value;
  /** An operand of 32 or 64 bits in the low lane of a v128, all else zero. */
  getLow(operand: Operand): Value;
  /**
   * Writes an operand; bits of `value` above the width are ignored. 8 and 16 bits of a general register
   * leave the rest, 32 clear the upper half. A width below 128 in an XMM register leaves the other lanes. `value` may
   * be a floating-point number of the operand's width.
   */
  put(operand: Operand, value: Value): void;
  /**
   * Reads and writes an operand at once: faults as a write does, before `change` runs; atomic under LOCK. What `change`
   * returns must not follow from what it has set: under LOCK memory is changed first.
   */
  update(operand: Operand, change: (old: Value) => Value): void;
  /** The effective address (offset in its segment, i64), cut to the address size. */
  address(operand: Operand): Value;
  /** The linear address (i64) of a memory operand, with no look at its segment's limit (INVLPG). */
  linearAddress(operand: Operand): Value;
  /** Reads `width` bits at a memory operand's address plus `displacement` bytes. */
  loadAt(operand: Operand, displacement: Argument, width: number): Value;
  storeAt(operand: Operand, displacement: Argument, width: number, value: Value): void;
  /** As `update`, at a memory operand's address plus `displacement` bytes. */
  updateAt(operand: Operand, displacement: Argument, width: number, change: (old: Value) => Value): void;
  /** Reads `width` bits at `offset` (i64) in segment `segment`. */
  load(segment: number, offset: Value, width: number): Value;
  store(segment: number, offset: Value, width: number, value: Value): void;
  /** As `update`, at `offset` (i64) in segment `segment`. */
  modify(segment: number, offset: Value, width: number, change: (old: Value) => Value): void;
  /**
   * The linear address (i64) of `offset` (i64) in segment `segment`, and how many of `bytes` (i32) from there lie in
   * the segment and before offsets wrap around: those can be accessed with no more looks at the segment.
   */
  span(segment: number, offset: Value, bytes: Value, write: boolean): { readonly linear: Value; readonly bytes: Value };
  /** The segment of a string source: DS or the override. */
  readonly sourceSegment: number;
  readonly numbers: NumberKnowledge;
  /** For alignment-checked SSE operands: #GP(0) unless the operand's address is a multiple of `bytes`. */
  checkAligned(operand: Operand, bytes: number): void;

  /** General register `index`, as `get` gives it. Width 8 is the low byte. */
  register(index: number, width: number): Value;
  setRegister(index: number, width: number, value: Value): void;
  /** XMM register `index` (v128). */
  xmm(index: number): Value;
  setXmm(index: number, value: Value): void;
  /** A field of the processor's state, i32 or i64 by its declaration. */
  state(field: StateField): Value;
  setState(field: StateField, value: Argument): void;
  /** i32 address of an operand's register (XMM, MMX, general) or of the state field, for functions that take pointers. */
  slot(what: Operand | StateField): Value;

  /** Reads or writes state memory by pointer (for x87 and similar). */
  loadState(type: "i32" | "i64" | "v128" | "i32.8u" | "i32.16u", pointer: Value, offset?: number): Value;
  storeState(type: "i32" | "i64" | "v128" | "i32.8" | "i32.16", pointer: Value, value: Value, offset?: number): void;

  /** Pushes `value` (operand size, or 64 in 64-bit mode) on the stack; RSP changes only if the store succeeds. */
  push(value: Value, width: number): void;
  /** Reads the top of the stack; RSP moves when `commit` is called by the meaning, at its end. */
  pop(width: number): { readonly value: Value; commit(): void };

  /** A flag as i32, 0 or 1. */
  flag(flag: Flag): Value;
  /** Condition `code` (0–15, as in Jcc) as i32, 0 or not. */
  condition(code: number): Value;
  /** Flags of `result = a + b`, or with a carry. `keepCarry` for INC. */
  flagsAdd(a: Value, b: Value, result: Value, width: number, options?: ArithmeticFlags): void;
  /** Flags of `result = a - b`, or with a borrow. `keepCarry` for DEC. */
  flagsSub(a: Value, b: Value, result: Value, width: number, options?: ArithmeticFlags): void;
  /** Flags of AND, OR, XOR, TEST: from the result, carry and overflow clear. */
  flagsLogic(result: Value, width: number): void;
  /** S, Z, P from `result`; C and O as given (i32, 0 or 1); A clear unless given. */
  flagsResult(result: Value, width: number, carry: Value, overflow: Value, auxiliary?: Value): void;
  /** Sets the given flags (i32, 0 or 1 each), leaves the others. */
  setFlags(flags: Partial<Record<Flag, Value>>): void;
  /** RFLAGS as pushed (i32, bits 0–21, RF and VM as in the register). */
  getEflags(): Value;

  if(condition: Value, then: () => void, otherwise?: () => void): void;
  /** As `if`, for what rarely happens. */
  ifRare(condition: Value, then: () => void): void;
  /**
   * Does `usual` where `condition` is zero, nearly always; else `slow`, which may call what only the host can do. Nothing
   * has been changed before, so that translated code can leave all of the instruction to the interpreter instead.
   */
  rarely(condition: Value, slow: () => void, usual: () => void): void;
  /** Runs `body` again and again until `body` calls its argument with a condition that is not zero. */
  loop(body: (leaveIf: (condition: Value) => void) => void): void;

  /** Raises an exception at this instruction; `errorCode` where the vector has one. */
  raise(exception: Exception, errorCode?: Argument): void;
  raiseIf(condition: Value, exception: Exception, errorCode?: Argument): void;
  /** #GP(0) unless CPL is 0. */
  requireCpl0(): void;

  /** Calls a declared function (see functions.ts). */
  call(name: string, ...args: Argument[]): Value;

  /** The parts of an immediate far pointer (operand "Ap"): offset as i64, selector as i32. */
  farPointer(operand: Operand): { readonly offset: Value; readonly selector: Value };

  /** Offset of the next instruction in the code segment (i64). */
  nextIp(): Value;
  /** Offset of this instruction (i64). */
  thisIp(): Value;
  /**
   * Raises what `jump` to `ip` would raise (#GP(0) beyond the code segment or not canonical), for meanings
   * that change the stack pointer or a register before they jump.
   */
  checkTarget(ip: Value): void;
  /** Goes on at offset `ip` (i64, cut to the operand size by the caller); the meaning's last act. */
  jump(ip: Value): void;
  /**
   * Goes on at offset `ip` (i64) of the code segment, mode and privilege that a function has just set up, which
   * need not be those that this instruction was built for; the meaning's last act.
   */
  transfer(ip: Value): void;
  /** Goes on at the relative operand's target, or at the next instruction; the meaning's last act. */
  jumpIf(condition: Value, target: Operand): void;
  /** The relative operand's target (i64), cut to the operand size. */
  target(operand: Operand): Value;
  /** Ends the block after an instruction that changed what decoding or privilege depends on, at the next instruction. */
  endBlock(): void;
  /** Repeats this instruction later, when events (interrupts) were looked at; for long string operations. */
  restart(): void;
}
