/** When interrupts come, and when they are held off. @spec SDM 3A 6.3, 6.7, 6.8 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Kernel, type KernelOptions, type Mode, show } from "./kernel.ts";

const MODES: readonly Mode[] = ["protected", "paged", "pae", "long"];
const VECTOR = 0x30;

/** Runs a program with an interrupt that waits; EBX is what the handler finds. */
function interrupted(mode: Mode, program: string, options: KernelOptions = {}, nmi = false): bigint {
  const kernel = new Kernel(mode, `${program}\n hlt\n handler: hlt`, {
    gates: { [VECTOR]: { label: "handler" }, 2: { label: "handler" } },
    ...options,
  });
  if (nmi) kernel.machine.nmi();
  else kernel.machine.waiting = VECTOR;
  assert.equal(kernel.run(), "halted");
  assert.deepEqual(show(kernel.exceptions), []);
  return kernel.gpr(3);
}
const flags = (mode: Mode, value: number) => `push ${value}\n ${mode === "long" ? "popfq" : "popfd"}`;

for (const mode of MODES) {
  test(`${mode}: STI lets interrupts in after the next instruction`, () => {
    assert.equal(interrupted(mode, "mov ebx,0\n sti\n mov ebx,1\n mov ebx,2\n mov ebx,3"), 1n);
  });

  test(`${mode}: STI with interrupts on already holds off nothing`, () => {
    const program = "mov ebx,0\n sti\n hlt\n sti\n mov ebx,1";
    assert.equal(interrupted(mode, program), 0n);
  });

  test(`${mode}: STI and CLI in a row let no interrupt in`, () => {
    assert.equal(interrupted(mode, "mov ebx,0\n sti\n cli\n mov ebx,1\n mov ebx,2"), 2n);
  });

  test(`${mode}: an interrupt ends HLT behind STI`, () => {
    assert.equal(interrupted(mode, "mov ebx,5\n sti\n hlt\n mov ebx,6"), 5n);
  });

  test(`${mode}: POPF and IRET that set IF let interrupts in at once`, () => {
    assert.equal(interrupted(mode, `mov ebx,0\n ${flags(mode, 0x202)}\n mov ebx,1`), 0n);
    const iret =
      mode === "long"
        ? "push 0x10\n push 0x18000\n push 0x202\n push 0x18\n push here\n iretq"
        : "push 0x202\n push 8\n push here\n iretd";
    assert.equal(interrupted(mode, `mov ebx,0\n ${iret}\n here: mov ebx,1`), 0n);
  });

  for (const load of ["mov ss,ax", "pop ss"]) {
    if (mode === "long" && load === "pop ss") continue;
    test(`${mode}: ${load} holds off interrupts until after the next instruction`, () => {
      const prepare = "mov ax,ss\n push eax".replace(mode === "long" ? "\n push eax" : "?", "");
      // The interrupt comes up while IF is set: with the port access between.
      const kernel = new Kernel(
        mode,
        `sti\n nop\n mov ebx,0\n ${prepare}\n out 0x80,al\n ${load}\n mov ebx,1\n mov ebx,2\n hlt\n handler: hlt`,
        {
          gates: { [VECTOR]: { label: "handler" } },
        },
      );
      const { machine } = kernel;
      // One instruction at a time up to the load.
      while (machine.output.length === 0) machine.processor.step();
      machine.processor.step();
      machine.waiting = VECTOR;
      assert.equal(kernel.run(), "halted");
      assert.equal(kernel.gpr(3), 1n);
    });
  }

  test(`${mode}: an NMI comes with interrupts off, and the next one not before IRET`, () => {
    const flag = 0x10_0000;
    const kernel = new Kernel(
      mode,
      `
      mov ebx,0
    wait:
      cmp ebx,2
      jnz wait
      hlt
    handler:
      add ebx,1
    busy:
      cmp dword ptr [${flag}],0
      jz busy
      ${mode === "long" ? "iretq" : "iretd"}`,
      { gates: { 2: { label: "handler" } } },
    );
    const { processor } = kernel.machine;
    processor.run(1000);
    for (let i = 0; i < 2; i++) {
      kernel.machine.nmi();
      processor.run(1000);
      assert.equal(kernel.gpr(3), 1n, "the second waits");
    }
    kernel.ram.setUint8(flag, 1);
    assert.equal(kernel.run(), "halted");
    assert.equal(kernel.gpr(3), 2n);
  });

  test(`${mode}: a repeated string instruction lets interrupts in between elements and goes on`, () => {
    const [di, cx] = mode === "long" ? ["rdi", "rcx"] : ["edi", "ecx"];
    const kernel = new Kernel(
      mode,
      `
      mov ${di},0x100000
      mov ${cx},0x40000
      mov al,0x5a
      sti
      nop
      rep stosb
      hlt
    handler:
      mov ebx,ecx
      add esi,1
      ${mode === "long" ? "iretq" : "iretd"}`,
      { gates: { [VECTOR]: { label: "handler" } } },
    );
    const { processor } = kernel.machine;
    processor.run(600);
    assert.ok(kernel.gpr(1) > 0n, "the budget ends in the middle");
    kernel.machine.waiting = VECTOR;
    assert.equal(kernel.run(), "halted");
    assert.equal(kernel.gpr(6), 1n);
    assert.ok(kernel.gpr(3) > 0n && kernel.gpr(3) < 0x4_0000n);
    assert.equal(kernel.gpr(1), 0n);
    assert.equal(kernel.ram.getUint8(0x13_ffff), 0x5a);
  });
}
