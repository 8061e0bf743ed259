/** Faults in the middle of an instruction leave nothing done, so that it can be started again. @spec SDM 3A 6.6 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { entryAddress, type Mode, PAGED, PTE, run, SCRATCH } from "./kernel.ts";

/** Two linear pages of which the second appears with the first page fault. */
const FIRST = 0x4000_0000;
const SECOND = FIRST + 0x1000;
const FRAMES = [SCRATCH, SCRATCH + 0x3000] as const;
const OPEN = PTE.P | PTE.RW | PTE.US;
const LOG = 0x1_6000;

interface Case {
  readonly name: string;
  readonly modes?: readonly Mode[];
  readonly code: string;
  /** What is in memory before. */
  readonly memory?: (ram: DataView) => void;
  /** The page that is missing at first; the second if left out. */
  readonly missing?: number;
  /** Registers are not those before the instruction: a repeated one is half done. */
  readonly partial?: boolean;
}

interface Outcome {
  readonly faults: number;
  /** RAX RCX RDX RBX RBP RSI RDI at the last page fault. */
  readonly atFault: readonly bigint[];
  readonly registers: readonly bigint[];
  readonly memory: readonly Uint8Array[];
}

/** Runs code whose page faults map the missing page and return. */
function restarted(mode: Mode, { code, memory, missing = SECOND }: Case, faults: boolean): Outcome {
  const long = mode === "long";
  const names = long
    ? ["rax", "rcx", "rdx", "rbx", "rbp", "rsi", "rdi"]
    : ["eax", "ecx", "edx", "ebx", "ebp", "esi", "edi"];
  const size = long ? 8 : 4;
  const at = entryAddress(mode, missing);
  const frame = missing === FIRST ? FRAMES[0] : FRAMES[1];
  // Handlers run on a stack of their own: the instruction's may be the one that faults.
  const user = `
    push 0x2b
    push 0x19000
    push 2
    push ${long ? 0x33 : 0x3b}
    push user
    mov ax,0x2b
    mov ds,ax
    mov es,ax
    ${long ? "iretq" : "iretd"}`;
  const kernel = run(
    mode,
    `
    ${user}
  user:
    ${names.map((name, i) => `mov ${name},${0x1111_1111 * (i + 1)}`).join("\n")}
    ${code}
    int 0x40
  pageFault:
    ${names.map((name, i) => `ss mov [${LOG + i * size}],${name}`).join("\n")}
    ss mov dword ptr [${at}],${frame | OPEN}
    ss mov ${names[0]},[${LOG}]
    ss inc dword ptr [${LOG + 0x80}]
    add ${long ? "rsp,8" : "esp,4"}
    ${long ? "iretq" : "iretd"}
  done:
    hlt`,
    {
      gates: { 14: { label: "pageFault" }, 64: { label: "done", dpl: 3 } },
      setup(kernel) {
        kernel.map(FIRST, FRAMES[0] | OPEN);
        kernel.map(SECOND, FRAMES[1] | OPEN);
        if (faults) kernel.setEntry(at, 0);
        memory?.(kernel.ram);
      },
    },
  );
  const { ram } = kernel;
  const logged = (i: number) =>
    long ? ram.getBigUint64(LOG + i * size, true) : BigInt(ram.getUint32(LOG + i * size, true));
  return {
    faults: ram.getUint32(LOG + 0x80, true),
    atFault: names.map((_name, i) => logged(i)),
    registers: Array.from({ length: 16 }, (_, i) => kernel.gpr(i)),
    memory: FRAMES.map((at) => new Uint8Array(ram.buffer, ram.byteOffset + at, 4096).slice()),
  };
}

const LEGACY: readonly Mode[] = ["paged", "pae"];
const CASES: readonly Case[] = [
  { name: "PUSHAD across two pages", modes: LEGACY, code: `mov esp,${SECOND + 16}\n pushad`, missing: FIRST },
  {
    name: "POPAD across two pages",
    modes: LEGACY,
    code: `mov esp,${SECOND - 16}\n popad`,
    memory: (ram) => {
      for (let i = 0; i < 4; i++) {
        ram.setUint32(FRAMES[0] + 0xff0 + i * 4, 0xa0 + i, true);
        ram.setUint32(FRAMES[1] + i * 4, 0xb0 + i, true);
      }
    },
  },
  {
    name: "ENTER with a display across two pages",
    code: `mov esp,${SECOND + 16}\n mov ebp,${SECOND + 64}\n enter 16,4`,
    missing: FIRST,
  },
  {
    name: "ENTER whose frame reaches into a missing page",
    code: `mov esp,${SECOND + 16}\n mov ebp,${SECOND + 64}\n enter 64,0`,
    missing: FIRST,
  },
  { name: "ADD to memory across two pages", code: `add dword ptr [${SECOND - 2}],0x12345678` },
  { name: "LOCK XADD across two pages", code: `lock xadd [${SECOND - 1}],ecx` },
  { name: "XCHG with memory", code: `xchg [${SECOND}],edx` },
  { name: "CMPXCHG8B across two pages", code: `cmpxchg8b [${SECOND - 4}]` },
  {
    name: "a 16-byte store across two pages",
    code: `pxor xmm0,xmm0\n pcmpeqd xmm0,xmm0\n movups [${SECOND - 3}],xmm0`,
  },
  { name: "an 80-bit store across two pages", code: `fninit\n fld1\n fstp tbyte ptr [${SECOND - 8}]` },
  { name: "FNSAVE across two pages", code: `fninit\n fld1\n fnsave [${SECOND - 54}]` },
  { name: "FXSAVE across two pages", code: `fninit\n fld1\n fxsave [${SECOND - 256}]` },
  {
    name: "PUSH of a memory operand that is missing",
    code: `mov esp,${FIRST + 64}\n push ${"{size}"} ptr [${SECOND}]`,
  },
  { name: "POP to a memory operand that is missing", code: `mov esp,${FIRST + 64}\n pop ${"{size}"} ptr [${SECOND}]` },
  { name: "POP to memory addressed by the stack pointer", code: `mov esp,${SECOND - 8}\n pop ${"{size}"} ptr [esp+4]` },
  { name: "CALL with a missing stack", code: `mov esp,${SECOND}\n call target\n target:`, missing: FIRST },
  {
    name: "LES across two pages",
    modes: LEGACY,
    code: `les edi,[${SECOND - 4}]`,
    memory: (ram) => ram.setUint16(FRAMES[1], 0x2b, true),
  },
  { name: "MOVSD one element at a time", code: `mov esi,${SECOND}\n mov edi,${FIRST}\n movsd` },
  { name: "BTS with a bit in the next page", code: `mov ecx,32768\n bts [${FIRST}],ecx` },
  { name: "SGDT across two pages", code: `sgdt [${SECOND - 3}]` },
  {
    name: "REP MOVSB into a missing page",
    code: `mov esi,${FIRST}\n mov edi,${SECOND - 5}\n mov ecx,16\n rep movsb`,
    memory: (ram) => {
      for (let i = 0; i < 16; i++) ram.setUint8(FRAMES[0] + i, i + 1);
    },
    partial: true,
  },
  { name: "REP STOSD across the pages' border", code: `mov edi,${SECOND - 6}\n mov ecx,4\n rep stosd`, partial: true },
  {
    name: "REPE CMPSB into a missing page",
    code: `mov esi,${FIRST}\n mov edi,${SECOND - 4}\n mov ecx,9\n repe cmpsb`,
    partial: true,
  },
];

for (const mode of PAGED) {
  for (const each of CASES) {
    if (each.modes && !each.modes.includes(mode)) continue;
    test(`${mode}: ${each.name} starts again after a page fault as if there had been none`, () => {
      const size = mode === "long" ? "qword" : "dword";
      const sized = {
        ...each,
        code: each.code.replaceAll("{size}", size).replaceAll("[esp", mode === "long" ? "[rsp" : "[esp"),
      };
      const smooth = restarted(mode, sized, false);
      const faulted = restarted(mode, sized, true);
      assert.ok(faulted.faults >= 1);
      assert.equal(smooth.faults, 0);
      if (!each.partial) {
        // Registers that the set-up does not write are as they were before the instruction.
        const untouched = faulted.atFault.filter((_value, i) => !setUp(sized.code).includes(i));
        const before = faulted.atFault.map((_value, i) => BigInt(0x1111_1111 * (i + 1)));
        assert.deepEqual(
          untouched,
          before.filter((_value, i) => !setUp(sized.code).includes(i)),
        );
      }
      assert.deepEqual(faulted.registers, smooth.registers);
      assert.deepEqual(faulted.memory, smooth.memory);
    });
  }
}

/** Numbers (in the order of the log) of the registers that a case's code writes with MOV before its instruction. */
function setUp(code: string): number[] {
  const names = ["eax", "ecx", "edx", "ebx", "ebp", "esi", "edi"];
  return names.flatMap((name, i) => (code.includes(`mov ${name},`) ? [i] : []));
}
