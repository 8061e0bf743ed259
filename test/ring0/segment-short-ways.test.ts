/**
 * Loads of segment registers, far jumps and switches of CR0.PE have a short way in WebAssembly, where the TLB has the
 * descriptor. Right after a load of CR3 it has none: both ways must come to the same. Real-address mode's INT n, IRET and
 * far jumps are compared with what the manuals say of them. @spec SDM 3A 5.4, 20.1; SDM 2, MOV, JMP, INT n, IRET
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BLOCK_CONTEXT, CONTEXT } from "../../src/cpu/state.ts";
import { descriptor } from "../../src/cpu/system/testing/flat-cpu.ts";
import { GuestMachine } from "../../src/cpu/system/testing/guest-machine.ts";
import { CS, DS, ES, FS, GS, SS } from "../../src/isa/semantics.ts";
import { attempt, Kernel, type Mode, SCRATCH, SELECTOR, show } from "./kernel.ts";

const MODES: readonly Mode[] = ["protected", "paged", "pae"];
const GDT = 0x1_0000;
const flat = { limit: 0xf_ffff, pages: true, big: true } as const;
const DESCRIPTORS = {
  16: descriptor({ ...flat, type: 3 }),
  // Code: readable, conforming, not used yet, not present, of ring 3, conforming of ring 3, not readable, with a base, small.
  128: descriptor({ ...flat, type: 0xb }),
  136: descriptor({ ...flat, type: 0xf }),
  144: descriptor({ ...flat, type: 0xa }),
  152: descriptor({ ...flat, type: 0xb, present: false }),
  160: descriptor({ ...flat, type: 0xb, dpl: 3 }),
  168: descriptor({ ...flat, type: 0xf, dpl: 3 }),
  176: descriptor({ ...flat, type: 9 }),
  184: descriptor({ ...flat, type: 0xb, base: 0x1000 }),
  192: descriptor({ limit: 0xfff, type: 0xb, big: true }),
  // Data: read-only, not used yet, not present, expanding downwards, of 16 bits, with a base, of 1 MiB, of ring 3.
  200: descriptor({ ...flat, type: 1 }),
  208: descriptor({ ...flat, type: 2 }),
  216: descriptor({ ...flat, type: 3, present: false }),
  224: descriptor({ limit: 0xfff, pages: true, big: true, type: 7 }),
  232: descriptor({ ...flat, type: 3, big: false }),
  240: descriptor({ ...flat, type: 3, base: 0x1000 }),
  248: descriptor({ ...flat, limit: 0xff, type: 3 }),
  256: descriptor({ ...flat, type: 3, dpl: 3 }),
  // A task gate and a call gate are no segments.
  264: descriptor({ type: 0xc, system: true }),
};
const SELECTORS = [0, 3, 0x10, 0x13, 0x14, 0xfff8, ...Object.keys(DESCRIPTORS).slice(1).map(Number), 0x83, 0xa3, 0xf3];
/** Different ones in each mode. */
const selectorsFor = (mode: Mode): number[] => SELECTORS.filter((_, i) => i % MODES.length === MODES.indexOf(mode));
/** A stack segment of 1 MiB makes code that is not flat. */
const MEBIBYTE = 0xf8;
/** A far pointer lies beside what is compared: it tells how long the code is. */
const POINTER = SCRATCH + 0x100;
const WARM = `or dword ptr [${GDT}],0\n or dword ptr [${GDT + 0x100}],0\n`;
const COLD = "mov edi,cr3\n mov cr3,edi\n";

interface Seen {
  readonly end: string;
  readonly general: readonly bigint[];
  readonly segments: readonly unknown[];
  readonly shape: readonly number[];
  readonly exceptions: unknown;
  readonly table: string;
  readonly scratch: string;
}

function outcome(mode: Mode, program: string): Seen {
  const kernel = new Kernel(mode, program, { descriptors: DESCRIPTORS, budget: 2000 });
  const end = kernel.run();
  const { registers } = kernel.machine.processor;
  const bytes = (at: number, length: number) =>
    Buffer.from(kernel.ram.buffer, kernel.ram.byteOffset + at, length).toString("hex");
  return {
    end,
    // EDI is what the long way needs.
    general: [0, 1, 2, 3, 4, 5, 6].map((index) => kernel.gpr(index)),
    segments: [ES, CS, SS, DS, FS, GS].map((index) => segmentOf(registers, index)),
    shape: [registers.get32("context") & BLOCK_CONTEXT & ~CONTEXT.step, Number(registers.get64("cr0"))],
    exceptions: show(kernel.exceptions),
    table: bytes(GDT, 0x120),
    scratch: bytes(SCRATCH, 32),
  };
}

function segmentOf(registers: GuestMachine["processor"]["registers"], index: number) {
  const base = Number(registers.segmentBase(index));
  return {
    selector: registers.selector(index),
    base,
    limit: registers.limit(index),
    rights: registers.attributes(index),
  };
}

/** Runs `program` with the first `WAY` replaced by what makes for the short way and the long one. */
function assertSame(mode: Mode, program: string): string {
  const [short, long] = [WARM, COLD].map((way) => outcome(mode, program.replace("WAY", way)));
  assert.deepEqual(short, long, `${mode}: ${program}`);
  return JSON.stringify(short, (_, value) => (typeof value === "bigint" ? `${value}` : value));
}

const USE = (segment: string) =>
  attempt(`mov edx,${segment}\n ${segment} mov ecx,[${SCRATCH}]\n ${segment} mov [${SCRATCH}+4],ecx`);

for (const segment of ["ds", "es", "fs", "gs", "ss"]) {
  test(`${segment.toUpperCase()} is loaded the same on both ways, in flat code and in other code`, () => {
    for (const mode of MODES) {
      const seen = new Set<string>();
      for (const selector of selectorsFor(mode)) {
        for (const stack of [SELECTOR.data, MEBIBYTE]) {
          for (const load of [
            `mov ax,${selector}\n WAY mov ${segment},ax`,
            `push dword ${selector}\n WAY pop ${segment}`,
          ]) {
            // With another stack segment nothing could be pushed for `attempt`.
            const after = segment === "ss" ? "mov edx,ss\n mov ss,bx\n" : USE(segment);
            const program = `mov bx,${stack}\n mov ss,bx\n mov dword ptr [${SCRATCH}],0x12345678\n
              ${attempt(load)}\n ${after}\n hlt`;
            seen.add(assertSame(mode, program));
          }
        }
      }
      assert.ok(seen.size > 8, `${mode}: ${seen.size}`);
    }
  });
}

test("a load of SS is the same on both ways for what comes next: stacks of 16 bits and of 32", () => {
  for (const mode of MODES) {
    for (const selector of [SELECTOR.data16, SELECTOR.data, MEBIBYTE]) {
      const program = `mov ax,${selector}\n mov dx,ss\n WAY mov ss,ax\n mov esp,0x28000\n push 0x1234\n mov ecx,esp\n hlt`;
      assertSame(mode, program);
    }
  }
});

test("far jumps are the same on both ways", () => {
  for (const mode of MODES) {
    const seen = new Set<string>();
    for (const selector of SELECTORS) {
      for (const stack of [SELECTOR.data, MEBIBYTE]) {
        const jump = `WAY jmp ${selector}:landed\n landed: mov esi,cs\n`;
        seen.add(assertSame(mode, `mov bx,${stack}\n mov ss,bx\n ${attempt(jump)}\n hlt`));
        const indirect = `mov dword ptr [${POINTER}],landed\n mov word ptr [${POINTER + 4}],${selector}\n
          WAY jmp far [${POINTER}]\n landed: mov esi,cs\n`;
        seen.add(assertSame(mode, `mov bx,${stack}\n mov ss,bx\n ${attempt(indirect)}\n hlt`));
      }
    }
    assert.ok(seen.size > 10, `${mode}: ${seen.size}`);
  }
});

const REAL_LIMIT = 0xffff;
/** In real-address mode segments are as data segments that have been used. */
const real = (selector: number, limit = REAL_LIMIT) => ({ selector, base: selector * 16, limit, rights: 0x93 });

function runReal(source: string, prepare?: (machine: GuestMachine, labels: ReadonlyMap<string, bigint>) => void) {
  const machine = new GuestMachine();
  const labels = machine.load(source);
  prepare?.(machine, labels);
  for (let i = 0; i < 100 && machine.processor.run(50).kind !== "halted"; i++);
  return { machine, registers: machine.processor.registers };
}
const vectorTo =
  (vector: number, segment: number, label: string) => (machine: GuestMachine, labels: ReadonlyMap<string, bigint>) => {
    machine.ram.setUint16(vector * 4, Number(labels.get(label)) - segment * 16, true);
    machine.ram.setUint16(vector * 4 + 2, segment, true);
  };

test("real-address mode: loads of segment registers make them paragraphs, and keep their limits", () => {
  const { registers } = runReal(`
    mov ax,0x1234
    mov es,ax
    mov ax,0xffff
    mov fs,ax
    push word 0x4321
    pop gs
    mov ax,0x50
    mov ss,ax
    mov sp,0x3ff0
    push word 0x777
    pop ds
    hlt`);
  assert.deepEqual(segmentOf(registers, ES), real(0x1234));
  assert.deepEqual(segmentOf(registers, FS), real(0xffff));
  assert.deepEqual(segmentOf(registers, GS), real(0x4321));
  assert.deepEqual(segmentOf(registers, SS), real(0x50));
  assert.deepEqual(segmentOf(registers, DS), real(0x777));
  assert.equal(registers.gpr32(4) & 0xffff, 0x3ff0);
});

test("real-address mode: INT n and IRET, with all that they do to flags and stack", () => {
  for (const vector of [0x10, 0xff]) {
    const { machine, registers } = runReal(
      `mov ax,0x80
      mov ss,ax
      mov sp,0x102
      sti
      stc
      std
      int ${vector}
    back:
      mov si,sp
      pushf
      pop di
      hlt
    handler:
      mov bp,sp
      mov bx,cs
      pushf
      pop dx
      mov cx,[bp+4]
      clc
      iret`,
      vectorTo(vector, 0x100, "handler"),
    );
    assert.deepEqual(segmentOf(registers, CS), real(0));
    assert.equal(registers.gpr32(3) & 0xffff, 0x100, "the handler's CS");
    assert.equal(registers.gpr32(5) & 0xffff, 0x102 - 6, "three words");
    assert.equal(registers.gpr32(6) & 0xffff, 0x102, "and off again");
    const [pushed, inHandler, after] = [1, 2, 7].map((index) => registers.gpr32(index) & 0xffff) as [
      number,
      number,
      number,
    ];
    assert.equal(pushed & 0x601, 0x601, "CF, IF and DF as they were");
    assert.equal(inHandler & 0x601, 0x401, "IF is clear in the handler");
    assert.equal(after & 0x601, 0x601);
    assert.equal(machine.ram.getUint16(0x800 + 0x102 - 4, true), 0, "the CS that was pushed");
  }
});

test("real-address mode: the stack of INT n and IRET wraps around within its segment", () => {
  const { registers } = runReal(
    "mov sp,2\n int 0x20\n mov si,sp\n hlt\n handler: mov bp,sp\n iret",
    vectorTo(0x20, 0, "handler"),
  );
  assert.equal(registers.gpr32(5) & 0xffff, 0xfffc);
  assert.equal(registers.gpr32(6) & 0xffff, 2);
});

test("real-address mode: IRET lets in an interrupt that waits, and TF of what it loads is obeyed", () => {
  const waits = runReal(
    "cli\n push word 0x202\n push cs\n push landed\n iret\n landed: mov bx,1\n hlt\n handler: mov cx,bx\n mov bx,7\n hlt",
    (machine, labels) => {
      vectorTo(0x33, 0, "handler")(machine, labels);
      machine.waiting = 0x33;
    },
  );
  assert.deepEqual(
    [1, 3].map((index) => waits.registers.gpr32(index) & 0xffff),
    [0, 7],
  );
  const steps = runReal(
    "push word 0x102\n push cs\n push landed\n xor bx,bx\n iret\n landed: inc bx\n inc bx\n hlt\n handler: mov cx,bx\n hlt",
    vectorTo(1, 0, "handler"),
  );
  assert.equal(steps.registers.gpr32(1) & 0xffff, 1);
});

test("real-address mode: an offset beyond CS's limit is refused by IRET and by a far jump, and nothing has changed", () => {
  for (const jump of ["push dword 0x202\n push dword 0\n push dword 0x12345\n o32 iret", "o32 jmp 0:0x12345"]) {
    const { registers } = runReal(
      `mov bx,sp\n ${jump.replace("o32 iret", "iretd").replace("o32 jmp", "jmp dword")}\n hlt\n handler: mov cx,cs\n mov bp,sp\n hlt`,
      vectorTo(13, 0, "handler"),
    );
    assert.equal(registers.gpr32(1) & 0xffff, 0);
    assert.equal((registers.gpr32(5) & 0xffff) % 2, 0);
  }
});

test("a jump to itself behind STI lets an interrupt in", () => {
  const { registers } = runReal("cli\n sti\n here: jmp here\n handler: mov bx,5\n hlt", (machine, labels) => {
    vectorTo(0x33, 0, "handler")(machine, labels);
    for (let i = 0; i < 2; i++) machine.processor.step();
    machine.waiting = 0x33;
  });
  assert.equal(registers.gpr32(3) & 0xffff, 5);
});

test("an interrupt that arrives right behind STI does not come before HLT", () => {
  const { registers } = runReal("cli\n sti\n hlt\n mov bx,1\n hlt\n handler: mov bx,5\n iret", (machine, labels) => {
    vectorTo(0x33, 0, "handler")(machine, labels);
    for (let i = 0; i < 2; i++) machine.processor.step();
    machine.waiting = 0x33;
  });
  assert.equal(registers.gpr32(3) & 0xffff, 1, "HLT was ended by it");
});

test("a thousand calls of real-address mode from protected mode need hardly any TypeScript", () => {
  const machine = new GuestMachine();
  machine.ram.setBigUint64(0x2008, descriptor({ ...flat, type: 0xb }), true);
  machine.ram.setBigUint64(0x2010, descriptor({ ...flat, type: 3 }), true);
  machine.ram.setBigUint64(0x2018, descriptor({ limit: 0xffff, type: 0xf }), true);
  machine.ram.setBigUint64(0x2020, descriptor({ limit: 0xffff, type: 3 }), true);
  const labels = machine.load(`
    lgdt [gdtr]
    mov cx,1000
    xor si,si
  again:
    mov eax,cr0
    or al,1
    mov cr0,eax
    jmp 8:protected
  gdtr:
    dw 0x27
    dd 0x2000
  idtr:
    dw 0x3ff
    dd 0
  bits 32
  protected:
    mov ax,0x10
    mov ss,ax
    mov ds,ax
    mov es,ax
    sidt [0x5000]
    jmp 0x18:leaving
  bits 16
  leaving:
    mov ax,0x20
    mov ds,ax
    mov es,ax
    mov ss,ax
    mov eax,cr0
    and al,0xfe
    mov cr0,eax
    jmp 0:landed
  landed:
    xor ax,ax
    mov ss,ax
    mov ds,ax
    mov es,ax
    lidt [idtr]
    int 0x40
    loop again
    hlt
  handler:
    inc si
    iret`);
  vectorTo(0x40, 0, "handler")(machine, labels);
  let effort = 0;
  const { registers } = machine.processor;
  for (let i = 0; i < 100; i++) {
    const { kind } = machine.processor.run(1000);
    effort += registers.get32("effort");
    if (kind === "halted") break;
  }
  assert.deepEqual(
    [1, 6].map((index) => registers.gpr32(index) & 0xffff),
    [0, 1000],
  );
  assert.ok(effort < 1000, `TypeScript was called: an effort of ${effort}`);
  assert.deepEqual(segmentOf(registers, SS), real(0));
});
