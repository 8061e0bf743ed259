/**
 * The machine code around tests on the host: it loads a test's state, runs its one instruction, and stores
 * the state again. After the instruction come INT3 bytes, so that every test, whether the instruction completes, jumps
 * or faults, ends in a signal; the handler notes what happened and goes on at the code that stores.
 */
import { FIELD, FS_BASE, GS_BASE, INPUT_SIZE, OUTPUT_SIZE, PLACE, SELECTORS, SPOTS } from "../record.ts";

/** Where the harness itself lies: below 2 GiB, as far as can be from where a test's stray access may go. */
export const HARNESS = {
  code: 0x7a5c_0000,
  codeSize: 0x1000,
  variables: 0x7a5c_1000,
  variablesSize: 0x1000,
  /** Where no test's RSP ever is: Linux would take it that a signal is being handled already. */
  signalStack: 0x2356_7000_0000n,
  signalStackSize: 0x1_0000,
} as const;

/** Variables of the harness, 8 bytes each. */
const at = (index: number) => HARNESS.variables + 8 * index;
export const VARIABLE = {
  /** Address of the record to read and to write next; how many are left. */
  input: at(0),
  output: at(1),
  count: at(2),
  /** What the signal handler noted. */
  vector: at(3),
  errorCode: at(4),
  rip: at(5),
  cr2: at(6),
  /** The host's stack pointer, and its FS and GS bases. */
  hostStack: at(7),
  hostFs: at(8),
  hostGs: at(9),
  /** Where the instruction is: offset (32 bits) and selector of its code segment. RAX after it. */
  target: at(10),
  rax: at(11),
  /** Linear address of the instruction. */
  place: at(14),
  /** SS, in bits 48 to 63, as the signal handler found it. */
  selectors: at(15),
  /** The host's x87 control word and MXCSR. */
  hostControl: at(12),
  hostMxcsr: at(13),
} as const;

/** Structures for system calls, in the page of the variables: JavaScript's own memory may move. */
export const STRUCTURE = {
  action: HARNESS.variables + 0x400,
  formerActions: HARNESS.variables + 0x800,
  signalStack: HARNESS.variables + 0x600,
  fileName: HARNESS.variables + 0x700,
  segment: HARNESS.variables + 0x740,
} as const;

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RSP = 4;
const RSI = 6;
const RDI = 7;

const u32 = (value: number) => [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, value >>> 24];
const u64 = (value: bigint) => Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
/** REX.W with the reg field's and the rm field's extension. */
const rexW = (reg: number, rm: number) => 0x48 | ((reg >> 3) << 2) | (rm >> 3);
/** ModR/M and displacement: [rm + disp32]; rm is not RSP. */
const based = (reg: number, rm: number, displacement: number) => [
  0x80 | ((reg & 7) << 3) | (rm & 7),
  ...u32(displacement),
];
/** ModR/M, SIB and displacement: [disp32]. */
const absolute = (reg: number, address: number) => [0x04 | ((reg & 7) << 3), 0x25, ...u32(address)];

/** One line of the listing each. None changes flags unless it says so. */
const asm = {
  loadAt: (reg: number, base: number, displacement: number) => [
    rexW(reg, base),
    0x8b,
    ...based(reg, base, displacement),
  ],
  storeAt: (base: number, displacement: number, reg: number) => [
    rexW(reg, base),
    0x89,
    ...based(reg, base, displacement),
  ],
  store32At: (base: number, displacement: number, reg: number) => [0x89, ...based(reg, base, displacement)],
  load: (reg: number, address: number) => [rexW(reg, 0), 0x8b, ...absolute(reg, address)],
  store: (address: number, reg: number) => [rexW(reg, 0), 0x89, ...absolute(reg, address)],
  storeImmediate: (address: number, value: number) => [0x48, 0xc7, ...absolute(0, address), ...u32(value)],
  /** mov r32, imm32 */
  set: (reg: number, value: number) => [0xb8 | reg, ...u32(value)],
  /** mov r64, imm64 */
  set64: (reg: number, value: bigint) => [0x48, 0xb8 | reg, ...u64(BigInt.asUintN(64, value))],
  /** add r64, imm32 (flags) */
  add: (reg: number, value: number) => [0x48, 0x81, 0xc0 | reg, ...u32(value)],
  pushAt: (base: number, displacement: number) => [0xff, ...based(6, base, displacement)],
  popAt: (base: number, displacement: number) => [0x8f, ...based(0, base, displacement)],
  pushfq: [0x9c],
  popfq: [0x9d],
  /** push 2; popfq: all flags clear. */
  clearFlags: [0x6a, 0x02, 0x9d],
  repMovsq: [0xf3, 0x48, 0xa5],
  repStosq: [0xf3, 0x48, 0xab],
  fxrstor64: (base: number, displacement: number) => [0x48, 0x0f, 0xae, ...based(1, base, displacement)],
  fxsave64: (base: number, displacement: number) => [0x48, 0x0f, 0xae, ...based(0, base, displacement)],
  fnstcw: (address: number) => [0xd9, ...absolute(7, address)],
  fldcw: (address: number) => [0xd9, ...absolute(5, address)],
  fninit: [0xdb, 0xe3],
  stmxcsr: (address: number) => [0x0f, 0xae, ...absolute(3, address)],
  ldmxcsr: (address: number) => [0x0f, 0xae, ...absolute(2, address)],
  /** mov [base + displacement], segment register */
  storeSegment: (base: number, displacement: number, segment: number) => [
    0x66,
    0x8c,
    ...based(segment, base, displacement),
  ],
  /** mov segment register, ax */
  setSegment: (segment: number) => [0x8e, 0xc0 | (segment << 3)],
  /** mov r32, [base + displacement] */
  load32At: (reg: number, base: number, displacement: number) => [0x8b, ...based(reg, base, displacement)],
  /** mov [base + displacement], r16 */
  store16At: (base: number, displacement: number, reg: number) => [0x66, 0x89, ...based(reg, base, displacement)],
  /** shr r64, imm8 (flags) */
  shiftRight: (reg: number, count: number) => [0x48, 0xc1, 0xe8 | reg, count],
  /** movzx r32, word [base + displacement] */
  load16At: (reg: number, base: number, displacement: number) => [0x0f, 0xb7, ...based(reg, base, displacement)],
  /** mov segment register, [base + displacement] */
  loadSegment: (segment: number, base: number, displacement: number) => [0x8e, ...based(segment, base, displacement)],
  /** mov [address], r32 */
  store32: (address: number, reg: number) => [0x89, ...absolute(reg, address)],
  /** jmp far [address] */
  jumpFar: (address: number) => [0xff, ...absolute(5, address)],
  /** add qword [address], imm32 (flags) */
  addTo: (address: number, value: number) => [0x48, 0x81, ...absolute(0, address), ...u32(value)],
  /** dec qword [address] (flags) */
  decrement: (address: number) => [0x48, 0xff, ...absolute(1, address)],
  push: (reg: number) => (reg < 8 ? [0x50 | reg] : [0x41, 0x50 | (reg & 7)]),
  pop: (reg: number) => (reg < 8 ? [0x58 | reg] : [0x41, 0x58 | (reg & 7)]),
  ret: [0xc3],
} as const;

/** arch_prctl(operation, rsi); clobbers RAX, RCX, RDI and R11. @spec arch_prctl(2) */
const ARCH_PRCTL = { setGs: 0x1001, setFs: 0x1002, getFs: 0x1003, getGs: 0x1004 } as const;
const archPrctl = (operation: number) => [...asm.set(RDI, operation), ...asm.set(RAX, 158), 0x0f, 0x05];
const setBase = (operation: number, base: bigint) => [...asm.set64(RSI, base), ...archPrctl(operation)];
const setBaseFrom = (operation: number, address: number) => [...asm.load(RSI, address), ...archPrctl(operation)];
const getBase = (operation: number, address: number) => [...asm.set(RSI, address), ...archPrctl(operation)];

const TRAP_FLAG = 0x100;
const CALLEE_SAVED = [3, 5, 12, 13, 14, 15];
const SEGMENTS = { es: 0, cs: 1, ss: 2, ds: 3, fs: 4, gs: 5 } as const;

const selector = (segment: number) => FIELD.selectors + 2 * segment;

/** Loads FS and GS as the record at RDX has them; a null selector means that only its base counts. */
function setBases(): number[] {
  const bases = [...setBase(ARCH_PRCTL.setFs, FS_BASE), ...setBase(ARCH_PRCTL.setGs, GS_BASE)];
  return [
    ...[SEGMENTS.fs, SEGMENTS.gs].flatMap((segment) => asm.loadSegment(segment, RDX, selector(segment))),
    ...asm.load16At(RAX, RDX, selector(SEGMENTS.fs)),
    ...[0x85, 0xc0], // test eax, eax
    ...[0x0f, 0x85, ...u32(bases.length)], // jnz past the bases
    ...bases,
  ];
}

/** Copies `size` bytes from [RSI] to [RDI]. */
const copy = (size: number) => [...asm.set(RCX, size / 8), ...asm.repMovsq];

/** Memory, instruction and registers of the record at `input`, then a jump to the instruction. */
function enterTest(): number[] {
  let offset: number = FIELD.memory;
  const fillSpots = SPOTS.flatMap((spot) => {
    const lines = [
      ...asm.load(RSI, VARIABLE.input),
      ...asm.add(RSI, offset),
      ...asm.set(RDI, PLACE.window + spot.offset),
      ...copy(spot.size),
    ];
    offset += spot.size;
    return lines;
  });
  return [
    ...asm.set(RDI, PLACE.window),
    ...asm.set(RAX, 0),
    ...asm.set(RCX, PLACE.windowSize / 8),
    ...asm.repStosq,
    ...fillSpots,
    ...asm.load(RSI, VARIABLE.input),
    ...asm.loadAt(RDI, RSI, FIELD.rip),
    ...asm.store32(VARIABLE.target, RDI),
    ...asm.load32At(RDI, RSI, FIELD.code),
    ...asm.store(VARIABLE.place, RDI),
    ...asm.load16At(RAX, RSI, selector(SEGMENTS.cs)),
    ...asm.store32(VARIABLE.target + 4, RAX),
    ...asm.add(RSI, FIELD.bytes),
    ...copy(16),
    ...asm.load(RDX, VARIABLE.input),
    ...setBases(),
    ...asm.load(RAX, VARIABLE.input),
    ...[SEGMENTS.es, SEGMENTS.ds].flatMap((segment) => asm.loadSegment(segment, RAX, selector(segment))),
    ...asm.fxrstor64(RAX, FIELD.fx),
    ...asm.pushAt(RAX, FIELD.rflags),
    ...asm.popfq,
    ...asm.loadSegment(SEGMENTS.ss, RAX, selector(SEGMENTS.ss)),
    ...Array.from({ length: 15 }, (_, i) => asm.loadAt(i + 1, RAX, FIELD.gpr + 8 * (i + 1))).flat(),
    ...asm.loadAt(RAX, RAX, FIELD.gpr),
    ...asm.jumpFar(VARIABLE.target),
  ];
}

/** Registers, what the signal handler noted, and memory into the record at `output`. */
function storeResult(): number[] {
  return [
    ...asm.store(VARIABLE.rax, RAX),
    ...asm.load(RAX, VARIABLE.output),
    ...Array.from({ length: 15 }, (_, i) => asm.storeAt(RAX, FIELD.gpr + 8 * (i + 1), i + 1)).flat(),
    ...asm.load(RSP, VARIABLE.hostStack),
    ...asm.pushfq,
    ...asm.popAt(RAX, FIELD.rflags),
    ...asm.clearFlags,
    ...asm.fxsave64(RAX, FIELD.fx),
    ...Object.values(SEGMENTS).flatMap((segment) => asm.storeSegment(RAX, FIELD.selectors + 2 * segment, segment)),
    ...asm.load(RCX, VARIABLE.selectors),
    ...asm.shiftRight(RCX, 48),
    ...asm.store16At(RAX, selector(SEGMENTS.ss), RCX),
    ...asm.load(RCX, VARIABLE.rax),
    ...asm.storeAt(RAX, FIELD.gpr, RCX),
    ...asm.load(RCX, VARIABLE.rip),
    ...asm.storeAt(RAX, FIELD.rip, RCX),
    ...asm.load(RCX, VARIABLE.vector),
    ...asm.store32At(RAX, FIELD.vector, RCX),
    ...asm.load(RCX, VARIABLE.errorCode),
    ...asm.store32At(RAX, FIELD.errorCode, RCX),
    ...asm.load(RCX, VARIABLE.cr2),
    ...asm.storeAt(RAX, FIELD.cr2, RCX),
    ...asm.load(RDI, VARIABLE.output),
    ...asm.add(RDI, FIELD.memory),
    ...asm.set(RSI, PLACE.window),
    ...copy(PLACE.windowSize),
    // Segment registers as Linux gives them to a program, which also clears the bases of FS and GS.
    ...asm.set(RAX, 0),
    ...[SEGMENTS.es, SEGMENTS.ds, SEGMENTS.fs, SEGMENTS.gs].flatMap(asm.setSegment),
    // INT3 over the instruction.
    ...asm.load(RDI, VARIABLE.place),
    ...asm.set64(RAX, 0xcccc_cccc_cccc_ccccn),
    ...asm.set(RCX, 2),
    ...asm.repStosq,
  ];
}

/** Signal handler (signal, siginfo, ucontext): notes the trap and makes the context go on at `resume`. @spec Linux asm/sigcontext.h */
function signalHandler(resume: number): number[] {
  const register = (index: number) => 40 + 8 * index;
  const CONTEXT = {
    rip: register(16),
    errorCode: register(19),
    vector: register(20),
    cr2: register(22),
    flags: register(17),
    cs: register(18),
  } as const;
  const note = (offset: number, variable: number) => [...asm.loadAt(RAX, RDX, offset), ...asm.store(variable, RAX)];
  return [
    ...note(CONTEXT.rip, VARIABLE.rip),
    ...note(CONTEXT.errorCode, VARIABLE.errorCode),
    ...note(CONTEXT.vector, VARIABLE.vector),
    ...note(CONTEXT.cr2, VARIABLE.cr2),
    ...note(CONTEXT.cs, VARIABLE.selectors),
    ...[0x48, 0xc7, ...based(0, RDX, CONTEXT.rip), ...u32(resume)], // mov qword [rdx + rip], resume
    // mov word [rdx + cs], code64; mov word [rdx + ss], data
    ...[0x66, 0xc7, ...based(0, RDX, CONTEXT.cs), ...u32(SELECTORS.code64).slice(0, 2)],
    ...[0x66, 0xc7, ...based(0, RDX, CONTEXT.cs + 6), ...u32(SELECTORS.data).slice(0, 2)],
    ...[0x81, ...based(4, RDX, CONTEXT.flags), ...u32(~TRAP_FLAG)], // and dword [rdx + flags], ~TF
    ...asm.ret,
  ];
}

export interface Harness {
  readonly bytes: Uint8Array;
  /** Address of a C function without parameters that runs the tests that the variables describe. */
  readonly run: number;
  /** Address of the signal handler. */
  readonly handler: number;
}

export function buildHarness(): Harness {
  const begin = [
    ...CALLEE_SAVED.flatMap(asm.push),
    ...asm.fnstcw(VARIABLE.hostControl),
    ...asm.stmxcsr(VARIABLE.hostMxcsr),
    ...getBase(ARCH_PRCTL.getFs, VARIABLE.hostFs),
    ...getBase(ARCH_PRCTL.getGs, VARIABLE.hostGs),
    ...asm.store(VARIABLE.hostStack, RSP),
  ];
  const enter = enterTest();
  const resume = HARNESS.code + begin.length + enter.length;
  const loop = [
    ...enter,
    ...storeResult(),
    ...asm.addTo(VARIABLE.input, INPUT_SIZE),
    ...asm.addTo(VARIABLE.output, OUTPUT_SIZE),
    ...asm.decrement(VARIABLE.count),
  ];
  const end = [
    ...setBaseFrom(ARCH_PRCTL.setFs, VARIABLE.hostFs),
    ...setBaseFrom(ARCH_PRCTL.setGs, VARIABLE.hostGs),
    ...asm.fninit,
    ...asm.fldcw(VARIABLE.hostControl),
    ...asm.ldmxcsr(VARIABLE.hostMxcsr),
    ...CALLEE_SAVED.toReversed().flatMap(asm.pop),
    ...asm.set(RAX, 0),
    ...asm.ret,
  ];
  const again = [0x0f, 0x85, ...u32(-(loop.length + 6))]; // jnz loop
  const code = [...begin, ...loop, ...again, ...end];
  return {
    bytes: Uint8Array.from([...code, ...signalHandler(resume)]),
    run: HARNESS.code,
    handler: HARNESS.code + code.length,
  };
}
