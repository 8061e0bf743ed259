/** Call gates and far returns between privilege levels. @spec SDM 3A 5.8.3–5.8.6 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { descriptor, gate } from "../../src/cpu/system/testing/flat-cpu.ts";
import { attempt, INTERRUPT_STACK, type Kernel, type Mode, run, SELECTOR, show, toUser, USER_STACK } from "./kernel.ts";

const GATE = SELECTOR.free;
const GDT = 0x1_0000;
const flat = { limit: 0xf_ffff, pages: true };
const CALL_32 = 12;
const CALL_16 = 4;

interface GateFields {
  readonly label: string;
  readonly selector: number;
  readonly dpl?: number;
  readonly type?: number;
  readonly count?: number;
  readonly present?: boolean;
}
/** Writes a call gate for selector GATE; 16 bytes in 64-bit mode. */
const gateTo = (fields: GateFields) => (kernel: Kernel) => {
  const { label, type = CALL_32, ...rest } = fields;
  kernel.ram.setBigUint64(GDT + GATE, gate({ offset: kernel.at(label), type, dpl: 3, ...rest }), true);
};

test("a call through a gate goes to the gate's offset, at the same level", () => {
  const program = `
    call ${GATE}:0x12345678
  back:
    hlt
  service:
    mov ebx,[esp]
    mov ecx,[esp+4]
    retf`;
  const kernel = run("protected", program, { setup: gateTo({ label: "service", selector: SELECTOR.code32 }) });
  assert.equal(kernel.gpr(3), kernel.symbols.get("back"));
  assert.equal(kernel.gpr(1), BigInt(SELECTOR.code32));
});

test("a call to ring 0 changes the stack and copies the gate's count of parameters, and RETF releases them on both", () => {
  const program = `
    ${toUser("protected", "user")}
  user:
    push 0x1111
    push 0x2222
    push 0x3333
    call ${GATE}:0
  back:
    mov edx,esp
    mov edi,cs
    hlt
  service:
    mov ebx,esp
    mov ecx,[esp+12]
    mov esi,[esp+8]
    mov ebp,[esp+16]
    mov eax,ss
    retf 8`;
  const kernel = run("protected", program, {
    setup: gateTo({ label: "service", selector: SELECTOR.code32, count: 2 }),
  });
  assert.deepEqual(show(kernel.exceptions), ["#13(0)"]);
  assert.equal(kernel.gpr(3), BigInt(INTERRUPT_STACK - 6 * 4), "SS, ESP, two parameters, CS, EIP");
  assert.equal(kernel.gpr(6), 0x3333n);
  assert.equal(kernel.gpr(1), 0x2222n);
  assert.equal(kernel.gpr(5), BigInt(USER_STACK - 12), "the caller's ESP");
  assert.equal(kernel.gpr(0), BigInt(SELECTOR.data));
  assert.equal(kernel.gpr(2), BigInt(USER_STACK - 4));
  assert.equal(kernel.gpr(7), BigInt(SELECTOR.userCode32));
});

test("a 16-bit gate pushes words", () => {
  const program = `
    ${toUser("protected", "user")}
  user:
    push 0xabcd1234
    call ${GATE}:0
  back:
    hlt
  service:
    mov ebx,esp
    mov cx,[esp+4]
    mov dx,[esp]`;
  const halt = "\n hlt";
  const setup = gateTo({ label: "service", selector: SELECTOR.code32, type: CALL_16, count: 1 });
  const kernel = run("protected", program + halt, { setup });
  assert.equal(kernel.gpr(3), BigInt(INTERRUPT_STACK - 5 * 2));
  assert.equal(kernel.gpr(1) & 0xffffn, 0x1234n);
  assert.equal(kernel.gpr(2) & 0xffffn, (kernel.symbols.get("back") ?? 0n) & 0xffffn);
});

test("a gate's DPL, its presence and its target are checked", () => {
  const outcome = (fields: Partial<GateFields>, descriptors: Record<number, bigint> = {}) => {
    const program = `${toUser("protected", "user")}\n user: ${attempt(`call ${GATE}:0`)} hlt\n service: hlt`;
    const setup = gateTo({ label: "service", selector: SELECTOR.code32, ...fields });
    return show(run("protected", program, { setup, descriptors }).exceptions)[0];
  };
  const target = 0x90;
  assert.equal(outcome({}), undefined);
  assert.equal(outcome({ dpl: 2 }), "#13(80)");
  assert.equal(outcome({ present: false }), "#11(80)");
  assert.equal(outcome({ selector: 0 }), "#13(0)");
  assert.equal(outcome({ selector: SELECTOR.data }), "#13(10)");
  assert.equal(outcome({ selector: 0xff8 }), "#13(ff8)");
  assert.equal(
    outcome({ selector: target }, { [target]: descriptor({ ...flat, type: 0xa, present: false }) }),
    "#11(90)",
  );
});

test("a jump through a gate does not change the privilege level", () => {
  const program = `${toUser("protected", "user")}\n user: ${attempt(`jmp ${GATE}:0`)} hlt\n service: hlt`;
  const kernel = run("protected", program, { setup: gateTo({ label: "service", selector: SELECTOR.code32 }) });
  assert.deepEqual(show(kernel.exceptions), ["#13(8)", "#13(0)"]);
});

test("a gate to conforming code keeps the caller's level and stack", () => {
  const conforming = 0x90;
  const program = `${toUser("protected", "user")}\n user: call ${GATE}:0\n service: mov ebx,cs\n mov ecx,esp\n hlt`;
  const kernel = run("protected", program, {
    descriptors: { [conforming]: descriptor({ ...flat, type: 0xe, big: true }) },
    setup: gateTo({ label: "service", selector: conforming }),
  });
  assert.equal(kernel.gpr(3), BigInt(conforming | 3));
  assert.equal(kernel.gpr(1), BigInt(USER_STACK - 8));
});

test("RETF to ring 3 drops data segments that ring 3 may not have", () => {
  const program = `
    mov ax,${SELECTOR.data}
    mov ds,ax
    mov es,ax
    mov ax,${SELECTOR.userData}
    mov fs,ax
    push ${SELECTOR.userData}
    push ${USER_STACK}
    push ${SELECTOR.userCode32}
    push user
    retf
  user:
    mov ebx,ds
    mov ecx,es
    mov edx,fs
    mov esi,esp
    hlt`;
  const kernel = run("protected", program);
  assert.deepEqual(
    [3, 1, 2, 6].map((index) => kernel.gpr(index)),
    [0n, 0n, BigInt(SELECTOR.userData), BigInt(USER_STACK)],
  );
});

test("RETF does not go to an inner level", () => {
  const program = `${toUser("protected", "user")}\n user: push ${SELECTOR.code32}\n push user\n retf`;
  assert.deepEqual(show(run("protected", program).exceptions), [`#13(${SELECTOR.code32.toString(16)})`]);
});

// SDM 3A 5.8.3.1.
test("a 64-bit gate has 16 bytes, loads a null SS and pushes quadwords", () => {
  const program = `
    ${toUser("long", "user")}
  user:
    call far [pointer]
  back:
    mov rdx,rsp
    hlt
  service:
    mov rbx,rsp
    mov esi,ss
    mov rcx,[rsp+16]
    mov rdi,[rsp]
    o64 retf
  pointer:
    dd 0
    dw ${GATE}`;
  const kernel = run("long", program, { setup: gateTo({ label: "service", selector: SELECTOR.code64 }) });
  assert.equal(kernel.gpr(3), BigInt(INTERRUPT_STACK - 32));
  assert.equal(kernel.gpr(6), 0n);
  assert.equal(kernel.gpr(1), BigInt(USER_STACK));
  assert.equal(kernel.gpr(7), kernel.symbols.get("back"));
  assert.equal(kernel.gpr(2), BigInt(USER_STACK));
});

test("in IA-32e mode gates lead to 64-bit code only, and gates of other kinds are not there", () => {
  const program = `${attempt("call far [pointer]")} hlt\n service: hlt\n pointer:\n dd 0\n dw ${GATE}`;
  const outcome = (fields: Partial<GateFields>) =>
    show(
      run("long", program, { setup: gateTo({ label: "service", selector: SELECTOR.code64, ...fields }) }).exceptions,
    );
  assert.deepEqual(outcome({ selector: SELECTOR.code32 }), ["#13(8)"]);
  assert.deepEqual(outcome({ type: CALL_16 }), ["#13(80)"]);
  assert.deepEqual(outcome({ type: 5 }), ["#13(80)"]);
});

test("compatibility code calls 64-bit code through a gate and comes back", () => {
  const mode: Mode = "long";
  const program = `
    push ${SELECTOR.userData}
    push ${USER_STACK}
    push 2
    push ${SELECTOR.userCode32}
    push user
    iretq
  bits 32
  user:
    call ${GATE}:0
    mov edx,esp
    mov ecx,1
    hlt
  bits 64
  service:
    mov rbx,0x123456789
    shr rbx,32
    o64 retf`;
  const kernel = run(mode, program, { setup: gateTo({ label: "service", selector: SELECTOR.code64 }) });
  assert.deepEqual(
    [3, 1, 2].map((index) => kernel.gpr(index)),
    [1n, 1n, BigInt(USER_STACK)],
  );
});
