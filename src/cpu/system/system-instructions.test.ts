import assert from "node:assert/strict";
import { test } from "node:test";
import { RBX, RCX, RDI, RDX, RSI } from "../../isa/semantics.ts";
import { BareMachine, DATA, HOLE } from "./testing/bare-machine.ts";

const GP = { vector: 13, errorCode: 0 };
const UD = { vector: 6, errorCode: 0 };
const PF = { vector: 14, errorCode: 0 };

const gpr = (machine: BareMachine, index: number) => machine.processor.registers.gpr(index);

test("moves to and from control registers go through in every mode", () => {
  for (const bits of [16, 32, 64] as const) {
    const machine = new BareMachine(bits);
    const [a, b] = bits === 64 ? ["rax", "rbx"] : ["eax", "ebx"];
    const fault = machine.run(`mov ${a}, 0x12345000
      mov cr2, ${a}
      mov ${b}, cr2
      mov ${a}, cr0
      or ${a}, 8
      mov cr0, ${a}
      smsw cx
      clts
      smsw dx`);
    assert.equal(fault, undefined);
    assert.equal(gpr(machine, RBX), 0x1234_5000n);
    assert.equal(gpr(machine, RCX) & 8n, 8n);
    assert.equal(gpr(machine, RDX) & 8n, 0n);
  }
});

test("LMSW takes the processor into protected mode", () => {
  const machine = new BareMachine(16);
  assert.equal(machine.run("mov ax, 1\n lmsw ax\n smsw bx"), undefined);
  assert.equal(gpr(machine, RBX), 0x11n);
});

test("user programs can do none of it", () => {
  for (const source of [
    "mov rax, cr0",
    "mov cr3, rax",
    "mov rax, dr7",
    "mov dr7, rax",
    "clts",
    "lmsw ax",
    "rdmsr",
    "wrmsr",
    "invlpg [rax]",
    "invd",
    "wbinvd",
    "rdpmc",
  ]) {
    const machine = new BareMachine(64);
    machine.leaveRing0();
    assert.deepEqual(machine.run(source), GP, source);
  }
});

test("UMIP keeps SMSW from user programs, and TSD the time-stamp counter", () => {
  const machine = new BareMachine(64);
  const { registers } = machine.processor;
  machine.leaveRing0();
  assert.equal(machine.run("smsw rax\n rdtsc\n rdtscp"), undefined);
  registers.set64("cr4", registers.get64("cr4") | 0x800n);
  assert.deepEqual(machine.run("smsw rax"), GP);
  registers.set64("cr4", registers.get64("cr4") | 4n);
  assert.deepEqual(machine.run("rdtsc"), GP);
  assert.deepEqual(machine.run("rdtscp"), GP);
});

test("the time-stamp counter and its number come in EDX:EAX and ECX", () => {
  const machine = new BareMachine(64);
  machine.time = 0x1_0000_0005n;
  assert.equal(
    machine.run(`mov ecx, 0xc0000103
      mov eax, 7
      mov edx, 0
      wrmsr
      mov rdx, -1
      rdtscp
      rdpid rbx`),
    undefined,
  );
  assert.deepEqual(
    [0, RDX, RCX, RBX].map((index) => gpr(machine, index)),
    [5n, 1n, 7n, 7n],
  );
});

test("a register written with WRMSR is read with RDMSR, and one that is not there raises #GP(0)", () => {
  const machine = new BareMachine(64);
  assert.equal(
    machine.run(`mov ecx, 0xc0000082
      mov eax, 0x81000000
      mov edx, 0xffffffff
      wrmsr
      mov rax, -1
      mov rdx, -1
      rdmsr`),
    undefined,
  );
  assert.equal(gpr(machine, 0), 0x8100_0000n);
  assert.equal(gpr(machine, RDX), 0xffff_ffffn);
  assert.deepEqual(machine.run("mov ecx, 0x1234\n rdmsr"), GP);
  assert.deepEqual(machine.run("mov ecx, 0x1234\n wrmsr"), GP);
});

test("CPUID takes EAX and ECX and writes four registers with their upper halves clear", () => {
  const machine = new BareMachine(64);
  assert.equal(machine.run("mov rbx, -1\n mov eax, 0xb\n mov ecx, 1\n cpuid"), undefined);
  assert.deepEqual(
    [0, RBX, RCX, RDX].map((index) => gpr(machine, index)),
    [0n, 1n, 0x201n, 0n],
  );
});

test("a model's missing instructions raise #UD", () => {
  for (const [model, source] of [
    ["486", "rdtsc"],
    ["486", "rdmsr"],
    ["pentium", "rdpmc"],
    ["i686", "rdtscp"],
    ["x86-64-v2", "rdrand eax"],
    ["x86-64-v2", "xgetbv"],
    ["max", "monitor"],
    ["max", "mwait"],
  ] as const) {
    assert.deepEqual(new BareMachine(32, model).run(source), UD, `${model}: ${source}`);
  }
});

test("RDRAND and RDSEED give random bits of their size, with CF set and the other flags clear", () => {
  const machine = new BareMachine(64);
  machine.processor.registers.eflags = 0x8d4 | 2;
  assert.equal(machine.run("mov rbx, -1\n mov rcx, -1\n rdrand bx\n rdseed ecx\n rdrand rdx"), undefined);
  assert.equal(gpr(machine, RBX), 0xffff_ffff_ffff_a5a5n);
  assert.equal(gpr(machine, RCX), 0xa5a5_a5a5n);
  assert.equal(gpr(machine, RDX), 0xa5a5_a5a5_a5a5_a5a5n);
  assert.equal(machine.processor.registers.eflags & 0x8d5, 1);
});

test("CR8 is the task priority in 64-bit mode", () => {
  const machine = new BareMachine(64);
  assert.equal(machine.run("mov rax, 9\n mov cr8, rax\n mov rbx, cr8"), undefined);
  assert.equal(machine.cr8, 9);
  assert.equal(gpr(machine, RBX), 9n);
});

test("INVPCID checks its descriptor", () => {
  const machine = new BareMachine(64);
  const invalidate = (type: number, pcid: bigint, address: bigint) => {
    machine.ram.setBigUint64(DATA, pcid, true);
    machine.ram.setBigUint64(DATA + 8, address, true);
    return machine.run(`mov rax, ${type}\n invpcid rax, [${DATA}]`);
  };
  for (const type of [0, 1, 2, 3]) assert.equal(invalidate(type, 0n, 0x1000n), undefined);
  assert.deepEqual(invalidate(4, 0n, 0n), GP);
  assert.deepEqual(invalidate(0, 0x1000n, 0n), GP, "reserved bits");
  assert.deepEqual(invalidate(1, 1n, 0n), GP, "PCIDs are off");
  assert.deepEqual(invalidate(0, 0n, 1n << 47n), GP, "not canonical");
  assert.equal(invalidate(2, 1n, 1n << 47n), undefined);
});

test("INVLPG makes a changed page table entry count, and takes any address", () => {
  const machine = new BareMachine(64);
  machine.ram.setUint8(DATA, 1);
  machine.ram.setUint8(DATA + 0x5000, 2);
  assert.equal(machine.run(`movzx eax, byte [${DATA}]`), undefined);
  machine.mapPage(DATA, DATA + 0x5000);
  assert.equal(machine.run(`invlpg [${DATA}]\n movzx ebx, byte [${DATA}]`), undefined);
  assert.equal(gpr(machine, RBX), 2n);
  assert.equal(machine.run("mov rax, 0x800000000000\n invlpg [rax]"), undefined);
});

test("cache line instructions fault as reads of a byte do", () => {
  for (const name of ["clflush", "clflushopt", "clwb"]) {
    const machine = new BareMachine(64);
    assert.equal(machine.run(`${name} [${HOLE - 1}]`), undefined);
    assert.deepEqual(machine.run(`${name} [${HOLE}]`), PF);
  }
});

test("IN and OUT move 8, 16 or 32 bits, by an immediate port or DX", () => {
  const machine = new BareMachine(64);
  machine.input = () => 0xdead_beef;
  assert.equal(
    machine.run(`mov rax, -1
      in al, 0x80
      out 0x81, al
      mov dx, 0xcf8
      in ax, dx
      out dx, ax
      mov rax, -1
      in eax, dx
      out dx, eax
      mov rbx, rax`),
    undefined,
  );
  assert.deepEqual(machine.ports, [
    ["in", 0x80, 1, 0xdead_beef],
    ["out", 0x81, 1, 0xef],
    ["in", 0xcf8, 2, 0xdead_beef],
    ["out", 0xcf8, 2, 0xbeef],
    ["in", 0xcf8, 4, 0xdead_beef],
    ["out", 0xcf8, 4, 0xdead_beef],
  ]);
  assert.equal(gpr(machine, RBX), 0xdead_beefn, "32 bits clear the upper half");
});

test("user programs reach the ports that IOPL or the permission bitmap lets them", () => {
  const machine = new BareMachine(64);
  const { registers } = machine.processor;
  machine.denyPorts(0x43, 0x60);
  machine.leaveRing0();
  assert.equal(machine.run("in al, 0x42\n in ax, 0x44\n in al, 0x61"), undefined);
  assert.deepEqual(machine.run("in al, 0x43"), GP);
  assert.deepEqual(machine.run("in ax, 0x42"), GP, "its second byte");
  assert.deepEqual(machine.run("in eax, 0x5d"), GP, "its last byte, in the next byte of the bitmap");
  assert.deepEqual(machine.run("mov dx, 0x100\n out dx, al"), GP, "beyond the TSS");
  const before = machine.ports.length;
  assert.deepEqual(machine.run("mov dx, 0x60\n mov rcx, 3\n rep outsb"), GP);
  assert.equal(machine.ports.length, before);
  assert.equal(machine.run("mov dx, 0x60\n mov rcx, 0\n rep outsb"), undefined, "no element, no check");
  registers.eflags = 0x3002;
  assert.equal(machine.run("in al, 0x43"), undefined);
});

test("INS and OUTS step by direction and size, repeat, and OUTS takes a segment override", () => {
  const machine = new BareMachine(64);
  let next = 0x1111;
  machine.input = () => next++;
  assert.equal(
    machine.run(`mov rdi, ${DATA}
      mov dx, 0x1f0
      mov rcx, 3
      rep insw
      insb
      mov rsi, ${DATA + 4}
      std
      mov rcx, 2
      rep outsw
      cld`),
    undefined,
  );
  assert.equal(machine.ram.getUint32(DATA, true), 0x1112_1111);
  assert.equal(machine.ram.getUint32(DATA + 4, true), 0x0014_1113);
  assert.equal(gpr(machine, RDI), BigInt(DATA + 7));
  assert.equal(gpr(machine, RSI), BigInt(DATA));
  assert.equal(gpr(machine, RCX), 0n);
  assert.deepEqual(machine.ports.slice(-2), [
    ["out", 0x1f0, 2, 0x1113],
    ["out", 0x1f0, 2, 0x1112],
  ]);
  machine.processor.registers.setSegmentBase(4, BigInt(DATA));
  assert.equal(machine.run("mov rsi, 2\n fs outsd"), undefined);
  assert.deepEqual(machine.ports.at(-1), ["out", 0x1f0, 4, 0x1113_1112]);
});

test("a fault in INS comes before its port is read, with what was done so far kept", () => {
  const machine = new BareMachine(64);
  machine.input = () => 0x5a;
  const fault = machine.run(`mov rdi, ${HOLE - 2}\n mov dx, 0x60\n mov rcx, 5\n rep insb`);
  assert.deepEqual(fault, { vector: 14, errorCode: 0 });
  assert.equal(machine.ports.length, 2);
  assert.equal(gpr(machine, RCX), 3n);
  assert.equal(gpr(machine, RDI), BigInt(HOLE));
});

test("a long repetition gives events a turn and goes on", () => {
  const machine = new BareMachine(64);
  machine.input = () => 1;
  assert.equal(machine.run(`mov rdi, ${DATA}\n mov dx, 0x60\n mov rcx, 5000\n rep insb`), undefined);
  assert.equal(machine.ports.length, 5000);
  assert.equal(gpr(machine, RCX), 0n);
});

test("16-bit code reaches ports and memory through its segments", () => {
  const machine = new BareMachine(16);
  machine.input = () => 0x77;
  assert.equal(machine.run("mov di, 4\n mov dx, 0x70\n mov cx, 2\n rep insb\n mov si, 4\n outsw"), undefined);
  assert.equal(machine.ram.getUint16(DATA + 4, true), 0x7777);
  assert.deepEqual(machine.ports.at(-1), ["out", 0x70, 2, 0x7777]);
});
