/** SYSCALL, SYSRET, SYSENTER and SYSEXIT. @spec SDM 3A 5.8.7, 5.8.8; SDM 2 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { descriptor } from "../../src/cpu/system/testing/flat-cpu.ts";
import { attempt, type KernelOptions, type Mode, run, SELECTOR, show, toUser, USER_STACK } from "./kernel.ts";

const STAR = 0xc000_0081;
const LSTAR = 0xc000_0082;
const SFMASK = 0xc000_0084;
const SYSENTER_CS = 0x174;
const SYSENTER_ESP = 0x175;
const SYSENTER_EIP = 0x176;

const wrmsr = (msr: number, low: number | string, high = 0) => `
    mov ecx,${msr}
    mov eax,${low}
    mov edx,${high}
    wrmsr`;
const SETUP = `
    ${wrmsr(STAR, 0, 0x0020_0018)}
    ${wrmsr(LSTAR, "entry")}
    ${wrmsr(SFMASK, 0x700)}`;

test("SYSCALL saves RIP and RFLAGS, masks flags and loads flat segments; SYSRET brings them back", () => {
  const kernel = run(
    "long",
    `
    ${SETUP}
    ${toUser("long", "user", 0x647)}
  user:
    std
    syscall
  back:
    pushfq
    pop r14
    mov r15d,cs
    mov ebp,ss
    hlt
  entry:
    pushfq
    pop rbx
    mov esi,cs
    mov edi,ss
    mov r8,rcx
    mov r9,r11
    mov r10,rsp
    o64 sysret`,
  );
  assert.equal(kernel.gpr(3) & 0x700n, 0n, "masked");
  assert.equal(kernel.gpr(3) & 0x47n, 0x47n, "the rest stays");
  assert.deepEqual([kernel.gpr(6), kernel.gpr(7)], [0x18n, 0x20n]);
  assert.equal(kernel.gpr(8), kernel.symbols.get("back"));
  assert.equal(kernel.gpr(9) & 0x647n, 0x647n);
  assert.equal(kernel.gpr(10), BigInt(USER_STACK - 8 + 8), "RSP is the program's affair");
  assert.equal(kernel.gpr(14) & 0x647n, 0x647n);
  assert.deepEqual([kernel.gpr(15), kernel.gpr(5)], [0x33n, 0x2bn]);
});

test("SYSRET to an address that is not canonical faults in ring 0", () => {
  const kernel = run(
    "long",
    `${SETUP}\n mov rcx,0x800000000000\n mov r11,2\n ${attempt("o64 sysret")} mov ebx,cs\n hlt\n entry:`,
  );
  assert.deepEqual(show(kernel.exceptions), ["#13(0)"]);
  assert.equal(kernel.gpr(3), 0x18n);
});

test("SYSRET with 32-bit operands goes to compatibility mode", () => {
  const kernel = run(
    "long",
    `
    ${wrmsr(STAR, 0, 0x0038_0018)}
    mov rcx,compatible
    mov r11,2
    sysret
  entry:
  bits 32
  compatible:
    mov ebx,cs
    dec eax
    hlt`,
    { descriptors: { 64: descriptor({ base: 0x1_2000, limit: 0xfff, type: 9, system: true }) } },
  );
  assert.equal(kernel.gpr(3), 0x3bn);
});

test("SYSCALL and SYSRET are undefined without EFER.SCE, SYSRET is privileged", () => {
  const disable = "mov ecx,0xc0000080\n rdmsr\n and eax,-2\n wrmsr";
  const kernel = run("long", `${disable}\n ${attempt("syscall")} ${attempt("o64 sysret")} hlt`);
  assert.deepEqual(show(kernel.exceptions), ["#6", "#6"]);
  const user = run("long", `${SETUP} ${toUser("long", "user")}\n user: mov ecx,0\n o64 sysret\n entry:`);
  assert.deepEqual(show(user.exceptions), ["#13(0)"]);
});

const FLAT = { limit: 0xf_ffff, pages: true };
/** Kernel code and stack, user code and stack, in the order that SYSENTER asks for; 64-bit user code and stack behind. */
const descriptors: KernelOptions["descriptors"] = {
  128: descriptor({ ...FLAT, type: 0xa, big: true }),
  136: descriptor({ ...FLAT, type: 2, big: true }),
  144: descriptor({ ...FLAT, type: 0xa, big: true, dpl: 3 }),
  152: descriptor({ ...FLAT, type: 2, big: true, dpl: 3 }),
  160: descriptor({ ...FLAT, type: 0xa, long: true, dpl: 3 }),
  168: descriptor({ ...FLAT, type: 2, big: true, dpl: 3 }),
};
const SYSENTER = `
    ${wrmsr(SYSENTER_CS, 0x80)}
    ${wrmsr(SYSENTER_ESP, 0x1_7000)}
    ${wrmsr(SYSENTER_EIP, "entry")}`;

for (const mode of ["protected", "paged", "pae"] as const satisfies readonly Mode[]) {
  test(`${mode}: SYSENTER goes to the stack and entry in its MSRs, SYSEXIT to ECX and EDX`, () => {
    const kernel = run(
      mode,
      `
      ${SYSENTER}
      push 0x2b
      push ${USER_STACK}
      push 0x3202
      push ${SELECTOR.userCode32}
      push user
      iretd
    user:
      sysenter
    back:
      mov eax,cs
      mov edi,esp
      cli
      pushfd
      pop ebp
      hlt
    entry:
      pushfd
      pop ebx
      mov esi,esp
      mov edx,back
      mov ecx,${USER_STACK - 0x100}
      sysexit`,
      { descriptors },
    );
    assert.equal(kernel.gpr(3) & 0x200n, 0n, "IF is clear");
    assert.equal(kernel.gpr(6), 0x1_7000n);
    assert.deepEqual([kernel.gpr(0), kernel.gpr(7)], [0x93n, BigInt(USER_STACK - 0x100)]);
  });

  test(`${mode}: without a selector in its MSR SYSENTER and SYSEXIT are #GP(0)`, () => {
    const kernel = run(mode, `${wrmsr(SYSENTER_CS, 3)} ${attempt("sysenter")} ${attempt("sysexit")} hlt`);
    assert.deepEqual(show(kernel.exceptions), ["#13(0)", "#13(0)"]);
  });
}

test("SYSENTER from 64-bit mode enters 64-bit code, SYSEXIT with REX.W returns to it", () => {
  const kernel = run(
    "long",
    `
    ${SYSENTER}
    ${toUser("long", "user")}
  user:
    sysenter
  back:
    mov eax,cs
    mov r9,0x123456789
    hlt
  entry:
    mov r8,0x123456789
    mov esi,cs
    mov edx,back
    mov ecx,${USER_STACK}
    o64 sysexit`,
    { descriptors: { ...descriptors, 128: descriptor({ ...FLAT, type: 0xa, long: true }) } },
  );
  assert.deepEqual([kernel.gpr(8), kernel.gpr(9)], [0x1_2345_6789n, 0x1_2345_6789n]);
  assert.deepEqual([kernel.gpr(6), kernel.gpr(0)], [0x80n, 0xa3n]);
});
