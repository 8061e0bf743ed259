/** Alignment checks, which ring 0 turns on for ring 3. @spec SDM 3A 6.15, "Interrupt 17—Alignment Check Exception" */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  attempt,
  changeControl,
  exceptionsOf,
  type KernelOptions,
  type Mode,
  run,
  SCRATCH,
  show,
  toUser,
} from "./kernel.ts";

const MODES: readonly Mode[] = ["protected", "paged", "pae", "long"];
const AM = 1 << 18;
const AC = 1 << 18;
const OSFXSR = 0x600;
/** Where virtual-8086 code lies. */
const PARAGRAPH = 0x7000;

/** Tries each line in ring 3 with alignment checks on; the list ends with the #GP of the HLT there. */
function inUser(mode: Mode, lines: readonly string[], options: KernelOptions = {}, flags = AC): string[] {
  const program = `
    ${changeControl(mode, "cr4", OSFXSR)}
    ${changeControl(mode, "cr0", AM)}
    ${toUser(mode, "user", flags | 2)}
  user:
    ${lines.map(attempt).join("")}
    hlt`;
  return exceptionsOf(mode, program, options);
}

for (const mode of MODES) {
  test(`${mode}: an operand that does not lie at a multiple of its size raises #AC(0) in ring 3`, () => {
    const at = (offset: number) => `[${SCRATCH + offset}]`;
    const lines: [string, boolean][] = [
      [`mov al,${at(1)}`, true],
      [`mov ax,${at(2)}`, true],
      [`mov ax,${at(1)}`, false],
      [`mov eax,${at(4)}`, true],
      [`mov eax,${at(2)}`, false],
      [`mov dword ptr ${at(7)},1`, false],
      [`add dword ptr ${at(2)},1`, false],
      [`xchg ax,${at(3)}`, false],
      [`movq mm0,${at(8)}`, true],
      [`movq mm0,${at(4)}`, false],
      [`movsd xmm0,${at(12)}`, false],
      [`movss xmm0,${at(12)}`, true],
      [`fninit\n fld qword ptr ${at(4)}`, false],
      [`fld tbyte ptr ${at(8)}`, true],
      [`fstp tbyte ptr ${at(4)}`, false],
      // SDM 2A table 2-21, note: 16 bytes are not checked.
      [`movups xmm0,${at(1)}`, true],
      [`movups ${at(3)},xmm0`, true],
      [`cmpxchg8b ${at(4)}`, false],
    ];
    const expected = lines.filter(([, aligned]) => !aligned).map(() => "#17(0)");
    assert.deepEqual(inUser(mode, [...lines.map(([line]) => line)]), [...expected, "#13(0)"]);
  });

  test(`${mode}: the stack and string operands are checked`, () => {
    const [sp, di, push] = mode === "long" ? ["rsp", "rdi", "rax"] : ["esp", "edi", "eax"];
    const lines = [`dec ${sp}\n push ${push}`, `inc ${sp}\n mov ${di},${SCRATCH + 2}\n stosd`];
    assert.deepEqual(inUser(mode, lines), ["#17(0)", "#17(0)", "#13(0)"]);
  });

  test(`${mode}: without EFLAGS.AC, without CR0.AM and in ring 0 nothing is checked`, () => {
    const load = () => attempt(`mov eax,[${SCRATCH + 1}]`);
    assert.deepEqual(inUser(mode, [`mov eax,[${SCRATCH + 1}]`], {}, 0), ["#13(0)"]);
    const ring0 = `
      ${changeControl(mode, "cr0", AM)}
      push ${AC | 2}
      ${mode === "long" ? "popfq" : "popfd"}
      ${load()}
      ${changeControl(mode, "cr0", 0, AM)}
      ${toUser(mode, "user", AC | 2)}
    user:
      ${load()}
      hlt`;
    assert.deepEqual(exceptionsOf(mode, ring0), ["#13(0)"]);
  });

  test(`${mode}: POPF turns checks on and off between two instructions`, () => {
    const [pushf, popf, sp] =
      mode === "long" ? ["pushfq", "popfq", "qword ptr [rsp]"] : ["pushfd", "popfd", "dword ptr [esp]"];
    const lines = [
      `mov eax,[${SCRATCH + 1}]`,
      `${pushf}\n or ${sp},${AC}\n ${popf}\n mov eax,[${SCRATCH + 1}]`,
      `${pushf}\n and ${sp},${~AC}\n ${popf}\n mov eax,[${SCRATCH + 1}]`,
    ];
    assert.deepEqual(inUser(mode, lines, {}, 0), ["#17(0)", "#13(0)"]);
  });

  test(`${mode}: a read, change and write that is not aligned leaves memory as it was`, () => {
    const kernel = run(
      mode,
      `${changeControl(mode, "cr0", AM)} ${toUser(mode, "user", AC | 2)}
    user:
      lock add dword ptr [${SCRATCH + 2}],1`,
    );
    assert.deepEqual(show(kernel.exceptions), ["#17(0)"]);
    assert.equal(kernel.ram.getUint32(SCRATCH + 2, true), 0);
  });

  test(`${mode}: descriptors are read at ring 0's rights, wherever they lie`, () => {
    const table = SCRATCH + 0x1003;
    const lines = ["mov ax,0x2b\n mov es,ax"];
    const program = `
      lgdt [unaligned]
      ${changeControl(mode, "cr0", AM)}
      ${toUser(mode, "user", AC | 2)}
    user:
      ${lines.map(attempt).join("")}
      hlt
    unaligned:
      dw 0xfff
      dq ${table}`;
    const setup: KernelOptions["setup"] = ({ ram }) => {
      for (let i = 0; i < 0x100; i++) ram.setUint8(table + i, ram.getUint8(0x1_0000 + i));
    };
    assert.deepEqual(exceptionsOf(mode, program, { setup }), ["#13(0)"]);
  });
}

for (const mode of ["paged", "pae", "long"] as const) {
  // SDM 3A table 6-2.
  test(`${mode}: a page fault comes before the alignment check`, () => {
    const lines = ["mov eax,[0x40000001]"];
    assert.deepEqual(inUser(mode, lines), ["#14(4)@40000001", "#13(0)"]);
  });
}

test("virtual-8086 code is checked as ring 3 is", () => {
  const program = `
    ${changeControl("protected", "cr0", AM)}
    push 0
    push 0
    push 0x1000
    push 0
    push 0x200
    push 0x1000
    push ${AC | 0x2_0002}
    push ${PARAGRAPH}
    push 0
    iretd`;
  // mov ax,[1]
  const code = [0xa1, 0x01, 0x00];
  const kernel = run("protected", program, {
    setup: ({ ram }) => code.forEach((byte, i) => ram.setUint8(PARAGRAPH * 16 + i, byte)),
  });
  assert.deepEqual(show(kernel.exceptions), ["#17(0)"]);
});
