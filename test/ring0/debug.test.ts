/** Debug exceptions: single steps, breakpoints on instructions, data and ports. @spec SDM 3B chapter 18 */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  attempt,
  changeControl,
  type Kernel,
  type KernelOptions,
  type Mode,
  run,
  SCRATCH,
  SELECTOR,
  show,
} from "./kernel.ts";

const MODES: readonly Mode[] = ["protected", "long"];
const TF = 0x100;
const RF = 0x1_0000;
const BD = 1 << 13;
const BS = 1 << 14;
/** R/Wn fields of DR7. @spec SDM 3B 18.2.4 */
const EXECUTE = 0;
const WRITE = 1;
const PORT = 2;
const ACCESS = 3;
/** LENn fields by bytes. */
const LENGTHS: Record<number, number> = { 1: 0, 2: 1, 4: 3, 8: 2 };

interface Breakpoint {
  readonly n?: number;
  readonly at: number | string;
  readonly condition?: number;
  readonly bytes?: number;
}

/** Assembly that sets breakpoints, enabled globally. */
function breakpoints(mode: Mode, ...list: Breakpoint[]): string {
  const a = mode === "long" ? "rax" : "eax";
  let dr7 = 0x400;
  const addresses = list.map(({ n = 0, at, condition = EXECUTE, bytes = 1 }) => {
    dr7 |= (2 << (n * 2)) | (condition << (16 + n * 4)) | ((LENGTHS[bytes] as number) << (18 + n * 4));
    return `mov eax,${at}\n mov dr${n},${a}`;
  });
  return `${addresses.join("\n")}\n mov eax,${dr7 >>> 0}\n mov dr7,${a}`;
}

const setTrapFlag = (mode: Mode): string =>
  mode === "long" ? `pushfq\n or qword ptr [rsp],${TF}\n popfq` : `pushfd\n or dword ptr [esp],${TF}\n popfd`;
const clearTrapFlag = (mode: Mode): string =>
  mode === "long" ? `pushfq\n and qword ptr [rsp],${~TF}\n popfq` : `pushfd\n and dword ptr [esp],${~TF}\n popfd`;

/** Runs a program that returns from debug exceptions; `traps` gives them as labels and causes in DR6. */
function debugged(mode: Mode, program: string, options: KernelOptions = {}): { kernel: Kernel; traps: string[] } {
  const kernel = run(mode, `${program}\n hlt`, { continues: 1, ...options });
  const names = new Map([...kernel.symbols].map(([name, value]) => [Number(value), name]));
  const traps = kernel.exceptions.map(({ vector, ip, dr6 }) => {
    const causes = (dr6 & 0xe00f).toString(16);
    return `${vector === 1 ? "" : `#${vector} `}${names.get(ip) ?? ip.toString(16)}: ${causes}`;
  });
  return { kernel, traps };
}

for (const mode of MODES) {
  // SDM 3B 18.3.1.4. POPF that sets TF does not trap itself, the one that clears it does.
  test(`${mode}: with TF set every instruction is followed by a trap`, () => {
    const { kernel, traps } = debugged(
      mode,
      `
      ${setTrapFlag(mode)}
      nop
    a: mov ebx,1
    b: jmp d
    c: nop
    d: ${clearTrapFlag(mode)}
    z: nop`,
    );
    assert.deepEqual(traps.slice(0, 3), ["a: 4000", "b: 4000", "d: 4000"]);
    assert.equal(traps.at(-1), "z: 4000");
    assert.equal(traps.length, 6);
    assert.ok(
      kernel.exceptions.slice(0, -1).every(({ flags }) => flags & TF),
      "TF is in the saved flags",
    );
  });

  test(`${mode}: a repeated string instruction traps after each element`, () => {
    const { kernel, traps } = debugged(
      mode,
      `
      mov edi,${SCRATCH}
      mov ecx,3
      mov al,0x5a
      ${setTrapFlag(mode)}
    string: rep stosb
    after: ${clearTrapFlag(mode)}`,
    );
    assert.deepEqual(traps.slice(0, 3), ["string: 4000", "string: 4000", "after: 4000"]);
    assert.equal(kernel.ram.getUint32(SCRATCH, true), 0x5a_5a5a);
  });

  // SDM 3A 6.8.3.
  test(`${mode}: the instruction after MOV SS belongs to it`, () => {
    const { traps } = debugged(
      mode,
      `
      mov ax,ss
      ${setTrapFlag(mode)}
      mov ss,ax
    a: nop
    b: nop
    c: ${clearTrapFlag(mode)}`,
    );
    assert.deepEqual(traps.slice(0, 2), ["b: 4000", "c: 4000"]);
  });

  // SDM 3B 18.3.1.4: INT n clears TF.
  test(`${mode}: INT is not followed by a trap, its handler is not stepped, and steps go on after it`, () => {
    const { traps } = debugged(
      mode,
      `
      ${setTrapFlag(mode)}
      int 0x40
    a: nop
    b: ${clearTrapFlag(mode)}
      jmp end
    service:
      nop
      ${mode === "long" ? "iretq" : "iretd"}
    end:`,
      { gates: { 64: { label: "service" } } },
    );
    assert.deepEqual(traps.slice(0, 1), ["b: 4000"]);
  });

  test(`${mode}: an instruction that faults is not followed by a trap`, () => {
    const { traps } = debugged(mode, `${attempt(`${setTrapFlag(mode)}\n bad: ud2`)} ${clearTrapFlag(mode)}`);
    assert.equal(traps[0], "#6 bad: 0");
    assert.ok(traps.slice(1).every((trap) => trap.endsWith(": 4000")));
  });

  test(`${mode}: a trap wakes the processor from HLT`, () => {
    const { traps } = debugged(mode, `${setTrapFlag(mode)}\n hlt\n a: ${clearTrapFlag(mode)}`);
    assert.equal(traps[0], "a: 4000");
  });

  // SDM 3B 18.3.1.1: a fault; the handler sets RF, or else meets the breakpoint again.
  test(`${mode}: a breakpoint on an instruction comes before it, once where RF is set on return`, () => {
    const { kernel, traps } = debugged(
      mode,
      `
      ${breakpoints(mode, { n: 0, at: "a" }, { n: 3, at: "b" })}
      mov ebx,0
      mov ecx,3
    a: add ebx,1
      loop a
    b: nop`,
    );
    assert.deepEqual(traps, ["a: 1", "a: 1", "a: 1", "b: 8"]);
    assert.equal(kernel.gpr(3), 3n);
    assert.ok(kernel.exceptions.every(({ flags }) => !(flags & RF)));
  });

  test(`${mode}: a breakpoint that is not enabled, or not on an instruction's first byte, is not met`, () => {
    const a = mode === "long" ? "rax" : "eax";
    const { traps } = debugged(
      mode,
      `
      ${breakpoints(mode, { n: 0, at: "a+1" }, { n: 2, at: "a", bytes: 2 })}
      mov eax,a
      mov dr1,${a}
    a: mov ebx,1`,
    );
    assert.deepEqual(traps, []);
  });

  // SDM 3A table 6-2.
  test(`${mode}: a breakpoint comes before the instruction's own exception and before its fetch`, () => {
    const { kernel } = debugged(mode, `${breakpoints(mode, { at: "bad" })}\n ${attempt("bad: ud2")}`);
    assert.deepEqual(show(kernel.exceptions), ["#1", "#6"]);
  });

  test(`${mode}: an instruction that faults and is started again does not meet its breakpoint twice`, () => {
    const { traps } = debugged(
      mode,
      `
      ${breakpoints(mode, { at: "bad" })}
    bad: ud2
    after: nop
      jmp end
    repair:
      ${mode === "long" ? "mov word ptr [rel bad],0x9090\n iretq" : "mov word ptr [bad],0x9090\n iretd"}
    end:`,
      { gates: { 6: { label: "repair" } } },
    );
    assert.deepEqual(traps, ["bad: 1"]);
  });

  // SDM 3B table 18-2.
  test(`${mode}: a data breakpoint meets the accesses that overlap it, and traps after the instruction`, () => {
    const at = SCRATCH + 0x100;
    const cases: [string, number, number, boolean][] = [];
    const bytesOf = mode === "long" ? [1, 2, 4, 8] : [1, 2, 4];
    for (const bytes of bytesOf) {
      for (const [word, size] of [
        ["byte", 1],
        ["word", 2],
        ["dword", 4],
      ] as const) {
        for (const offset of [-4, -3, -2, -1, 0, 1, 2, 3, 4, 7, 8]) {
          const overlaps = offset < bytes && offset + size > 0;
          cases.push([`mov ${word} ptr [${at + offset}],0`, bytes, offset, overlaps]);
        }
      }
    }
    for (const bytes of bytesOf) {
      const mine = cases.filter(([, length]) => length === bytes);
      const program = mine.map(([code], i) => `${code}\n after${i}: nop`).join("\n");
      const { traps } = debugged(mode, `${breakpoints(mode, { n: 1, at, condition: WRITE, bytes })}\n ${program}`);
      const expected = mine.flatMap(([, , , overlaps], i) => (overlaps ? [`after${i}: 2`] : []));
      assert.deepEqual(traps, expected, `${bytes} bytes`);
    }
  });

  test(`${mode}: reads meet only breakpoints on reads and writes`, () => {
    const { traps } = debugged(
      mode,
      `
      ${breakpoints(
        mode,
        { n: 0, at: SCRATCH, condition: WRITE, bytes: 4 },
        { n: 2, at: SCRATCH, condition: ACCESS, bytes: 4 },
      )}
      mov eax,[${SCRATCH}]
    a: mov [${SCRATCH}],eax
    b: add dword ptr [${SCRATCH}],1
    c: cmp dword ptr [${SCRATCH}],1
    d: nop`,
    );
    assert.deepEqual(traps, ["a: 4", "b: 5", "c: 5", "d: 4"]);
  });

  test(`${mode}: pushes, calls, string and SSE instructions meet data breakpoints`, () => {
    const push = mode === "long" ? "rax" : "eax";
    const pointer = mode === "long" ? "rsp" : "esp";
    const { traps } = debugged(
      mode,
      `
      ${changeControl(mode, "cr4", 0x600)}
      ${breakpoints(mode, { at: SCRATCH + 8, condition: WRITE, bytes: 4 })}
      mov ${pointer},${SCRATCH + (mode === "long" ? 16 : 12)}
      push ${push}
    a: pop ${push}
      call b
    b: mov ${pointer},0x18000
      mov edi,${SCRATCH}
      mov ecx,4
      cld
      rep stosd
    c: movups [${SCRATCH + 1}],xmm0
    d: lock inc byte ptr [${SCRATCH + 11}]
    e: nop`,
    );
    // The third element of STOS, with one to go, is met at the instruction itself.
    assert.equal(traps.length, 5);
    assert.deepEqual(
      traps.map((trap) => trap.split(":")[0]).filter((label) => label && /^[a-e]$/.test(label)),
      ["a", "b", "d", "e"],
    );
  });

  test(`${mode}: an access that faults meets no data breakpoint`, () => {
    const outside = mode === "long" ? "mov [rbx],eax" : "mov [cs:ebx],eax";
    const { kernel } = debugged(
      mode,
      `
      ${breakpoints(mode, { at: SCRATCH, condition: ACCESS })}
      mov ebx,${mode === "long" ? 0x5000_0000 : SCRATCH}
      ${attempt(outside)}`,
    );
    assert.equal(kernel.exceptions.length, 1);
    assert.notEqual(kernel.exceptions[0]?.vector, 1);
  });

  test(`${mode}: the frame of an interrupt meets a data breakpoint before its handler's first instruction`, () => {
    const frame = 0x1_8000 - (mode === "long" ? 16 : 4);
    const { traps } = debugged(
      mode,
      `
      ${breakpoints(mode, { n: 2, at: frame, condition: WRITE, bytes: 4 })}
      int 0x40
    a: jmp end
    service:
      ${mode === "long" ? "iretq" : "iretd"}
    end:`,
      { gates: { 64: { label: "service" } } },
    );
    assert.equal(traps[0], "service: 4");
  });

  test(`${mode}: a data breakpoint met by MOV SS waits for the next instruction`, () => {
    const { traps } = debugged(
      mode,
      `
      ${breakpoints(mode, { at: "selector", condition: ACCESS, bytes: 2 })}
      mov ss,[selector]
    a: nop
    b: jmp end
      align 4
    selector:
      dw ${SELECTOR.data}
    end:`,
    );
    assert.deepEqual(traps, ["b: 1"]);
  });

  // SDM 3B 18.2.4: CR4.DE makes breakpoints on ports.
  test(`${mode}: breakpoints on ports need CR4.DE`, () => {
    const program = (debugging: number) => `
      ${changeControl(mode, "cr4", debugging, 8 & ~debugging)}
      ${breakpoints(mode, { at: 0x71, condition: PORT })}
      in al,0x70
    a: in ax,0x70
    b: out 0x71,al
    c: nop`;
    assert.deepEqual(debugged(mode, program(8)).traps, ["b: 1", "c: 1"]);
    assert.deepEqual(debugged(mode, program(0)).traps, []);
  });

  // SDM 3B 18.2.4, 18.3.1.3.
  test(`${mode}: with GD set, a MOV of a debug register faults, and GD is clear in the handler`, () => {
    const a = mode === "long" ? "rax" : "eax";
    const { kernel, traps } = debugged(
      mode,
      `
      mov eax,0x2400
      mov dr7,${a}
    guarded: mov ${a},dr0
      mov ${a},dr7
      mov ebx,eax`,
    );
    assert.deepEqual(traps, [`guarded: ${BD.toString(16)}`]);
    assert.equal(kernel.gpr(3), 0x400n);
  });

  test(`${mode}: INT1 is a debug exception without a cause`, () => {
    const { traps } = debugged(mode, "int1\n a: nop");
    assert.deepEqual(traps, ["a: 0"]);
  });

  test(`${mode}: several causes are reported by one exception`, () => {
    const { traps } = debugged(
      mode,
      `
      ${breakpoints(mode, { n: 1, at: SCRATCH, condition: WRITE }, { n: 3, at: SCRATCH, condition: ACCESS })}
      ${setTrapFlag(mode)}
      mov byte ptr [${SCRATCH}],1
    a: ${clearTrapFlag(mode)}`,
    );
    assert.equal(traps[0], `a: ${(BS | 0xa).toString(16)}`);
  });
}

// SDM 2, SYSCALL and SYSRET: flags are masked with IA32_FMASK, or loaded, before the trap is looked at.
test("SYSCALL with TF masked is not followed by a trap, SYSRET with TF in R11 is", () => {
  const wrmsr = (msr: number, low: number | string, high = 0) => `
    mov ecx,${msr}
    mov eax,${low}
    mov edx,${high}
    wrmsr`;
  const { traps } = debugged(
    "long",
    `
    ${wrmsr(0xc000_0081, 0, 0x20_0018)} ${wrmsr(0xc000_0082, "entry")} ${wrmsr(0xc000_0084, TF)}
    push ${SELECTOR.userData}
    push 0x1a000
    push ${TF | 2}
    push ${SELECTOR.userCode64}
    push user
    iretq
  entry:
    nop
    o64 sysret
  user:
    syscall
  a: nop
  b: ud2`,
  );
  assert.deepEqual(traps, ["a: 4000", "b: 4000", "#6 b: 0"]);
});

test("a breakpoint address has 64 bits in 64-bit mode and 32 elsewhere", () => {
  const { traps } = debugged(
    "long",
    `
    mov rax,0x100000000+a
    mov dr0,rax
    mov rax,0x402
    mov dr7,rax
  a: nop`,
  );
  assert.deepEqual(traps, []);
});
