import assert from "node:assert/strict";
import { test } from "node:test";
import { BareMachine, DATA, HOLE } from "./testing/bare-machine.ts";

const GP = { vector: 13, errorCode: 0 };
const UD = { vector: 6, errorCode: 0 };
const NM = { vector: 7, errorCode: 0 };
const HEADER = 512;
const OSFXSR = 0x200n;
const OSXSAVE = 0x4_0000n;
const OTHER = DATA + 0x1000;

/** A machine whose system has turned on XSAVE with the components of `xcr0`. */
function enabled(xcr0 = 3n): BareMachine {
  const machine = new BareMachine(64);
  const { registers } = machine.processor;
  registers.set64("cr4", registers.get64("cr4") | OSFXSR | OSXSAVE);
  registers.set64("xcr0", xcr0);
  machine.processor.modeChanged();
  return machine;
}

/** Puts something in every part of the state. */
const FILL = `fninit
  fldpi
  fld1
  mov eax, 0x1f85
  mov [${OTHER + 0x800}], eax
  ldmxcsr [${OTHER + 0x800}]
  mov rax, 0x1122334455667788
  movq xmm0, rax
  movq xmm15, rax
  `;

/** What XINIT-like code would leave: other values everywhere. */
const SPOIL = `fninit
  fldz
  mov eax, 0x1f80
  mov [${OTHER + 0x800}], eax
  ldmxcsr [${OTHER + 0x800}]
  pxor xmm0, xmm0
  pxor xmm15, xmm15
  `;

const bytes = (machine: BareMachine, at: number, length: number) =>
  Buffer.from(machine.ram.buffer, machine.ram.byteOffset + at, length).toString("hex");

const mask = (low: number) => `mov edx, 0\n mov eax, ${low}\n `;

test("XGETBV and XSETBV need CR4.OSXSAVE, and XCR0 always has x87", () => {
  const machine = new BareMachine(64);
  assert.deepEqual(machine.run("mov ecx, 0\n xgetbv"), UD);
  const on = enabled(1n);
  assert.equal(on.run(`mov ecx, 0\n ${mask(3)}xsetbv\n mov rax, -1\n mov rdx, -1\n xgetbv\n mov rbx, rax`), undefined);
  assert.equal(on.processor.registers.gpr(3), 3n);
  assert.equal(on.processor.registers.gpr(2), 0n);
  for (const value of [0, 2, 4, 7]) assert.deepEqual(on.run(`mov ecx, 0\n ${mask(value)}xsetbv`), GP, `${value}`);
  assert.deepEqual(on.run(`mov ecx, 1\n ${mask(1)}xsetbv`), GP);
  assert.deepEqual(on.run("mov ecx, 1\n xgetbv"), GP);
  on.leaveRing0();
  assert.deepEqual(on.run(`mov ecx, 0\n ${mask(1)}xsetbv`), GP);
  assert.equal(on.run("mov ecx, 0\n xgetbv"), undefined);
});

test("XSAVE writes the image that FXSAVE writes, and a header", () => {
  const machine = enabled();
  assert.equal(machine.run(`${FILL}${mask(3)}xsave64 [${DATA}]\n fxsave64 [${OTHER}]`), undefined);
  assert.equal(bytes(machine, DATA, 416), bytes(machine, OTHER, 416));
  assert.equal(machine.ram.getBigUint64(DATA + HEADER, true), 3n);
  assert.equal(machine.ram.getBigUint64(DATA + HEADER + 8, true), 0n);
  assert.equal(machine.ram.getUint32(DATA + 24, true), 0x1f85);
});

test("what any of the instructions saved, XRSTOR restores", () => {
  for (const name of ["xsave", "xsave64", "xsaveopt", "xsaveopt64", "xsavec", "xsavec64"]) {
    const machine = enabled();
    const restore = name.endsWith("64") ? "xrstor64" : "xrstor";
    assert.equal(machine.run(`${FILL}fxsave64 [${OTHER}]\n ${mask(3)}${name} [${DATA}]`), undefined);
    const compact = name.startsWith("xsavec") ? 0x8000_0000_0000_0003n : 0n;
    assert.equal(machine.ram.getBigUint64(DATA + HEADER + 8, true), compact, name);
    const before = bytes(machine, OTHER, 416);
    assert.equal(machine.run(`${SPOIL}${mask(3)}${restore} [${DATA}]\n fxsave64 [${OTHER}]`), undefined);
    const after = bytes(machine, OTHER, 416);
    // The pointers' upper halves are lost in the narrow form.
    assert.equal(after.slice(48), before.slice(48), name);
    assert.equal(after.slice(0, 16), before.slice(0, 16), name);
  }
});

test("only what EDX:EAX and XCR0 both name is saved, and the header keeps what it says of the rest", () => {
  const machine = enabled();
  machine.ram.setBigUint64(DATA + HEADER, 0x7n, true);
  for (let i = 0; i < 512; i += 4) machine.ram.setUint32(DATA + i, 0xcccc_cccc, true);
  assert.equal(machine.run(`${FILL}${mask(0xfffffffd)}xsave64 [${DATA}]`), undefined);
  assert.equal(machine.ram.getBigUint64(DATA + HEADER, true), 7n);
  assert.equal(machine.ram.getUint32(DATA + 24, true), 0xcccc_cccc, "MXCSR");
  assert.equal(machine.ram.getUint32(DATA + 160, true), 0xcccc_cccc, "XMM0");
  assert.equal(machine.ram.getUint16(DATA, true), 0x37f);
  machine.ram.setUint16(DATA, 0xcccc, true);
  assert.equal(machine.run(`${mask(2)}xsave64 [${DATA}]`), undefined);
  assert.equal(machine.ram.getUint16(DATA, true), 0xcccc, "control word");
  assert.equal(machine.ram.getUint32(DATA + 24, true), 0x1f85);
  const x87 = enabled(1n);
  x87.ram.setUint32(DATA + 160, 0xcccc_cccc, true);
  assert.equal(x87.run(`${FILL}${mask(3)}xsave64 [${DATA}]`), undefined);
  assert.equal(x87.ram.getUint32(DATA + 160, true), 0xcccc_cccc);
  assert.equal(x87.ram.getBigUint64(DATA + HEADER, true), 1n);
});

test("XRSTOR gives components that the header lacks their initial values", () => {
  const machine = enabled();
  machine.ram.setUint32(DATA + 24, 0x1f81, true);
  assert.equal(machine.run(`${FILL}${mask(3)}xrstor64 [${DATA}]\n fxsave64 [${OTHER}]`), undefined);
  assert.equal(machine.ram.getUint16(OTHER, true), 0x37f);
  assert.equal(machine.ram.getUint8(OTHER + 4), 0, "all registers are empty");
  assert.equal(machine.ram.getUint32(OTHER + 160, true), 0);
  assert.equal(machine.ram.getUint32(OTHER + 24, true), 0x1f81, "MXCSR is always loaded from the standard format");
  machine.ram.setBigUint64(DATA + HEADER + 8, 1n << 63n, true);
  assert.equal(machine.run(`${mask(3)}xrstor64 [${DATA}]\n fxsave64 [${OTHER}]`), undefined);
  assert.equal(machine.ram.getUint32(OTHER + 24, true), 0x1f80, "the compact format has none here");
});

test("XRSTOR refuses headers and MXCSR values that are not valid, and changes nothing", () => {
  const cases: [string, number, bigint][] = [
    ["a component that XCR0 lacks", HEADER, 4n],
    ["reserved bytes", HEADER + 16, 1n],
    ["compact without bit 63", HEADER + 8, 3n],
    ["reserved bits of MXCSR", 24, 0x1_0000n],
  ];
  for (const [what, at, value] of cases) {
    const machine = enabled();
    assert.equal(machine.run(`${FILL}fxsave64 [${OTHER}]`), undefined);
    const before = bytes(machine, OTHER, 416);
    machine.ram.setBigUint64(DATA + at, value, true);
    assert.deepEqual(machine.run(`${mask(3)}xrstor64 [${DATA}]`), GP, what);
    assert.equal(machine.run(`fxsave64 [${OTHER}]`), undefined);
    assert.equal(bytes(machine, OTHER, 416), before, what);
  }
  const compact: [string, bigint, number][] = [
    ["a component that is not in the area", 0x8000_0000_0000_0001n, HEADER],
    ["a component that XCR0 lacks", 0x8000_0000_0000_0007n, HEADER + 24],
    ["reserved bytes", 0x8000_0000_0000_0003n, HEADER + 56],
  ];
  for (const [what, format, at] of compact) {
    const machine = enabled();
    machine.ram.setBigUint64(DATA + HEADER + 8, format, true);
    machine.ram.setBigUint64(DATA + at, 2n, true);
    assert.deepEqual(machine.run(`${mask(3)}xrstor64 [${DATA}]`), GP, what);
  }
});

test("the area must be aligned to 64 bytes, mapped, and the unit at hand", () => {
  for (const name of ["xsave64", "xrstor64", "xsaveopt64", "xsavec64"]) {
    const machine = enabled();
    const { registers } = machine.processor;
    assert.deepEqual(machine.run(`${mask(3)}${name} [${DATA + 32}]`), GP, name);
    const write = name === "xrstor64" ? 0 : 2;
    // XSAVE reads the header first, where it keeps part of it.
    const first = name === "xsavec64" ? write : 0;
    assert.deepEqual(machine.run(`${mask(3)}${name} [${HOLE}]`), { vector: 14, errorCode: first }, name);
    assert.equal(registers.get64("faultAddress") >= BigInt(HOLE), true);
    registers.set64("cr0", registers.get64("cr0") | 8n);
    machine.processor.modeChanged();
    assert.deepEqual(machine.run(`${mask(3)}${name} [${DATA}]`), NM, name);
    registers.set64("cr4", 0x20n);
    assert.deepEqual(machine.run(`${mask(3)}${name} [${DATA}]`), UD, name);
  }
});

test("a fault in the second page of the area leaves the state as it was", () => {
  const machine = enabled();
  const area = HOLE - 512;
  machine.ram.setUint16(area, 0x27f, true);
  assert.equal(machine.run(FILL), undefined);
  assert.deepEqual(machine.run(`${mask(3)}xrstor64 [${area}]`), { vector: 14, errorCode: 0 });
  assert.equal(machine.run(`fnstcw [${OTHER}]`), undefined);
  assert.equal(machine.ram.getUint16(OTHER, true), 0x37f);
});

test("in 32-bit code eight XMM registers are saved and restored", () => {
  const machine = new BareMachine(32);
  const { registers } = machine.processor;
  registers.set64("cr4", OSFXSR | OSXSAVE);
  registers.set64("xcr0", 3n);
  machine.processor.modeChanged();
  const source = `mov dword [${OTHER}], 0x12345678
    movd xmm7, [${OTHER}]
    fninit
    fld1
    ${mask(3)}xsave [${DATA}]
    pxor xmm7, xmm7
    fninit
    xrstor [${DATA}]
    movd ebx, xmm7
    fstp dword [${OTHER}]`;
  assert.equal(machine.run(source), undefined);
  assert.equal(registers.gpr(3), 0x1234_5678n);
  assert.equal(machine.ram.getFloat32(OTHER, true), 1);
  assert.equal(machine.ram.getUint32(DATA + 160 + 8 * 16, true), 0);
});
