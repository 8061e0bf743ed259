/**
 * What 32-bit kernels do all the time has a short way in WebAssembly: INT n, exceptions, IRETD, SYSENTER, SYSEXIT, loads of
 * data segment registers. A breakpoint anywhere makes the processor take the long way for all but the last: both must come to
 * the same, in registers, on stacks and in tables. @spec SDM 3A 6.12; SDM 2, INT n, IRET, MOV, SYSENTER
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BLOCK_CONTEXT, CONTEXT } from "../../src/cpu/state.ts";
import { descriptor } from "../../src/cpu/system/testing/flat-cpu.ts";
import {
  attempt,
  changeControl,
  INTERRUPT_STACK,
  Kernel,
  type KernelOptions,
  type Mode,
  SCRATCH,
  SELECTOR,
  STACK,
  show,
  TSS,
  toUser,
  USER_STACK,
} from "./kernel.ts";

const MODES: readonly Mode[] = ["protected", "paged", "pae"];
const DR7 = { nothing: 0x400, breakpoint: 0x401 } as const;
const GDT = 0x1_0000;
const IDT = 0x1_1000;
const flat = { limit: 0xf_ffff, pages: true, big: true } as const;
/** The kernel's segments, as they are when they have been used, and others for handlers, stacks and data. */
const DESCRIPTORS = {
  8: descriptor({ ...flat, type: 0xb }),
  16: descriptor({ ...flat, type: 3 }),
  40: descriptor({ ...flat, type: 3, dpl: 3 }),
  56: descriptor({ ...flat, type: 0xb, dpl: 3 }),
  // Code: conforming, not used yet, not present, of ring 3, not readable, of 16 bits, with a base, of 64 KiB.
  128: descriptor({ ...flat, type: 0xf }),
  136: descriptor({ ...flat, type: 0xa }),
  144: descriptor({ ...flat, type: 0xb, present: false }),
  152: descriptor({ ...flat, type: 0xb, dpl: 3 }),
  160: descriptor({ ...flat, type: 9 }),
  168: descriptor({ ...flat, type: 0xb, big: false }),
  176: descriptor({ ...flat, type: 0xb, base: 0x1000 }),
  184: descriptor({ type: 0xb, big: true }),
  // Data: read-only, not used yet, not present, expanding downwards, of 16 bits, with a base, of 1 MiB, of ring 3.
  192: descriptor({ ...flat, type: 1 }),
  200: descriptor({ ...flat, type: 2 }),
  208: descriptor({ ...flat, type: 3, present: false }),
  216: descriptor({ limit: 0xfff, pages: true, big: true, type: 7 }),
  224: descriptor({ ...flat, type: 3, big: false }),
  232: descriptor({ ...flat, type: 3, base: 0x1000 }),
  240: descriptor({ ...flat, limit: 0xff, type: 3 }),
  248: descriptor({ ...flat, type: 3, dpl: 3, base: 0x1000 }),
  256: descriptor({ ...flat, type: 1, dpl: 3 }),
  264: descriptor({ ...flat, limit: 0xff, type: 3, dpl: 3 }),
};
/** Stacks of 1 MiB. */
const [MEBIBYTE, USER_MEBIBYTE] = [0xf0, 0x10b];
const CODE = [0, 3, 0x08, 0x0b, 0x10, 0x3b, 0x80, 0x88, 0x90, 0x98, 0x9b, 0xa0, 0xa8, 0xb0, 0xb8, 0x0c, 0xfff8];
const DATA = [
  0, 1, 3, 0x10, 0x13, 0x2b, 0x28, 0xc0, 0xc8, 0xd0, 0xd8, 0xe0, 0xe8, 0xf0, 0xfb, 0x103, 0x08, 0x14, 0xfff8,
];

/** Not there, so that a look at it is a page fault. */
const ABSENT = 0x4000_0000;
const HANDLER = `
  handler:
    pushfd
    pop edi
    mov ebp,esp
    hlt`;

/** Linear address, size. */
const LOOKED_AT = [
  [STACK - 0x200, 0x200],
  [INTERRUPT_STACK - 0x200, 0x200],
  [USER_STACK - 0x200, 0x200],
  [SCRATCH, 0x1000],
  [GDT, 0x200],
] as const;

/** Everything that software could tell at the end. */
function outcome(mode: Mode, program: string, options: KernelOptions) {
  const kernel = new Kernel(mode, program, { descriptors: DESCRIPTORS, budget: 2000, ...options });
  const end = kernel.run();
  const { ram, machine } = kernel;
  const memory = LOOKED_AT.map(([at, size]) => Buffer.from(ram.buffer, ram.byteOffset + at, size).toString("hex"));
  const { registers } = machine.processor;
  const segments = [0, 1, 2, 3, 4, 5].map((index) => [
    registers.selector(index),
    registers.segmentBase(index),
    registers.limit(index),
    registers.attributes(index),
  ]);
  const general = Array.from({ length: 8 }, (_, i) => kernel.gpr(i));
  const cr2 = registers.get64("cr2");
  const cpl = registers.get32("cpl");
  // What decoding and accesses depend on.
  const shape = [registers.get32("context") & BLOCK_CONTEXT & ~CONTEXT.step, registers.get32("mmuMode")];
  return { end, memory, general, segments, cr2, cpl, shape, exceptions: kernel.exceptions };
}

/** INT and IRETD take the short way where the TLB has tables and stacks. */
const TOUCHED = [GDT, IDT, TSS, STACK - 0x200, INTERRUPT_STACK - 0x200, SCRATCH, USER_STACK - 0x200];
const WARM = TOUCHED.map((address) => `or dword ptr [${address}],0`).join("\n");

/** Runs `program` on both ways. Gives what came of it, in short. */
function assertSame(mode: Mode, program: string, options: KernelOptions = {}): string {
  const [long, short] = [DR7.breakpoint, DR7.nothing].map((dr7) =>
    outcome(mode, `${WARM}\n mov eax,${dr7}\n mov dr7,eax\n xor eax,eax\n ${program}\n ${HANDLER}`, options),
  );
  assert.deepEqual(short, long, `${mode}: ${program}`);
  return JSON.stringify(short, (_, value) => (typeof value === "bigint" ? `${value}` : value));
}

/** In each mode, from ring 0 and from ring 3. */
function inAll(assertOne: (mode: Mode, start: string) => void): void {
  for (const mode of MODES) for (const start of ["", `${toUser(mode, "user")}\n user:`]) assertOne(mode, start);
}

const FLAGS = [0x2, 0x8d7, 0x246, 0x3402, 0x4_0ad2, 0x20_0203, 0x4002, 0x102];

test("INT and exceptions are the same on both ways with all flags, through both kinds of gates", () => {
  const events = ["int 0x80", "int 14", "ud2", "xor ecx,ecx\n div ecx", "mov cr3,ebx", "int3"];
  for (const mode of MODES) {
    for (const event of [...events, ...(mode === "protected" ? [] : [`mov ebx,[${ABSENT}]`, `mov [${ABSENT}],ebx`])]) {
      const seen = new Set<string>();
      for (const flags of FLAGS.filter((_, i) => i % MODES.length === MODES.indexOf(mode))) {
        for (const { type, dpl } of [
          { type: 14, dpl: 0 },
          { type: 15, dpl: 3 },
        ]) {
          const vectors = [0, 3, 6, 13, 14, 0x80];
          const gates = Object.fromEntries(vectors.map((vector) => [vector, { label: "handler", type, dpl }]));
          seen.add(assertSame(mode, `push ${flags}\n popfd\n ${event}`, { gates }));
          seen.add(assertSame(mode, `${toUser(mode, "user", flags & ~0x4000)}\n user:\n ${event}`, { gates }));
        }
      }
      assert.ok(seen.size >= 4, `${event}: ${seen.size}`);
    }
  }
});

test("gates and handlers' segments that cannot be used are refused the same on both ways", () => {
  inAll((mode, start) => {
    const seen = new Set<string>();
    const program = `${start}\n int 0x80`;
    const gate = { label: "handler", dpl: 3 };
    for (const selector of CODE) seen.add(assertSame(mode, program, { gates: { 128: { ...gate, selector } } }));
    for (const type of [5, 6, 7, 9, 12]) seen.add(assertSame(mode, program, { gates: { 128: { ...gate, type } } }));
    seen.add(assertSame(mode, program, { gates: { 128: { ...gate, dpl: 0 } } }));
    for (const limit of [0x80 * 8 + 7, 0x80 * 8 + 6]) {
      const table = `mov word ptr [table],${limit}\n lidt [table]\n ${program}\n table:\n dw 0\n dd 0x11000`;
      seen.add(assertSame(mode, table, { gates: { 128: gate } }));
    }
    assert.ok(seen.size >= 8, `${seen.size}`);
  });
});

test("stacks of the task state segment are the same on both ways, also where they cannot be used", () => {
  const tops = [STACK - 0x123, INTERRUPT_STACK, SCRATCH + 8, SCRATCH + 0x14, SCRATCH + 0xffe, 0, 8, ABSENT];
  for (const mode of MODES) {
    const seen = new Set<string>();
    const assertStack = (pointer: number, selector: number) => {
      const setup: KernelOptions["setup"] = ({ ram }) => {
        ram.setUint32(TSS + 4, pointer, true);
        ram.setUint16(TSS + 8, selector, true);
      };
      const program = `${toUser(mode, "user")}\n user:\n int 0x80`;
      seen.add(assertSame(mode, program, { gates: { 128: { label: "handler", dpl: 3 } }, setup }));
    };
    for (const top of tops) assertStack(top, SELECTOR.data);
    for (const selector of DATA) assertStack(INTERRUPT_STACK, selector);
    assert.ok(seen.size > 10, `${seen.size}`);
  }
});

const CR0_AM = 1 << 18;
const push = (value: number | string) => `push dword ${value}\n`;
const KERNEL = { flags: 2, cs: SELECTOR.code32 as number, ip: "landed" };
const USER = {
  flags: 2,
  cs: SELECTOR.userCode32 as number,
  ip: "landed",
  esp: USER_STACK,
  ss: SELECTOR.userData as number,
};
const NO_SEGMENTS = `mov cx,${SELECTOR.userData}\n mov ds,cx\n mov es,cx\n xor ecx,ecx\n mov fs,cx\n mov gs,cx\n`;
const LANDED = `landed:\n mov eax,[${SCRATCH}+1]\n pushfd\n pop esi\n mov ebx,esp\n hlt`;

function iretd(frame: typeof KERNEL | typeof USER, before = NO_SEGMENTS): string {
  const outer = "ss" in frame ? push(frame.ss) + push(frame.esp) : "";
  return `${before}${outer}${push(frame.flags)}${push(frame.cs)}${push(frame.ip)} iretd\n ${LANDED}`;
}

for (const [name, frame] of Object.entries({ "ring 0": KERNEL, "ring 3": USER })) {
  test(`IRETD to ${name} is the same on both ways`, () => {
    for (const mode of MODES) {
      const seen = new Set<string>();
      for (const flags of [...FLAGS, 0x2_0002, 0x18_0002, 0x102, 0x1_0002]) {
        seen.add(assertSame(mode, iretd({ ...frame, flags })));
        seen.add(assertSame(mode, iretd({ ...frame, flags }, `${NO_SEGMENTS} push 0x43ad7\n popfd\n`)));
      }
      for (const cs of CODE) seen.add(assertSame(mode, iretd({ ...frame, cs })));
      for (const ss of DATA) seen.add(assertSame(mode, iretd({ ...USER, ss })));
      seen.add(assertSame(mode, iretd({ ...USER, esp: 0x1234_5678 })));
      const checked = `${changeControl(mode, "cr0", CR0_AM)}\n ${WARM}\n ${NO_SEGMENTS}`;
      seen.add(assertSame(mode, iretd({ ...frame, flags: 0x4_0002 }, checked)));
      // Frames across the end of a page, and data segments that programs must not see.
      for (const esp of [4, 8, 12, 16, 20]) {
        seen.add(assertSame(mode, iretd(frame, `${NO_SEGMENTS} mov esp,${SCRATCH + 0x1000 + esp}\n`)));
      }
      for (const segment of ["ds", "es", "fs", "gs"]) {
        const before = `${NO_SEGMENTS} mov cx,${SELECTOR.data}\n mov ${segment},cx\n`;
        seen.add(assertSame(mode, iretd(frame, before)));
      }
      assert.ok(seen.size > 20, `${seen.size}`);
    }
  });
}

test("IRETD with NT set goes back to another task, or finds that there is none, on both ways", () => {
  for (const mode of MODES) assertSame(mode, `push 0x4002\n popfd\n ${iretd(KERNEL)}`);
});

function dataOutcome(of: ReturnType<typeof outcome>): unknown {
  const segments = [0, 3, 4, 5].map((index) => of.segments[index]?.map(Number));
  const general = of.general.map(Number);
  return { general, segments, memory: of.memory[3]?.slice(0, 32), exceptions: show(of.exceptions) };
}

/**
 * Selectors are loaded in flat code, and where SS has but 1 MiB, so that it is not: by other parts of the short way. Both are
 * compared with the long one in segment-short-ways.test.ts.
 */
test("data segment registers are loaded the same in flat code as in other code", () => {
  inAll((mode, start) => {
    const seen = new Set<string>();
    for (const segment of ["ds", "es", "fs", "gs"]) {
      // Different ones in each mode.
      for (const selector of DATA.filter(
        (_, i) => (i + segment.charCodeAt(0)) % MODES.length === MODES.indexOf(mode),
      )) {
        const loads = [`mov ax,${selector}\n mov ${segment},ax`, `push dword ${selector}\n pop ${segment}`];
        for (const load of loads) {
          const program = `${attempt(load)}
            ${attempt(`mov edx,${segment}\n ${segment} mov ecx,[${SCRATCH}]\n ${segment} mov [${SCRATCH}+4],ecx`)}
            hlt`;
          const options: KernelOptions = {
            setup: ({ ram }) => {
              ram.setUint32(SCRATCH, 0x1234_5678, true);
              ram.setUint32(SCRATCH + 0x1000, 0x9abc_def0, true);
            },
          };
          const onStack = (stack: number) => `${start}\n mov ax,${stack}\n mov ss,ax\n xor eax,eax\n ${program}`;
          const stacks = start === "" ? [SELECTOR.data, MEBIBYTE] : [SELECTOR.userData, USER_MEBIBYTE];
          const [inFlat, inOther] = stacks.map((stack) => dataOutcome(outcome(mode, onStack(stack), options)));
          assert.deepEqual(inFlat, inOther, `${mode} ${start ? "ring 3" : "ring 0"}: ${load}`);
          seen.add(JSON.stringify(inFlat));
        }
      }
    }
    assert.ok(seen.size > 20, `${seen.size}`);
  });
});

const wrmsr = (msr: number, low: number | string) => `mov ecx,${msr}\n mov eax,${low}\n xor edx,edx\n wrmsr\n`;
const sysenterTo = (cs: number, esp: number) => wrmsr(0x174, cs) + wrmsr(0x175, esp) + wrmsr(0x176, "entry");
const SYSENTER_DESCRIPTORS = { ...DESCRIPTORS, 24: descriptor({ ...flat, type: 0xb, dpl: 3 }), 32: DESCRIPTORS[40] };

test("SYSENTER and SYSEXIT are the same on both ways", () => {
  for (const mode of MODES) {
    for (const flags of FLAGS.filter((value) => (value & 0x4100) === 0)) {
      for (const cs of [0, 3, 8, 0x0b, 0x80]) {
        const program = `${sysenterTo(cs, STACK - 0x40)}
          ${toUser(mode, "user", flags)}
        user:
          sysenter
        entry:
          pushfd
          pop ebx
          mov esi,cs
          mov edi,ss
          mov edx,back
          mov ecx,${USER_STACK - 0x20}
          sysexit
        back:
          pushfd
          pop ebx
          hlt`;
        const result = assertSame(mode, program, { descriptors: SYSENTER_DESCRIPTORS });
        assert.ok(result.includes('"vector":13'), "HLT in ring 3, or no segment");
      }
    }
    assertSame(mode, `${toUser(mode, "user")}\n user:\n sysexit`, { descriptors: SYSENTER_DESCRIPTORS });
    assertSame(mode, `${wrmsr(0x174, 0)} sysexit`, { descriptors: SYSENTER_DESCRIPTORS });
  }
});

test("an interrupt from the machine is the same on both ways, within the kernel and from programs", () => {
  for (const mode of MODES) {
    for (const vector of [0x20, 0x24, 14]) {
      const options: KernelOptions = {
        gates: { [vector]: { label: "handler" } },
        setup: ({ machine }) => {
          machine.waiting = vector;
        },
      };
      assertSame(mode, "sti\n nop\n again:\n jmp again", options);
      assertSame(mode, `${toUser(mode, "user", 0x8d7 | 0x200)}\n user:\n jmp user`, options);
      // The return lets it in.
      assertSame(mode, iretd({ ...USER, flags: 0x202 }), options);
    }
  }
});

test("a thousand system calls need no TypeScript, by either way and with segments as kernels load them", () => {
  const calls = {
    "INT and IRETD": { call: "int 0x80", leave: "iretd" },
    "SYSENTER and SYSEXIT": {
      call: "mov edx,back\n mov ecx,esp\n sysenter\n back:",
      leave: "sysexit",
    },
  };
  for (const mode of MODES) {
    for (const [name, { call, leave }] of Object.entries(calls)) {
      const program = `${sysenterTo(SELECTOR.code32, STACK - 0x40)}
        ${toUser(mode, "user")}
      user:
        mov esi,1000
      again:
        ${call}
        dec esi
        jnz again
        hlt
      entry:
        push ds
        push es
        push fs
        mov eax,${SELECTOR.userData}
        mov ds,ax
        mov es,ax
        mov eax,${SELECTOR.data}
        mov fs,ax
        inc edi
        pop fs
        pop es
        pop ds
        ${leave}`;
      const options: KernelOptions = { descriptors: SYSENTER_DESCRIPTORS, gates: { 128: { label: "entry", dpl: 3 } } };
      const kernel = new Kernel(mode, `xor edi,edi\n xor ecx,ecx\n mov fs,cx\n mov gs,cx\n ${program}`, options);
      assert.equal(kernel.run(), "halted");
      const { registers } = kernel.machine.processor;
      assert.deepEqual([kernel.gpr(6), kernel.gpr(7)], [0n, 1000n], name);
      const effort = registers.get32("effort");
      assert.ok(effort < 1000, `${mode}, ${name}: TypeScript was called, an effort of ${effort}`);
    }
  }
});
