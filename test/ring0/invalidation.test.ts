/** What the processor may remember of page tables, and what makes it forget. @spec SDM 3A 4.10 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { changeControl, entryAddress, type KernelOptions, PAGED, PTE, run, SCRATCH, show } from "./kernel.ts";

const LINEAR = 0x4000_0000;
const OPEN = PTE.P | PTE.RW | PTE.US;
const PGE = 0x80;

/** Two frames, the first of which LINEAR leads to; ENTRY in a program is the address of its page table entry. */
const frames: NonNullable<KernelOptions["setup"]> = (kernel) => {
  kernel.map(LINEAR, SCRATCH | OPEN);
  kernel.ram.setUint32(SCRATCH, 1, true);
  kernel.ram.setUint32(SCRATCH + 0x1000, 2, true);
};

for (const mode of PAGED) {
  const entry = entryAddress(mode, LINEAR);
  const setEntry = (value: number) => `mov dword ptr [${entry}],${value}`;
  const reload = mode === "long" ? "mov rax,cr3\n mov cr3,rax" : "mov eax,cr3\n mov cr3,eax";
  const ways: Record<string, string> = {
    INVLPG: `invlpg [${LINEAR + 0x123}]`,
    "MOV to CR3": reload,
    "a change of CR4.PGE": changeControl(mode, "cr4", PGE),
    "a change of CR0.WP": changeControl(mode, "cr0", 0x1_0000),
  };

  for (const [way, code] of Object.entries(ways)) {
    test(`${mode}: after ${way} another frame is seen`, () => {
      const program = `mov ebx,[${LINEAR}]\n ${setEntry((SCRATCH + 0x1000) | OPEN)}\n ${code}\n mov ecx,[${LINEAR}]\n hlt`;
      const kernel = run(mode, program, { setup: frames });
      assert.deepEqual([kernel.gpr(3), kernel.gpr(1)], [1n, 2n]);
    });

    test(`${mode}: after ${way} a page that was taken away faults`, () => {
      const program = `mov ebx,[${LINEAR}]\n ${setEntry(0)}\n ${code}\n mov ecx,[${LINEAR}]\n hlt`;
      assert.deepEqual(show(run(mode, program, { setup: frames }).exceptions), ["#14(0)@40000000"]);
    });
  }

  // SDM 3A 4.10.4.2: both are allowed.
  test(`${mode}: without invalidation the old or the new frame is seen, nothing else`, () => {
    const program = `mov ebx,[${LINEAR}]\n ${setEntry((SCRATCH + 0x1000) | OPEN)}\n mov ecx,[${LINEAR}]\n hlt`;
    assert.ok([1n, 2n].includes(run(mode, program, { setup: frames }).gpr(1)));
  });

  // SDM 3A 4.10.4.3: nothing is remembered of what was not there, and a fault forgets the page.
  test(`${mode}: a page that appears needs no invalidation, nor does one that becomes writable`, () => {
    const program = `
      ${changeControl(mode, "cr0", 0x1_0000)}
      mov ebx,[${LINEAR}]
      mov dword ptr [${LINEAR}],7
      hlt
    pageFault:
      inc esi
      inc dword ptr [step]
      cmp dword ptr [step],2
      jz second
      ${setEntry(SCRATCH | PTE.P)}
      jmp back
    second:
      ${setEntry(SCRATCH | OPEN)}
    back:
      add ${mode === "long" ? "rsp,8" : "esp,4"}
      ${mode === "long" ? "iretq" : "iretd"}
    step:
      dd 0`;
    const kernel = run(mode, program, {
      gates: { 14: { label: "pageFault" } },
      setup(kernel) {
        frames(kernel);
        kernel.map(LINEAR, 0);
      },
    });
    assert.deepEqual([kernel.gpr(6), kernel.gpr(3)], [2n, 1n]);
    assert.equal(kernel.ram.getUint32(SCRATCH, true), 7);
  });

  test(`${mode}: INVLPG of one address in a large page forgets all of it`, () => {
    const directory = entryAddress(mode, LINEAR, 1);
    const program = `
      mov ebx,[${LINEAR + SCRATCH}]
      mov dword ptr [${directory}],0
      invlpg [${LINEAR}]
      mov ecx,[${LINEAR + SCRATCH}]
      hlt`;
    const kernel = run(mode, program, {
      setup(kernel) {
        frames(kernel);
        kernel.setEntry(directory, OPEN | PTE.PS);
      },
    });
    assert.equal(kernel.gpr(3), 1n);
    assert.deepEqual(show(kernel.exceptions), [`#14(0)@${(LINEAR + SCRATCH).toString(16)}`]);
  });

  // SDM 3A 4.8: a write through a cached translation still sets the dirty flag.
  test(`${mode}: the first write after a read sets the dirty flag, also after it was cleared and invalidated`, () => {
    const program = `
      mov ebx,[${LINEAR}]
      mov dword ptr [${LINEAR}],5
      mov esi,[${entry}]
      and dword ptr [${entry}],${~PTE.D >>> 0}
      invlpg [${LINEAR}]
      mov ebx,[${LINEAR}]
      mov edi,[${entry}]
      mov dword ptr [${LINEAR}],6
      mov ebp,[${entry}]
      hlt`;
    const kernel = run(mode, program, { setup: frames });
    assert.deepEqual(
      [6, 7, 5].map((index) => Number(kernel.gpr(index)) & PTE.D),
      [PTE.D, 0, PTE.D],
    );
  });

  test(`${mode}: INVLPG is not for ring 3`, () => {
    const program = `
      push 0x2b
      push 0x1a000
      push 2
      push ${mode === "long" ? 0x33 : 0x3b}
      push user
      ${mode === "long" ? "iretq" : "iretd"}
    user:
      invlpg [0]`;
    assert.deepEqual(show(run(mode, program).exceptions), ["#13(0)"]);
  });
}
