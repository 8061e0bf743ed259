/**
 * The host's own processor: runs batches of tests natively, through node:ffi and the machine code of
 * machine-code.ts. x86-64 Linux only. A test can damage the process: use it in one of its own.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type Batch, fillReadOnly, INPUT_SIZE, LOCAL_SEGMENTS, OUTPUT_SIZE, PLACE, SELECTORS } from "../record.ts";
import { buildHarness, HARNESS, STRUCTURE, VARIABLE } from "./machine-code.ts";

/** Batches at most. */
export const MAX_BATCH = 1024;

const BATCH_INPUT = 0x2356_7890_0000n;
const BATCH_OUTPUT = 0x2356_9890_0000n;

// Linux asm-generic/mman.h and signal.h, x86-64.
const PROT = { read: 1, write: 2, execute: 4 } as const;
const MAP = { shared: 1, private: 2, anonymous: 0x20, fixedNoReplace: 0x10_0000 } as const;
/** SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV. */
const SIGNALS = [4, 5, 7, 8, 11];
const SA = { siginfo: 4, onStack: 0x0800_0000, noDefer: 0x4000_0000 } as const;
const MODIFY_LDT = { number: 154n, write: 0x11n, size: 16n } as const;
/** struct sigaction of the C library: handler, 128 bytes of mask, flags, restorer. */
const SIGACTION = { handler: 0, flags: 136, size: 152 } as const;

const FUNCTIONS = {
  mmap: { arguments: ["u64", "u64", "i32", "i32", "i32", "i64"], return: "u64" },
  mprotect: { arguments: ["u64", "u64", "i32"], return: "i32" },
  memfd_create: { arguments: ["pointer", "u32"], return: "i32" },
  ftruncate: { arguments: ["i32", "i64"], return: "i32" },
  sigaction: { arguments: ["i32", "pointer", "pointer"], return: "i32" },
  sigaltstack: { arguments: ["pointer", "pointer"], return: "i32" },
  syscall: { arguments: ["i64", "i64", "u64", "u64"], return: "i64" },
  bsearch: { arguments: ["pointer", "pointer", "u64", "u64", "u64"], return: "pointer" },
} as const;

/** Where the action that was there before for the signal with this index is kept. */
const formerAction = (index: number) => BigInt(STRUCTURE.formerActions + index * SIGACTION.size);

type Ffi = typeof import("node:ffi");

/** Why the host cannot run native tests, or undefined where it can. */
export function unsuitableHost(): string | undefined {
  if (process.platform !== "linux" || process.arch !== "x64") return "native tests need x86-64 Linux";
  try {
    return knowsSelector(SELECTORS.code32) ? undefined : "the host's kernel has no segment for 32-bit code";
  } catch {
    return "this Node has no node:ffi";
  }
}

/**
 * Whether the processor knows a selector. Some hypervisors run a kernel as a program of theirs, and have neither all of its
 * segments nor all of its exceptions: tests would wait for ever there.
 */
function knowsSelector(selector: number): boolean {
  const ffi = createRequire(import.meta.url)("node:ffi") as Ffi;
  const c = ffi.dlopen(null, FUNCTIONS).functions;
  const page = c.mmap(0n, 4096n, PROT.read | PROT.write | PROT.execute, MAP.private | MAP.anonymous, -1, 0n);
  const bytes = new Uint8Array(ffi.toArrayBuffer(page, 4096, false));
  // movzx eax, word ptr [rdi]; lar eax, eax; setnz al; movzx eax, al; ret
  bytes.set([0x0f, 0xb7, 0x07, 0x0f, 0x02, 0xc0, 0x0f, 0x95, 0xc0, 0x0f, 0xb6, 0xc0, 0xc3]);
  const key = page + 64n;
  bytes.set([selector & 0xff, selector >> 8], 64);
  // Calls its last argument once, with the key's address: the way to call an address.
  return c.bsearch(key, key, 1n, 1n, page) !== 0n;
}

export class NativeProcessor {
  readonly #ffi = createRequire(import.meta.url)("node:ffi") as Ffi;
  readonly #c = this.#ffi.dlopen(null, FUNCTIONS).functions;
  /** The page at HARNESS.variables. */
  readonly #variables: DataView;
  readonly #run: bigint;
  /** Whether there are 16-bit segments. */
  readonly hasLocalSegments: boolean;
  /** The tests to run, MAX_BATCH at most. */
  readonly input: Uint8Array;
  readonly output: Uint8Array;
  /** The code's place: all INT3 but for what a test puts there by itself. */
  readonly code: Uint8Array;

  constructor() {
    const writable = PROT.read | PROT.write;
    const all = writable | PROT.execute;
    const harness = buildHarness();
    this.#map(HARNESS.code, HARNESS.codeSize, all).set(harness.bytes);
    this.#variables = new DataView(this.#map(HARNESS.variables, HARNESS.variablesSize, writable).buffer);
    this.#map(HARNESS.signalStack, HARNESS.signalStackSize, writable);
    this.code = this.#map(PLACE.code, PLACE.codeSize, all).fill(0xcc);
    this.#mapWindow();
    this.hasLocalSegments = this.#setLocalSegments();
    this.input = this.#map(BATCH_INPUT, MAX_BATCH * INPUT_SIZE, writable);
    this.output = this.#map(BATCH_OUTPUT, MAX_BATCH * OUTPUT_SIZE, writable);
    this.#run = BigInt(harness.run);
    this.#set(STRUCTURE.action + SIGACTION.handler, BigInt(harness.handler));
    this.#set(STRUCTURE.action + SIGACTION.flags, BigInt(SA.siginfo | SA.onStack | SA.noDefer));
    // stack_t: pointer, flags, size.
    this.#set(STRUCTURE.signalStack, HARNESS.signalStack);
    this.#set(STRUCTURE.signalStack + 16, BigInt(HARNESS.signalStackSize));
  }

  /**
   * Whether this process has memory at `address` that is none of a test's: its program, its heap, whose place Linux
   * draws anew for each process. @spec proc_pid_maps(5)
   */
  hasOwnMemory(address: bigint): boolean {
    const window = BigInt(PLACE.windowSize + PLACE.readOnlySize);
    const within = (start: bigint, size: bigint) => address >= start && address < start + size;
    if (within(BigInt(PLACE.code), BigInt(PLACE.codeSize))) return false;
    if (within(BigInt(PLACE.window), window) || within(PLACE.alias, window)) return false;
    return readFileSync("/proc/self/maps", "latin1")
      .split("\n")
      .some((line) => {
        const [, start, end] = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line) ?? [];
        return start !== undefined && address >= BigInt(`0x${start}`) && address < BigInt(`0x${end}`);
      });
  }

  /** Sets up the local descriptor table; whether the host lets a program do so. @spec modify_ldt(2) */
  #setLocalSegments(): boolean {
    return LOCAL_SEGMENTS.every(({ base, limit, type }, i) => {
      // struct user_desc: number, base, limit, flags.
      const contents = (type >> 2) << 1;
      const readOnly = type & 2 ? 0 : 8;
      const at = STRUCTURE.segment;
      this.#set(at, (BigInt(base) << 32n) | BigInt(i));
      this.#set(at + 8, (BigInt(contents | readOnly) << 32n) | BigInt(limit));
      return this.#c.syscall(MODIFY_LDT.number, MODIFY_LDT.write, BigInt(at), MODIFY_LDT.size) === 0n;
    });
  }

  /** Writes 64 bits in the page of the variables. */
  #set(address: number, value: bigint): void {
    this.#variables.setBigUint64(address - HARNESS.variables, value, true);
  }

  #map(address: number | bigint, size: number, protection: number, file = -1): Uint8Array {
    const flags = MAP.fixedNoReplace | (file < 0 ? MAP.private | MAP.anonymous : MAP.shared);
    const wanted = BigInt(address);
    const found = this.#c.mmap(wanted, BigInt(Math.ceil(size / 4096) * 4096), protection, flags, file, 0n);
    if (found !== wanted) throw new Error(`the host does not give memory at 0x${wanted.toString(16)}`);
    return new Uint8Array(this.#ffi.toArrayBuffer(found, size, false));
  }

  /** The window at both of its places, from one file in memory. */
  #mapWindow(): void {
    // Its name is empty.
    const file = this.#c.memfd_create(BigInt(STRUCTURE.fileName), 0);
    const size = PLACE.windowSize + PLACE.readOnlySize;
    if (file < 0 || this.#c.ftruncate(file, BigInt(size)) !== 0) throw new Error("the host gives no memory file");
    for (const base of [BigInt(PLACE.window), PLACE.alias]) {
      const bytes = this.#map(base, size, PROT.read | PROT.write, file);
      fillReadOnly(bytes.subarray(PLACE.windowSize));
      this.#c.mprotect(base + BigInt(PLACE.windowSize), BigInt(PLACE.readOnlySize), PROT.read);
    }
  }

  /** Runs the first `count` tests of `input` and leaves what came of them in `output`. */
  run(count: number): Batch {
    if (count > MAX_BATCH) throw new Error(`a batch has at most ${MAX_BATCH} tests`);
    this.#set(VARIABLE.input, BATCH_INPUT);
    this.#set(VARIABLE.output, BATCH_OUTPUT);
    this.#set(VARIABLE.count, BigInt(count));
    const key = BigInt(STRUCTURE.fileName);
    this.#takeSignals();
    try {
      // Calls its last argument once: the way to call an address.
      if (count > 0) this.#c.bsearch(key, key, 1n, 1n, this.#run);
    } finally {
      this.#releaseSignals();
    }
    return { count, input: this.input, output: this.output };
  }

  #takeSignals(): void {
    this.#check(this.#c.sigaltstack(BigInt(STRUCTURE.signalStack), 0n));
    SIGNALS.forEach((signal, i) => {
      this.#check(this.#c.sigaction(signal, BigInt(STRUCTURE.action), formerAction(i)));
    });
  }

  #releaseSignals(): void {
    SIGNALS.forEach((signal, i) => {
      this.#check(this.#c.sigaction(signal, formerAction(i), 0n));
    });
  }

  #check(result: number): void {
    if (result !== 0) throw new Error("the host does not let its signals be handled");
  }
}
