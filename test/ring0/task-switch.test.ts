/** Hardware task switches. @spec SDM 3A chapter 7 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { descriptor, gate } from "../../src/cpu/system/testing/flat-cpu.ts";
import { attempt, type Kernel, type KernelOptions, type Mode, run, SCRATCH, SELECTOR, show, TSS } from "./kernel.ts";

const MODES: readonly Mode[] = ["protected", "paged", "pae"];
const GDT = 0x1_0000;
const OTHER = SELECTOR.free;
const OTHER_TSS = SCRATCH;
const TASK_GATE = SELECTOR.free + 8;
const OTHER_STACK = 0x1_5000;
const NT = 0x4000;
const TABLES = 0x2_0000;

interface TaskFields {
  readonly ip: string;
  readonly flags?: number;
  /** ES CS SS DS FS GS. */
  readonly selectors?: readonly number[];
  readonly trap?: boolean;
}
const KERNEL_SEGMENTS = [SELECTOR.data, SELECTOR.code32, SELECTOR.data, SELECTOR.data, 0, 0];

/** The descriptor and the state of a second task. */
function withTask({ ip, flags = 2, selectors = KERNEL_SEGMENTS, trap = false }: TaskFields): KernelOptions {
  return {
    descriptors: {
      [OTHER]: descriptor({ base: OTHER_TSS, limit: 0x67, type: 9, system: true }),
      [TASK_GATE]: gate({ selector: OTHER, offset: 0, type: 5 }),
    },
    setup(kernel) {
      const { ram } = kernel;
      ram.setUint32(OTHER_TSS + 4, OTHER_STACK, true);
      ram.setUint16(OTHER_TSS + 8, SELECTOR.data, true);
      ram.setUint32(OTHER_TSS + 0x1c, TABLES, true);
      ram.setUint32(OTHER_TSS + 0x20, kernel.at(ip), true);
      ram.setUint32(OTHER_TSS + 0x24, flags, true);
      for (let i = 0; i < 8; i++) ram.setUint32(OTHER_TSS + 0x28 + i * 4, i === 4 ? OTHER_STACK : 0x100 + i, true);
      selectors.forEach((selector, i) => ram.setUint16(OTHER_TSS + 0x48 + i * 4, selector, true));
      ram.setUint16(OTHER_TSS + 0x64, trap ? 1 : 0, true);
      ram.setUint32(TSS + 0x1c, TABLES, true);
    },
  };
}
const typeOf = (kernel: Kernel, selector: number) => kernel.ram.getUint8(GDT + selector + 5) & 0xf;

for (const mode of MODES) {
  for (const [name, selector] of [
    ["a TSS", OTHER],
    ["a task gate", TASK_GATE],
  ] as const) {
    test(`${mode}: a jump to ${name} saves one task and loads the other`, () => {
      const kernel = run(
        mode,
        `
        mov ebx,0x1234
        jmp ${selector}:0
      back:
        hlt
      other:
        str ecx
        hlt`,
        withTask({ ip: "other" }),
      );
      const { ram } = kernel;
      assert.equal(kernel.gpr(3), 0x103n);
      assert.equal(kernel.gpr(1), BigInt(OTHER));
      assert.equal(kernel.gpr(4), BigInt(OTHER_STACK));
      assert.equal(ram.getUint32(TSS + 0x20, true), kernel.at("back"));
      assert.equal(ram.getUint32(TSS + 0x28 + 12, true), 0x1234);
      assert.deepEqual([typeOf(kernel, SELECTOR.tss), typeOf(kernel, OTHER)], [9, 11]);
      assert.equal(Number(kernel.machine.processor.registers.get64("cr0") & 8n), 8, "CR0.TS is set");
    });
  }

  test(`${mode}: a call nests a task, and IRET with NT set goes back to it`, () => {
    const kernel = run(
      mode,
      `
      call ${OTHER}:0
      mov esi,1
      pushfd
      pop edi
      hlt
    other:
      pushfd
      pop ebx
      mov [${SCRATCH + 0x200}],ebx
      iretd`,
      withTask({ ip: "other" }),
    );
    assert.equal(kernel.gpr(6), 1n);
    assert.equal(kernel.gpr(7) & BigInt(NT), 0n);
    assert.equal(kernel.ram.getUint32(SCRATCH + 0x200, true) & NT, NT);
    assert.equal(kernel.ram.getUint16(OTHER_TSS, true), SELECTOR.tss, "the link");
    assert.deepEqual([typeOf(kernel, SELECTOR.tss), typeOf(kernel, OTHER)], [11, 9]);
  });

  test(`${mode}: a busy task, one that is none and one that is too small are refused`, () => {
    const options = withTask({ ip: "other" });
    const small = SELECTOR.free + 16;
    const absent = SELECTOR.free + 24;
    const kernel = run(
      mode,
      `
      ${attempt(`jmp ${SELECTOR.tss}:0`)}
      ${attempt(`jmp ${SELECTOR.data}:0`)}
      ${attempt(`jmp ${small}:0`)}
      ${attempt(`jmp ${absent}:0`)}
      hlt
    other: hlt`,
      {
        ...options,
        descriptors: {
          ...options.descriptors,
          [small]: descriptor({ base: OTHER_TSS, limit: 0x66, type: 9, system: true }),
          [absent]: descriptor({ base: OTHER_TSS, limit: 0x67, type: 9, system: true, present: false }),
        },
      },
    );
    assert.deepEqual(show(kernel.exceptions), ["#13(40)", "#13(10)", "#10(90)", "#11(98)"]);
  });

  // SDM 3A 7.3, table 7-1: faults from here on are the new task's.
  test(`${mode}: a segment that the new task cannot have is an exception in the new task`, () => {
    const bad = (selectors: number[]) => {
      const options = withTask({ ip: "other", selectors });
      const kernel = run(mode, `jmp ${OTHER}:0\n other: mov ebx,1\n hlt`, options);
      assert.equal(kernel.exceptions[0]?.ip, kernel.at("other"));
      return show(kernel.exceptions);
    };
    const [es, cs, ss, ds] = KERNEL_SEGMENTS as [number, number, number, number];
    assert.deepEqual(bad([es, cs, ss, SELECTOR.tss, 0, 0]), ["#10(40)"]);
    assert.deepEqual(bad([es, cs, ss, ds, SELECTOR.data + 4, 0]), ["#10(14)"]);
  });

  test(`${mode}: an interrupt through a task gate nests, with its error code on the new task's stack`, () => {
    const options = withTask({ ip: "other" });
    const kernel = run(
      mode,
      `
      mov ax,0x1000
      mov fs,ax
    other:
      mov ebx,[esp]
      mov ecx,esp
      hlt`,
      { ...options, gates: { 13: { label: "0", selector: OTHER, type: 5 } } },
    );
    assert.equal(kernel.gpr(3), 0x1000n);
    assert.equal(kernel.gpr(1), BigInt(OTHER_STACK - 4));
    assert.equal(kernel.ram.getUint16(OTHER_TSS, true), SELECTOR.tss);
  });

  // SDM 3A 7.2.1 (T), SDM 3B 18.3.1.5.
  test(`${mode}: the T flag of a TSS is a debug exception before the task's first instruction`, () => {
    const kernel = run(mode, `jmp ${OTHER}:0\n other: mov ebx,1\n hlt`, withTask({ ip: "other", trap: true }));
    assert.equal(kernel.exceptions[0]?.vector, 1);
    assert.equal(kernel.exceptions[0]?.ip, kernel.at("other"));
    assert.equal((kernel.exceptions[0]?.dr6 ?? 0) & 0xe00f, 0x8000);
  });

  // SDM 3B 18.2.4.
  test(`${mode}: a task switch takes away local breakpoints, not global ones`, () => {
    const kernel = run(
      mode,
      `
      mov eax,0x7ff
      mov dr7,eax
      jmp ${OTHER}:0
    other:
      mov ebx,dr7
      hlt`,
      withTask({ ip: "other" }),
    );
    assert.equal(kernel.gpr(3), 0x6aan);
  });

  test(`${mode}: a task can be one of virtual-8086 mode`, () => {
    const task = withTask({ ip: "0", flags: 0x2_0002, selectors: [0x1111, 0x700, 0x500, 0x2222, 0, 0] });
    const kernel = run(mode, `jmp ${OTHER}:0`, {
      ...task,
      setup(kernel) {
        task.setup?.(kernel);
        kernel.ram.setUint16(0x7000, 0x0b0f, true); // ud2
      },
    });
    assert.deepEqual(show(kernel.exceptions), ["#6"]);
    assert.equal(kernel.exceptions[0]?.cs, 0x700);
    assert.equal((kernel.exceptions[0]?.flags ?? 0) & 0x2_0000, 0x2_0000);
  });
}

test("a task switch loads CR3 where paging is on", () => {
  const empty = 0x30_0000;
  const kernel = run("paged", `jmp ${OTHER}:0\n other: mov ebx,cr3\n hlt`, {
    ...withTask({ ip: "other" }),
    setup(kernel) {
      withTask({ ip: "other" }).setup?.(kernel);
      for (let i = 0; i < 4096; i += 4) kernel.ram.setUint32(empty + i, kernel.ram.getUint32(TABLES + i, true), true);
      kernel.ram.setUint32(OTHER_TSS + 0x1c, empty, true);
    },
  });
  assert.equal(kernel.gpr(3), BigInt(empty));
});

test("a 16-bit TSS holds and loads the low halves of registers", () => {
  const kernel = run("protected", `mov ebx,0x12345678\n jmp ${OTHER}:0\n other: hlt`, {
    descriptors: { [OTHER]: descriptor({ base: OTHER_TSS, limit: 0x2b, type: 1, system: true }) },
    setup({ ram, symbols }) {
      ram.setUint16(OTHER_TSS + 0x0e, Number(symbols.get("other")), true);
      ram.setUint16(OTHER_TSS + 0x10, 2, true);
      ram.setUint16(OTHER_TSS + 0x12 + 6, 0x5555, true);
      ram.setUint16(OTHER_TSS + 0x12 + 8, 0x5000, true);
      [SELECTOR.data, SELECTOR.code32, SELECTOR.data, SELECTOR.data].forEach((selector, i) =>
        ram.setUint16(OTHER_TSS + 0x22 + i * 2, selector, true),
      );
    },
  });
  assert.equal(kernel.gpr(3) & 0xffffn, 0x5555n);
  assert.equal(kernel.ram.getUint32(TSS + 0x28 + 12, true), 0x1234_5678);
});

test("IA-32e mode has no task switches", () => {
  const program = `${attempt("jmp far [pointer]")} pushfq\n or qword ptr [rsp],${NT}\n popfq\n ${attempt("iretq")} hlt
    pointer:
      dd 0
      dw ${OTHER}`;
  const kernel = run("long", program, {
    descriptors: { [OTHER]: descriptor({ base: OTHER_TSS, limit: 0x67, type: 9, system: true }) },
  });
  assert.deepEqual(show(kernel.exceptions), ["#13(80)", "#13(0)"]);
});
