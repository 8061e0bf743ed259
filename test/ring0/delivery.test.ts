/**
 * Exceptions and interrupts of the usual kind are delivered in WebAssembly. A breakpoint anywhere makes the processor take
 * the long way: both must come to the same, in registers, on the stack and in tables. @spec SDM 3A 6.14
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { System } from "../../src/cpu/system/functions.ts";
import { descriptor } from "../../src/cpu/system/testing/flat-cpu.ts";
import { INTERRUPT_STACK, Kernel, type KernelOptions, SCRATCH, STACK, show, TSS, toUser } from "./kernel.ts";

const DR7 = { nothing: 0x400, breakpoint: 0x401 } as const;
const flat = { limit: 0xf_ffff, pages: true } as const;
const DESCRIPTORS = {
  24: descriptor({ ...flat, type: 0xb, long: true }),
  32: descriptor({ ...flat, type: 3, big: true }),
  // Handlers' code: conforming, not marked as accessed, not present, of ring 3, of 32 bits, and data.
  128: descriptor({ ...flat, type: 0xf, long: true }),
  136: descriptor({ ...flat, type: 0xa, long: true }),
  144: descriptor({ ...flat, type: 0xb, long: true, present: false }),
  152: descriptor({ ...flat, type: 0xb, long: true, dpl: 3 }),
  160: descriptor({ ...flat, type: 0xb, big: true }),
  168: descriptor({ ...flat, type: 3, big: true }),
  // As readable as that of the kernel, and not readable.
  176: descriptor({ ...flat, type: 0xb, long: true }),
  184: descriptor({ ...flat, type: 9, long: true }),
};

/** Not there, so that a look at it is a page fault; and a handler that tells what it finds. */
const ABSENT = 0x4000_0000;
const HANDLER = `
  handler:
    mov r14,cr2
    mov r15d,cs
    mov ebp,ss
    mov r13,rsp
    pushfq
    pop r12
    hlt`;

/** Linear address, size. */
const LOOKED_AT = [
  [STACK - 0x200, 0x200],
  [INTERRUPT_STACK - 0x200, 0x200],
  [SCRATCH, 0x1000],
  [0x1_0000, 0x200],
] as const;

/** Everything that software could tell at the end. */
function outcome(program: string, options: KernelOptions): unknown {
  const kernel = new Kernel("long", program, { descriptors: DESCRIPTORS, budget: 2000, ...options });
  const end = kernel.run();
  const { ram, machine } = kernel;
  const memory = LOOKED_AT.map(([at, size]) =>
    Buffer.from(ram.buffer, ram.byteOffset + at, size)
      .toString("hex")
      .replace(/^(00)+/, ""),
  );
  const marks = [SCRATCH, STACK - 8, INTERRUPT_STACK - 8, TSS].map((linear) => kernel.page(linear));
  const registers = Array.from({ length: 16 }, (_, i) => kernel.gpr(i));
  const { processor } = machine;
  const segments = [0, 1, 2, 3, 4, 5].map((index) => [
    processor.registers.selector(index),
    processor.registers.segmentBase(index),
    processor.registers.limit(index),
    processor.registers.attributes(index),
  ]);
  const cpl = processor.registers.get32("cpl");
  return { end, memory, marks, registers, segments, cpl, exceptions: show(kernel.exceptions) };
}

/** Runs `program` on both ways. Gives what came of it, in short. */
function assertSame(program: string, options: KernelOptions = {}): string {
  const [long, short] = [DR7.breakpoint, DR7.nothing].map((dr7) =>
    outcome(`mov eax,${dr7}\n mov dr7,rax\n xor eax,eax\n ${program}\n ${HANDLER}`, options),
  );
  assert.deepEqual(short, long, program);
  return JSON.stringify(short, (_, value) => (typeof value === "bigint" ? `${value}` : value));
}

const FAULTS = {
  "a page fault": `mov rbx,[${ABSENT}]`,
  "a page fault of a write": `mov [${ABSENT + 0xff8}],rbx`,
  "an undefined instruction": "ud2",
  "a division": "xor ecx,ecx\n div ecx",
  "a general protection fault": "mov cr8,rbx",
} as const;
const gateOf = (fields: Omit<NonNullable<KernelOptions["gates"]>[number], "label"> = {}): KernelOptions => ({
  gates: Object.fromEntries([0, 6, 13, 14].map((vector) => [vector, { label: "handler", ...fields }])),
});
const FLAGS = [0x2, 0x8d7, 0x246, 0x3402, 0x4_0ad2, 0x20_0203];

for (const [name, code] of Object.entries(FAULTS)) {
  test(`${name} is the same on both ways, with all flags, through both kinds of gates`, () => {
    const seen = new Set<string>();
    for (const flags of FLAGS) {
      for (const type of [14, 15]) {
        seen.add(assertSame(`mov rbx,-1\n push ${flags}\n popfq\n ${code}`, gateOf({ type })));
        seen.add(assertSame(`${toUser("long", "user", flags)}\n user:\n mov rbx,-1\n ${code}`, gateOf({ type })));
      }
    }
    assert.ok(seen.size >= 12, `${seen.size}`);
  });
}

test("stacks of the task state segment are the same on both ways, also where they cannot be used", () => {
  const stacks = [
    STACK - 0x123,
    INTERRUPT_STACK + 8,
    SCRATCH + 0x18,
    SCRATCH + 0x30,
    SCRATCH + 0xff8,
    ABSENT,
    ABSENT + 0x20,
    2 ** 47,
  ];
  const seen = new Set<string>();
  for (const top of stacks) {
    for (const ist of [0, 1, 7]) {
      const setup: KernelOptions["setup"] = ({ ram }) => {
        // Others could be used, too.
        for (let at = 4; at < 92; at += 8) ram.setBigUint64(TSS + at, BigInt(SCRATCH + 0x800 + at * 4), true);
        ram.setBigUint64(TSS + (ist === 0 ? 4 : 28 + ist * 8), BigInt(top), true);
      };
      for (const start of ["", toUser("long", "user")]) {
        seen.add(assertSame(`${start}\n user:\n mov rbx,[${ABSENT}]`, { ...gateOf({ ist }), setup }));
      }
    }
  }
  assert.ok(seen.size > 10, `${seen.size}`);
});

test("the stack that a fault finds may be read-only, a program's, or code's", () => {
  for (const bits of [1, 3, 5, 7, 0]) {
    const setup: KernelOptions["setup"] = (kernel) => {
      kernel.ram.setBigUint64(TSS + 4, BigInt(SCRATCH + 0x800), true);
      kernel.map(SCRATCH, SCRATCH | bits);
    };
    const program = `mov rax,cr0\n or eax,0x10000\n mov cr0,rax\n ${toUser("long", "user")}\n user:\n mov rbx,[${ABSENT}]`;
    assertSame(program, { ...gateOf(), setup });
  }
});

test("gates and segments that cannot be used are refused the same on both ways", () => {
  const seen = new Set<string>();
  const selectors = [0, 3, 0x10, 0x18, 0x1b, 0x20, 0x80, 0x88, 0x90, 0x98, 0xa0, 0xa8, 0xb0, 0xb8, 0x1c, 0xfff8];
  for (const start of ["", toUser("long", "user")]) {
    const program = `${start}\n user:\n mov rbx,[${ABSENT}]`;
    for (const selector of selectors) seen.add(assertSame(program, { gates: { 14: { label: "handler", selector } } }));
    for (const type of [4, 5, 6, 7, 9, 12])
      seen.add(assertSame(program, { gates: { 14: { label: "handler", type } } }));
    seen.add(assertSame(program, { missing: [14] }));
    seen.add(assertSame(program, { missing: [8, 11, 13, 14] }));
  }
  assert.ok(seen.size > 12, `${seen.size}`);
});

test("a limit of the interrupt descriptor table below the gate is seen on both ways", () => {
  for (const limit of [14 * 16 + 15, 14 * 16 + 14, 13 * 16 + 15]) {
    const program = `mov word ptr [table],${limit}\n lidt [table]\n mov rbx,[${ABSENT}]\n table:\n dw 0\n dq 0x11000`;
    assertSame(program, gateOf());
  }
});

test("an interrupt from the machine is the same on both ways, within the kernel and from programs", () => {
  const options = (vector: number): KernelOptions => ({
    gates: { [vector]: { label: "handler" } },
    setup: ({ machine }) => {
      machine.waiting = vector;
    },
  });
  for (const vector of [0x20, 0x24, 14]) {
    assertSame("sti\n nop\n again:\n jmp again", options(vector));
    assertSame(`${toUser("long", "user", 0x8d7 | 0x200)}\n user:\n jmp user`, options(vector));
  }
});

/** Counts what TypeScript delivers, until the count is asked for. */
function countDeliveries(system: { deliver: System["deliver"] }): () => number {
  const { deliver } = system;
  let count = 0;
  system.deliver = (event) => {
    count++;
    deliver(event);
  };
  return () => {
    system.deliver = deliver;
    return count;
  };
}

test("a thousand faults in a row come back to the instruction, however far the budget reaches", () => {
  for (const budget of [60, 100, 1000, 100_000]) {
    const kernel = new Kernel(
      "long",
      `mov esi,1000
      again:
        mov rbx,[${ABSENT}]
        dec esi
        jnz again
        hlt
      handler:
        inc edi
        add qword ptr [rsp+8],8
        add rsp,8
        iretq`,
      { gates: { 14: { label: "handler" } } },
    );
    const { processor } = kernel.machine;
    const calls = countDeliveries(processor.system);
    let end = "";
    for (let i = 0; i < 100_000 && end !== "halted"; i++) end = processor.run(budget).kind;
    assert.deepEqual([kernel.gpr(6), kernel.gpr(7), end], [0n, 1000n, "halted"]);
    assert.equal(calls(), 0, "TypeScript has no part in it");
    assert.equal(kernel.gpr(4), BigInt(STACK));
  }
});

test("a guest that does nothing but fault gives the host its turn", () => {
  const kernel = new Kernel("long", `handler:\n mov rsp,${STACK}\n mov rbx,[${ABSENT}]`, {
    gates: { 14: { label: "handler" } },
  });
  const { processor } = kernel.machine;
  const before = processor.instructions;
  processor.run(1_000_000);
  const ran = processor.instructions - before;
  assert.ok(ran > 15_000 && ran < 40_000, `the host gets its turn after ${ran}`);
});
