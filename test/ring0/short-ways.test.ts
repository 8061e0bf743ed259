/**
 * Changes of privilege have a short way for what is usual. A breakpoint anywhere makes the processor look at each
 * instruction and take the long one: both must come to the same. @spec SDM 2, IRET, SYSCALL, SYSRET
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { descriptor } from "../../src/cpu/system/testing/flat-cpu.ts";
import { type Kernel, run, SELECTOR, STACK, show, toUser, USER_STACK } from "./kernel.ts";

const flat = { limit: 0xf_ffff, pages: true } as const;
/** Segments that are marked as accessed, as they are the second time that they are used. */
const DESCRIPTORS = {
  24: descriptor({ ...flat, type: 0xb, long: true }),
  32: descriptor({ ...flat, type: 3, big: true }),
  40: descriptor({ ...flat, type: 3, big: true, dpl: 3 }),
  48: descriptor({ ...flat, type: 0xb, long: true, dpl: 3 }),
  56: descriptor({ ...flat, type: 0xb, big: true, dpl: 3 }),
  // Data that is not writable, a conforming code segment, and one that is not present.
  128: descriptor({ ...flat, type: 1, big: true, dpl: 3 }),
  136: descriptor({ ...flat, type: 0xf, long: true }),
  144: descriptor({ ...flat, type: 0xb, long: true, dpl: 3, present: false }),
};
const DR7 = { nothing: 0x400, breakpoint: 0x401 } as const;

/** Everything that software could tell at the end. */
function outcome(kernel: Kernel): unknown {
  return { registers: Array.from({ length: 16 }, (_, i) => kernel.gpr(i)), exceptions: kernel.exceptions };
}

/** Runs `program` on both ways. Gives the exceptions that it met. */
function assertSame(program: string): string {
  const [long, short] = [DR7.breakpoint, DR7.nothing].map((dr7) => {
    const kernel = run("long", `mov eax,${dr7}\n mov dr7,rax\n xor eax,eax\n ${program}`, { descriptors: DESCRIPTORS });
    return { outcome: outcome(kernel), faults: show(kernel.exceptions).join() };
  }) as [{ outcome: unknown; faults: string }, { outcome: unknown; faults: string }];
  assert.deepEqual(short.outcome, long.outcome);
  return long.faults;
}

const KERNEL = { ss: 0x20, rsp: STACK - 0x100, flags: 2, cs: 0x18, ip: "landed" } as const;
const USER = { ...KERNEL, ss: SELECTOR.userData, rsp: USER_STACK, cs: SELECTOR.userCode64 } as const;
const LANDED = `
  landed:
    pushfq
    pop r14
    mov r15d,cs
    mov ebp,ss
    mov r13,rsp
    hlt`;

interface Frame {
  readonly ss: number;
  readonly rsp: number;
  readonly flags: number;
  readonly cs: number;
  readonly ip: string;
}

/** Segment registers that programs may see stay as they are; the others are cleared on the long way. */
const NO_SEGMENTS = "xor ecx,ecx\n mov ds,cx\n mov es,cx\n mov fs,cx\n mov gs,cx";

function iretq(frame: Frame, before = NO_SEGMENTS): string {
  const push = (value: number | string) => `mov rbx,${value}\n push rbx\n`;
  const { ss, rsp, flags, cs, ip } = frame;
  return `${before}\n ${push(ss)}${push(rsp)}${push(flags)}${push(cs)}${push(ip)} iretq\n ${LANDED}`;
}

const FLAGS = [0x8d7, 0x246, 0x3202, 0x4_0002, 0x1_0002, 0x4002, 0x20_0402, 0x2_0002, 0x18_0002, 0x102];
for (const [name, frame] of Object.entries({ "ring 0": KERNEL, "ring 3": USER })) {
  test(`IRETQ to ${name} loads flags the same on both ways`, () => {
    for (const flags of FLAGS) assertSame(iretq({ ...frame, flags }));
    // From other flags than those after reset.
    assertSame(iretq(frame, `${NO_SEGMENTS}\n push 0x43ed7\n popfq`));
  });

  test(`IRETQ to ${name} finds the same fault in selectors and addresses on both ways`, () => {
    const selectors = [0, 0x10, 0x18, 0x1b, 0x20, 0x23, 0x2b, 0x33, 0x3b, 0x83, 0x88, 0x93];
    const faults = new Set<string>();
    for (const cs of [...selectors, 0x1c, 0xfff8]) faults.add(assertSame(iretq({ ...frame, cs })));
    for (const ss of [...selectors, 0x2f, 0xfffb]) faults.add(assertSame(iretq({ ...frame, ss })));
    faults.add(assertSame(iretq({ ...frame, ip: "0x800000000000" })));
    faults.add(assertSame(iretq(frame, "mov cx,0x10\n mov ds,cx\n mov es,cx")));
    assert.ok(faults.size > 5, [...faults].join(" "));
  });
}

const wrmsr = (msr: number, low: number | string, high = 0) =>
  `mov ecx,${msr}\n mov eax,${low}\n mov edx,${high}\n wrmsr\n`;

test("SYSCALL and SYSRET do the same on both ways for all flags and masks", () => {
  for (const flags of FLAGS.filter((value) => (value & 0x100) === 0)) {
    for (const mask of [0, 0x4_7fd7]) {
      const faults = assertSame(`
        ${wrmsr(0xc000_0081, 0, 0x0020_0018)} ${wrmsr(0xc000_0082, "entry")} ${wrmsr(0xc000_0084, mask)}
        ${toUser("long", "user", (flags & ~0x2_4000) | 2)}
      user:
        syscall
        ${LANDED}
      entry:
        pushfq
        pop rbx
        mov esi,cs
        mov edi,ss
        mov r8,r11
        mov r10,r11
        or r11d,${flags}
        o64 sysret`);
      // HLT in ring 3.
      assert.equal(faults, "#13(0)");
    }
  }
});
