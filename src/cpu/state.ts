/**
 * Where everything lives in the guest's memory object: one table of names and offsets that emitters,
 * functions, tests and snapshots read. One vCPU's state is VCPU_SIZE bytes from VCPU_BASE on, where the memory
 * begins; shared tables and guest RAM follow.
 */
export type StateType = "i32" | "i64";

export const VCPU_BASE = 0;
export const VCPU_SIZE = 0x3c_0000;

/** Software TLB: entries of TLB_ENTRY bytes, TLB_ENTRIES for each MMU mode. */
export const TLB_ENTRIES = 4096;
export const TLB_ENTRY = 32;
/**
 * An entry's fields: page address for reads, writes and execution (or `noPage`), host offset to add, guest frame. The frame's
 * word has TLB_FRAME's bits and, above them, what kind of page it is; it is -1 where the entry is empty.
 */
export const TLB = { read: 0, write: 8, addend: 16, frame: 20, execute: 24 } as const;
export const TLB_FRAME = 0xf_ffff;
/** A global page, and a part of a page of more than 4 KiB. */
export const TLB_GLOBAL = 1 << 29;
export const TLB_LARGE = 1 << 30;
export const TLB_SIZE = TLB_ENTRIES * TLB_ENTRY;
/** How far an address is shifted so that the bits of its page that tell the entry stand where those of the entry's address do. */
export const TLB_INDEX_SHIFT = 12 - Math.log2(TLB_ENTRY);
/** For the entry at an address, the address of a page that belongs in the entry beside it: no access here is to that page. */
export const noPage = (entry: number): number => (entry ^ TLB_ENTRY) << TLB_INDEX_SHIFT;
/** MMU modes: which TLB an access looks into. The last is never filled: it forces checks (alignment, watchpoints). */
export const MMU_MODE = { supervisor: 0, user: 1, supervisorAc: 2, checked: 3 } as const;

/** Jump cache: linear address of a block to its first record. */
export const JUMP_ENTRIES = 131072;
export const JUMP_ENTRY = 16;
/** Bits of `context`; above them stands the generation. */
export const CONTEXT = { long: 1, code32: 2, stack32: 4, flat: 8, user: 16, step: 32 } as const;
export const CONTEXT_BITS = 8;
/** The bits that decoded blocks depend on: with `step`, a block is one instruction. */
export const BLOCK_CONTEXT = CONTEXT.long | CONTEXT.code32 | CONTEXT.stack32 | CONTEXT.flat | CONTEXT.step;
export const JUMP = { linear: 0, record: 8, context: 12 } as const;
/** Entries of the second cache behind it, for what another block's entry has taken the place of. */
export const JUMP_VICTIM_ENTRIES = 8192;

/** A segment register's visible and hidden parts. @spec SDM 3A 3.4.3 */
export const SEGMENT = {
  base: 0,
  /** Valid offsets for reads and for writes, inclusive; readMin > readMax where none is. */
  readMin: 8,
  readMax: 12,
  writeMin: 16,
  writeMax: 20,
  selector: 24,
  limit: 28,
  /** Descriptor bits 40–55: type, S, DPL, P, limit 19:16, AVL, L, D/B, G; 0x10000 marks an unusable segment. */
  attributes: 32,
} as const;
export const SEGMENT_SIZE = 40;

const layout: Record<string, { offset: number; type: StateType }> = {};
let end = 0;
function place(type: StateType, ...names: string[]): void {
  const size = type === "i64" ? 8 : 4;
  end = Math.ceil(end / size) * size;
  for (const name of names) {
    layout[name] = { offset: end, type };
    end += size;
  }
}
function area(size: number, align: number): number {
  end = Math.ceil(end / align) * align;
  const offset = end;
  end += size;
  return offset;
}

// First what all code has to do with: in the first 128 bytes of the memory, where an instruction of the host's has one byte for
// an address, elsewhere four (docs/translator.md).
place(
  "i64",
  // Offset in the code segment of the block that runs, and of the instruction that faulted.
  "ip",
  // Status flags, kept unevaluated: see emit/flags.ts.
  "flagResult",
);
// These two are stored as one i64 where both are cleared: flagAux first.
place("i32", "flagAux", "flagCarry");
place(
  "i32",
  // Address of the TLB of the present MMU mode, and of the one for implicit supervisor accesses.
  "tlb",
  // What decoding depends on, below the present mode's generation: a number that changes to empty the jump cache.
  "context",
  // Instructions left before control goes back, and what was set aside to force it back at once.
  "budget",
  "budgetAside",
);
/** General registers, 8 bytes each, and a register that always reads zero (an absent base or index). */
export const GPR = area(16 * 8, 8);
export const ZERO = area(8, 8);
place(
  "i64",
  "cr0",
  "cr2",
  "cr3",
  "cr4",
  "xcr0",
  "efer",
  "star",
  "lstar",
  "cstar",
  "sfmask",
  "kernelGsBase",
  "tscAux",
  "tscOffset",
  "tscDeadline",
  "sysenterCs",
  "sysenterEsp",
  "sysenterEip",
  "pat",
  "apicBase",
  "miscEnable",
  "dr0",
  "dr1",
  "dr2",
  "dr3",
  "dr6",
  "dr7",
  "gdtBase",
  "idtBase",
  "fpuIp",
  "fpuDp",
  "faultAddress",
  // The address lines that reach memory: all, or all but A20.
  "addressLines",
  // What kept pages of the present mode have in the low bits of their tags.
  "pageKey",
  // Offset of the instruction behind an STI or a load of SS that found no interrupt waiting: none comes right before it.
  "heldOffAt",
);
place(
  "i32",
  // RFLAGS without the status flags and DF: TF, IF, IOPL, NT, RF, VM, AC, VIF, VIP, ID in place.
  "eflagsSystem",
  // +1 or -1.
  "direction",
  "cpl",
  // Not zero while x87, MMX or SSE instructions must be looked at by hand (CR0.EM/TS, CR4.OSFXSR): see system/units.ts.
  "x87Trap",
  "mmxTrap",
  "sseTrap",
  "waitTrap",
  "mxcsr",
  "fpuControl",
  "fpuStatus",
  "fpuTag",
  "fpuTop",
  // Exceptions and C1 that the operation at hand has found.
  "fpuRaised",
  "fpuOpcode",
  "fpuCs",
  "fpuDs",
  "gdtLimit",
  "idtLimit",
  "mmuMode",
  // Why control came back (EXIT), and the fault's vector, error code and record.
  "exit",
  "faultVector",
  "faultCode",
  "pc",
  // What is held off for one instruction (SHADOW): interrupts after STI, debug traps too after MOV SS.
  "shadow",
  // Debug traps that wait to be delivered, as bits of DR6.
  "debugTraps",
  // Not zero while instructions run one at a time: repeated ones then do one element.
  "stepping",
  // Not zero while accesses to data are told of, to breakpoints of the guest or of a debugger.
  "watching",
  // Not zero while an external interrupt waits that the controllers let through.
  "interruptPending",
  // NMIs are held off until the next IRET.
  "nmiBlocked",
  // Processor activity: 0 runs, 1 halted, 2 shut down, 3 waits for SIPI.
  "activity",
  "ramPages",
  // What to add to the host address that RAM would have, for video memory.
  "videoOffset",
  "guestModel",
);
/** Segment registers ES CS SS DS FS GS, then LDTR and TR. */
export const SEGMENTS = area(8 * SEGMENT_SIZE, 16);
export const LDTR = 6;
export const TR = 7;
/** x87 and MMX registers, 16 bytes each: mantissa at 0, sign and exponent at 8. */
export const FPU = area(8 * 16, 16);
/** XMM registers in 32-byte slots: the upper half is kept for YMM. */
export const XMM = area(16 * 32, 32);
/** Bytes for accesses that cannot be made in place, and for functions' results. */
export const SCRATCH = area(64, 16);
/** Where functions of the instruction set leave results of more than one word (`simdResult`). */
export const RESULT = area(64, 16);
export const FIELDS_SIZE = area(0, 4096);
// What goes with the TLBs and the jump cache, and is no state of the guest's.
place(
  "i64",
  // GiB of linear addresses (by a hash) of which the TLBs may have parts of large pages: of local, and of global ones.
  "largePages",
  "largeGlobalPages",
  // What flags follow from that a region has left to be evaluated: translate/lazy-flags.ts.
  "parkedA",
  "parkedB",
  "parkedR",
);
place(
  "i32",
  // The generations of the two modes.
  "userGeneration",
  "supervisorGeneration",
  // Whether the jump cache may have code of supervisors on pages that are not global.
  "localCode",
  // What was spent beside instructions since the host had its turn: see instruction-budget.ts.
  "effort",
  // Record of the region that was left last, or 0 where other code has run since: whose budget it was that ends.
  "lastRegion",
  // Whether someone is to be told of exceptions and interrupts.
  "observed",
  // Entries of the TLBs that are not empty: how many addresses stand at TLB_FILLED.
  "tlbFilled",
  // What a jump's record has in place of a link (LINK): not yet, and never.
  "unlinked",
  "neverLinked",
);
/** Aligned, so that an entry's address tells which pages belong in it. */
export const TLBS = area(4 * TLB_SIZE, TLB_SIZE);
/** Addresses of the TLBs' entries that are not empty. */
export const TLB_FILLED = area(4 * TLB_ENTRIES * 4, 64);
export const JUMP_CACHE = area(JUMP_ENTRIES * JUMP_ENTRY, 4096);
export const JUMP_VICTIMS = area(JUMP_VICTIM_ENTRIES * JUMP_ENTRY, 4096);
/**
 * What regions' calls expect to go back to, by where the address lies on the stack: that address, and where the link is that the
 * caller goes on by (REGION.links). NO_LINK leads nowhere.
 */
export const RETURN = { linear: 0, link: 8 } as const;
export const RETURN_ENTRY = 16;
export const RETURN_ENTRIES = 64;
export const RETURNS = area(RETURN_ENTRIES * RETURN_ENTRY, 64);
export const NO_LINK = area(JUMP_ENTRY, 16);
/** A bit for each linear page (by a hash) that the jump cache may have code of: for supervisors, then for users. */
export const CODE_PAGES_BITS = 8192;
export const CODE_PAGES = area((2 * CODE_PAGES_BITS) / 8, 64);
/**
 * Pages that translated code found last, one for each group of accesses that are likely to meet there again: the page's
 * linear address with `pageKey` in its low bits, and the host offset to add. Those for reads come first.
 */
export const KEPT_PAGES_EACH = 4096;
export const KEPT_PAGE = 64;
export const KEPT = {
  tag: 0,
  addend: 8,
  /** The region's `clock` when another page was asked for, and how often that was soon after the last time. */
  clock: 12,
  misses: 16,
  /**
   * While it is tried out what else to keep: how many pages were foretold by those before them, the last ones, the last addend,
   * and how often that was another one, which lie where several addends would (translate/kept-pages.ts).
   */
  foretold: 18,
  history: 60,
  lastAddend: 32,
  changes: 36,
  /** Of the region that keeps it: its table entry, and the byte to set where that is too often. */
  handler: 20,
  scattered: 24,
  /** Addends by themselves, which the TLB has to confirm: one, or one for each of KEPT_ADDENDS neighbouring pages. */
  addends: 28,
} as const;
export const KEPT_ADDENDS = 8;
/** What is kept for accesses by the byte noted for them in SCATTERED; nothing where that is more. */
export const KEPT_KINDS = ["page", "addend", "addends"] as const;
export const KEPT_READS = area(KEPT_PAGES_EACH * KEPT_PAGE, 4096);
export const KEPT_WRITES = area(KEPT_PAGES_EACH * KEPT_PAGE, 4096);
/** One byte each for what was found not to be worth doing, or for what to keep: see translate/region-compiler.ts. */
export const SCATTERED_SIZE = 16384;
export const SCATTERED = area(SCATTERED_SIZE, 4096);
/** How often what a group of accesses looks for was not found, one byte each, up to 255: see translate/region-job.ts. */
export const GROUP_MISSES_SIZE = 65536;
export const GROUP_MISSES = area(GROUP_MISSES_SIZE, 64);
/** Which page came after others, one byte each: see translate/kept-pages.ts. */
export const FORETOLD_SIZE = 4096;
export const FORETOLD = area(FORETOLD_SIZE, 64);
/**
 * Bits of `pageKey`: from bit 6 to 11 a number, not 0, that changes when a translation goes; below it the MMU mode. The low
 * four bits are zero, so that a comparison with a tag finds accesses that are not aligned, too.
 */
export const PAGE_KEY = { mode: 4, number: 6, end: 12 } as const;
// V8 keeps an object that has been made by computed names as a hash table, unless it is the prototype of another: its
// properties are then found as fast as those of a literal, a quarter of the time for each look at a register by name.
Object.create(layout);
if (end > VCPU_SIZE) throw new Error("VCPU_SIZE is too small");

/** Names of i32 and i64 fields. */
export type FieldName = string;

/** Absolute address of a field of the vCPU at `vcpu`. */
export function fieldAddress(vcpu: number, name: FieldName): number {
  const field = layout[name];
  if (!field) throw new Error(`processor state has no field ${name}`);
  return vcpu + field.offset;
}

export function fieldType(name: FieldName): StateType {
  const field = layout[name];
  if (!field) throw new Error(`processor state has no field ${name}`);
  return field.type;
}

/** All fields by name, for snapshots and reports. */
export function fieldNames(): string[] {
  return Object.keys(layout);
}

/** Values of `shadow`. @spec SDM 3A 6.8.1, 6.8.3 */
export const SHADOW = { none: 0, interrupts: 1, debugTraps: 2 } as const;

/** Why handlers returned to the run loop. */
export const EXIT = {
  none: 0,
  /** The budget is used up or an event waits; `ip` is the next instruction. */
  event: 1,
  /** An exception at record `pc`; at `ip` where `pc` is 0 (of the next instruction's fetch) or NEW_TASK. */
  fault: 2,
  /** The instruction at `pc` is to be started again after a look at events. */
  restart: 3,
  /** The instruction at `pc` is complete and the block ends after it: what follows may have been changed. */
  resume: 4,
  /** The instruction at `pc` has not run: a debugger may have a breakpoint there. */
  breakpoint: 5,
} as const;

/** Value of `pc` for a fault that belongs to a task just switched to. */
export const NEW_TASK = -1;

// Shared tables.
/**
 * One byte for each guest page below 4 GiB: with decoded code, not to be written in place, with a device. Video memory is a
 * device's (`io` and `video`), whose bytes lie at the host offset `videoOffset` from where RAM would have them.
 */
export const PAGE_FLAGS = 0x40_0000;
export const PAGE = { code: 1, readOnly: 2, io: 4, video: 8 } as const;
/** One bit for each 64 bytes of each guest page below 4 GiB that decoded code was read from. */
export const CODE_BITS = 0x60_0000;
/** Blocks by a hash of their physical address: the first record of the first one, or 0; BLOCK_NEXT leads on. */
export const BLOCK_TABLE = 0xe0_0000;
export const BLOCK_ENTRIES = 262144;
/** Decoded blocks. */
export const RECORDS = 0x100_0000;
export const RECORDS_SIZE = 0x500_0000;
/** ROM: the last bytes below 4 GiB of physical addresses. It lies right before RAM, so that one sum finds both. */
export const ROM_SIZE = 0x40_0000;
export const ROM_BASE = 0x600_0000;
/** Guest RAM. */
export const RAM_BASE = ROM_BASE + ROM_SIZE;
if (RECORDS + RECORDS_SIZE > ROM_BASE) throw new Error("records reach into ROM");

/**
 * Where in the shared memory the byte at a physical address below 4 GiB lies, where it is RAM or ROM. What emitted code
 * does is `hostAddressOf` of emit/memory.ts: a sum of 32 bits, too.
 */
export function hostAddress(physical: number): number {
  return (physical + RAM_BASE) >>> 0;
}
if (VCPU_BASE + VCPU_SIZE > PAGE_FLAGS) throw new Error("vCPU state reaches into the page flags");

/** Largest guest RAM: what a 32-bit memory leaves, in whole MiB, below the PCI hole. */
export const MAX_RAM = 3 * 1024 * 1024 * 1024;

/**
 * A decoded instruction as the interpreter's handlers read it; the next one follows at once. Two of them fill a line of the
 * host's cache. Registers are told by 16 bits: where they lie in the vCPU's state, or the number of a special register.
 */
export const RECORD = {
  handler: 0,
  displacement: 4,
  immediate: 8,
  /** The register of the ModR/M reg field. */
  reg: 16,
  /** The rm register, or the base register of a memory operand. */
  rm: 18,
  index: 20,
  /** The VEX.vvvv register; or, in forms without it, the second immediate: ENTER's level, a far pointer's selector. */
  vvvv: 22,
  second: 22,
  /** The segment register's fields. */
  segment: 24,
  /** Bytes from the block's start to this instruction, and to the next. */
  delta: 26,
  nextDelta: 28,
  /** Instructions of the block from this one on, this one included; in 8 bits. */
  left: 30,
  scale: 31,
} as const;
export const RECORD_SIZE = 32;
/**
 * In the record of a jump, in place of registers that it has none of: the record that it goes on with in the same page, where
 * it jumps and where it does not, or the address of `unlinked` or `neverLinked`. All of these begin with a table entry; it is
 * FIND where there is no link.
 */
export const LINK = { taken: 16, next: 20 } as const;
/** In front of a block's first record, at these offsets from it. */
export const BLOCK_HEADER = 64;
/** How many instructions it has, and where its records end. */
export const BLOCK_COUNT = -32;
export const BLOCK_END = -28;
/**
 * How often it is still to run before it is looked at for translation, in 16 bits, and above them how often it will have run
 * by then; its first instruction's handler meanwhile.
 */
export const BLOCK_HEAT = -24;
export const MOST_HEAT = 0xffff;
export const BLOCK_FIRST = -20;
/** Record of the translated region that begins with it, or 0. */
export const BLOCK_REGION = -16;
export const BLOCK_PHYSICAL = -12;
/** BLOCK_CONTEXT's bits, or -1 where its code has changed. */
export const BLOCK_MODE = -8;
/** Where its last instruction, a jump to where a register or memory says, notes the targets; 0 where it is none. */
export const BLOCK_TARGETS = -4;
/** The next block with the same hash, or 0. */
export const BLOCK_NEXT = -36;
/** How many bytes of code it has, and the physical address that they go on at on a second page, or -1. */
export const BLOCK_BYTES = -40;
export const BLOCK_SECOND = -44;
/** How often it was entered, where that is counted (observe/block-runs.ts). */
export const BLOCK_RUNS = -48;
/**
 * Targets that are noted, as low words of offsets in the code segment: in pairs, the later one first. A target's pair
 * follows from its address.
 */
export const NOTED_TARGETS = 32;

/**
 * A translated region as the jump cache finds it, in place of the block that it begins with: its function, and the
 * physical pages that it expects, by their distance in pages from the page it begins in. What its code needs to know of
 * itself stands here, too, so that the same code serves wherever the same instructions are.
 */
export const REGION = {
  handler: 0,
  pages: 4,
  /** Where it keeps pages: a count of its instructions, downwards. */
  clock: 8,
  /**
   * How often a group of its accesses was not found soon after another (translate/access-groups.ts), the byte to set where
   * that is too often (by whose place GROUP_MISSES of its groups are found, too), and the budget at the last one.
   */
  misses: 12,
  unsure: 16,
  missedAt: 20,
  /** As that of a block's first record: 1. */
  left: 30,
  /** Linear address that it begins at, where it was found last. */
  linear: 32,
  /** What it goes on with at addresses that its code names: entries as the jump cache has them, JUMP_ENTRY bytes each. */
  links: 48,
  list: 48 + 8 * 16,
} as const;
/** So many addresses have a link. */
export const REGION_LINKS = (REGION.list - REGION.links) / JUMP_ENTRY;
/** How far in front of its record a region's constant (i64) lies: an address in its code that may be another elsewhere. */
export const regionConstant = (number: number): number => BLOCK_HEADER + 8 * (number + 1);
export const REGION_PAGE = { distance: 0, page: 4 } as const;

/** Offsets within a vCPU's state of the code segment's base and limit. */
export const CS_BASE = SEGMENTS + SEGMENT_SIZE + SEGMENT.base;
export const CS_LIMIT = SEGMENTS + SEGMENT_SIZE + SEGMENT.limit;
