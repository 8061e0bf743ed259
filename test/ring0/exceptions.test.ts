/** Exceptions, their error codes, and exceptions during exceptions. @spec SDM 3A chapter 6 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { descriptor } from "../../src/cpu/system/testing/flat-cpu.ts";
import {
  attempt,
  exceptionsOf,
  INTERRUPT_STACK,
  Kernel,
  type Mode,
  run,
  SCRATCH,
  SELECTOR,
  show,
  TSS,
  toUser,
  USER_STACK,
} from "./kernel.ts";

const MODES: readonly Mode[] = ["protected", "paged", "pae", "long"];

for (const mode of MODES) {
  test(`${mode}: faults report the instruction, traps the one after it`, () => {
    const { exceptions, symbols } = run(
      mode,
      `
      ${attempt("xor ecx,ecx\n divide: div ecx")}
      ${attempt("undefined: ud2")}
      ${attempt("breakpoint: int3\n afterInt3: nop")}
      ${attempt("software: int 0x20")}
      hlt`,
    );
    const at = (label: string) => Number(symbols.get(label));
    assert.deepEqual(
      exceptions.map(({ vector, ip }) => [vector, ip]),
      [
        [0, at("divide")],
        [6, at("undefined")],
        [3, at("afterInt3")],
        [13, at("software")],
      ],
    );
  });

  // SDM 3A 6.12.1.1: gates are guarded against INT n, not against exceptions.
  test(`${mode}: ring 3 reaches by INT only the gates that are open to it`, () => {
    const program = `
      ${toUser(mode, "user")}
    user:
      ${attempt("int 13")}
      ${attempt("int 0x41")}
      ${attempt("int3")}
      int 0x40
      hlt
    service:
      mov ebx,1
      hlt`;
    const kernel = run(mode, program, {
      gates: { 64: { label: "service", dpl: 3 }, 65: { label: "service", dpl: 2 } },
    });
    assert.deepEqual(show(kernel.exceptions), ["#13(6a)", "#13(20a)", "#13(1a)"]);
    assert.equal(kernel.gpr(3), 1n);
  });

  // SDM 3A 6.13: bit 1 names the IDT, bit 0 an event from outside of the program.
  test(`${mode}: a missing gate is #GP with the vector in its error code, EXT set for an exception`, () => {
    const program = `${attempt("int 0x30")} ${attempt("int 0xff")} ${attempt("ud2")} hlt`;
    assert.deepEqual(exceptionsOf(mode, program, { missing: [6] }), ["#13(182)", "#13(7fa)", "#13(33)"]);
  });

  test(`${mode}: the vector's gate must lie within the IDT's limit`, () => {
    const program = `
      lidt [short]
      ${attempt("int 14")}
      ${attempt("int 13")}
      hlt
    short:
      dw ${14 * (mode === "long" ? 16 : 8) - 1}
      dq 0x11000`;
    assert.deepEqual(exceptionsOf(mode, program, { gates: { 13: { label: "exception13", dpl: 3 } } }).slice(0, 1), [
      "#13(72)",
    ]);
  });

  // SDM 3A 6.15, "Interrupt 8", table 6-5.
  test(`${mode}: a contributory exception during a contributory one is a double fault with error code 0`, () => {
    const program = `mov ax,0x40\n mov fs,ax\n hlt`;
    const kernel = run(mode, program, { missing: [13] });
    assert.deepEqual(show(kernel.exceptions), ["#8(0)"]);
  });

  test(`${mode}: #DE whose gate is missing is a double fault, #UD whose gate is missing is #GP`, () => {
    assert.deepEqual(exceptionsOf(mode, "xor ecx,ecx\n div ecx", { missing: [0] }), ["#8(0)"]);
    assert.deepEqual(exceptionsOf(mode, "ud2", { missing: [6] }), ["#13(33)"]);
  });

  test(`${mode}: an exception that cannot be delivered as a double fault shuts the processor down`, () => {
    const kernel = new Kernel(mode, "xor ecx,ecx\n bad: div ecx", { missing: [0, 8] });
    const result = kernel.machine.processor.run(10_000);
    assert.equal(result.kind, "shutdown");
    if (result.kind === "shutdown") {
      // #DE, then #DF instead of the #GP for its gate, then the #GP for that one's.
      assert.deepEqual(result.fault.vectors, [0, 8, 13]);
      assert.equal(result.fault.ip, kernel.symbols.get("bad"));
    }
    assert.equal(kernel.machine.processor.run(10_000).kind, "halted", "it stays shut down");
  });

  test(`${mode}: an interrupt from ring 3 changes to the stack in the TSS and comes back`, () => {
    const [bx, cx, dx] = mode === "long" ? ["rbx", "rcx", "rdx"] : ["ebx", "ecx", "edx"];
    const sp = mode === "long" ? "rsp" : "esp";
    const program = `
      ${toUser(mode, "user", 0x202)}
    user:
      int 0x40
      mov ${dx},${sp}
      mov esi,cs
      int 0x41
    service:
      mov ${bx},${sp}
      mov edi,ss
      mov ${cx},[${sp}+${mode === "long" ? 24 : 12}]
      ${mode === "long" ? "iretq" : "iretd"}
    end:
      hlt`;
    const kernel = run(mode, program, { gates: { 64: { label: "service", dpl: 3 }, 65: { label: "end", dpl: 3 } } });
    const size = mode === "long" ? 8 : 4;
    assert.equal(kernel.gpr(3), BigInt(INTERRUPT_STACK - 5 * size));
    assert.equal(kernel.gpr(1), BigInt(USER_STACK));
    assert.equal(kernel.gpr(2), BigInt(USER_STACK));
    assert.equal(kernel.gpr(7), mode === "long" ? 0n : BigInt(SELECTOR.data), "SS in the handler");
    assert.equal(kernel.gpr(6) & 3n, 3n);
  });

  test(`${mode}: a return to ring 0 from ring 3 by IRET is refused`, () => {
    const selector = mode === "long" ? SELECTOR.code64 : SELECTOR.code32;
    const program = `
      ${toUser(mode, "user")}
    user:
      push ${SELECTOR.data}
      push 0x9000
      push 2
      push ${selector}
      push user
      ${mode === "long" ? "iretq" : "iretd"}`;
    assert.deepEqual(exceptionsOf(mode, program), [`#13(${selector.toString(16)})`]);
  });
}

for (const mode of ["paged", "pae", "long"] as const) {
  test(`${mode}: a page fault while a page fault is delivered is a double fault`, () => {
    // The stack is gone; #DF has one of its own by a task gate or an IST.
    const program = `mov esp,0x50001000\n push ${mode === "long" ? "rax" : "eax"}`;
    const descriptors = { [SELECTOR.free]: descriptor({ base: SCRATCH, limit: 0x67, type: 9, system: true }) };
    const gates =
      mode === "long"
        ? { 8: { label: "exception8", ist: 1 } }
        : { 8: { label: "0", selector: SELECTOR.free, type: 5 } };
    const kernel = run(mode, program, {
      descriptors,
      gates,
      setup: (kernel) => {
        const { ram } = kernel;
        ram.setUint32(TSS + 0x24, INTERRUPT_STACK, true);
        const [cr3, ip, flags, esp, segments] = [0x1c, 0x20, 0x24, 0x38, 0x48];
        ram.setUint32(SCRATCH + cr3, 0x2_0000, true);
        ram.setUint32(SCRATCH + ip, kernel.at("exception8"), true);
        ram.setUint32(SCRATCH + flags, 2, true);
        ram.setUint32(SCRATCH + esp, INTERRUPT_STACK, true);
        [SELECTOR.data, SELECTOR.code32, SELECTOR.data, SELECTOR.data, 0, 0].forEach((selector, i) =>
          ram.setUint16(SCRATCH + segments + i * 4, selector, true),
        );
      },
    });
    const [exception] = kernel.exceptions;
    assert.equal(exception?.vector, 8);
    assert.equal(exception?.errorCode, 0);
    assert.equal(exception?.cr2, BigInt(0x5000_1000 - (mode === "long" ? 8 : 4)));
  });

  test(`${mode}: a page fault whose gate is missing is a double fault, and CR2 keeps the address`, () => {
    const kernel = run(mode, "mov eax,[0x50000000]", { missing: [14] });
    assert.deepEqual(show(kernel.exceptions), ["#8(0)"]);
    assert.equal(kernel.exceptions[0]?.cr2, 0x5000_0000n);
  });

  test(`${mode}: #GP whose stack is not there is a page fault first`, () => {
    // SDM 3A table 6-5: a page fault during a contributory exception is handled serially; then it meets itself.
    const kernel = new Kernel(mode, `mov esp,0x50001000\n ltr ax`, {});
    const result = kernel.machine.processor.run(10_000);
    assert.equal(result.kind, "shutdown");
    if (result.kind === "shutdown") assert.deepEqual(result.fault.vectors, [13, 14, 8, 14]);
  });
}

test("a TSS that is too short, or whose stack is none, is #TS", () => {
  const user = `${toUser("protected", "user")}\n user: int 0x40`;
  const gates = { 64: { label: "stop", dpl: 3 } };
  // Ring 0 would need that stack for the exception itself: a task takes it.
  const descriptors = { [SELECTOR.free]: descriptor({ base: SCRATCH, limit: 0x67, type: 9, system: true }) };
  const task = (kernel: Kernel, label: string) => {
    const { ram } = kernel;
    ram.setUint32(SCRATCH + 0x20, kernel.at(label), true);
    ram.setUint32(SCRATCH + 0x24, 2, true);
    ram.setUint32(SCRATCH + 0x38, INTERRUPT_STACK, true);
    [SELECTOR.data, SELECTOR.code32, SELECTOR.data, SELECTOR.data, 0, 0].forEach((selector, i) =>
      ram.setUint16(SCRATCH + 0x48 + i * 4, selector, true),
    );
  };
  const outcome = (change: (kernel: Kernel) => void, own: Record<number, bigint> = {}) =>
    exceptionsOf("protected", user, {
      descriptors: { ...descriptors, ...own },
      gates: { ...gates, 10: { label: "0", selector: SELECTOR.free, type: 5 } },
      setup(kernel) {
        task(kernel, "exception10");
        change(kernel);
      },
    });
  assert.deepEqual(
    outcome(() => {}, { [SELECTOR.tss]: descriptor({ base: TSS, limit: 5, type: 9, system: true }) }),
    ["#10(40)"],
  );
  assert.deepEqual(
    outcome(({ ram }) => ram.setUint16(TSS + 8, 0, true)),
    ["#10(0)"],
  );
  assert.deepEqual(
    outcome(({ ram }) => ram.setUint16(TSS + 8, SELECTOR.code32, true)),
    ["#10(8)"],
  );
  assert.deepEqual(
    outcome(({ ram }) => ram.setUint16(TSS + 8, SELECTOR.userData, true)),
    ["#10(28)"],
  );
});

// SDM 3A 6.14.
test("64-bit handlers find an aligned frame with SS and RSP, on the interrupt stack that the gate names", () => {
  const program = `
    mov rsp,0x17ff3
    int 0x40
  back:
    mov r8,rsp
    int 0x41
    hlt
  service:
    mov rbx,rsp
    mov rcx,[rsp+24]
    mov rdx,[rsp+32]
    iretq
  other:
    mov rsi,rsp
    iretq`;
  const kernel = run("long", program, {
    gates: { 64: { label: "service" }, 65: { label: "other", ist: 7 } },
    setup: ({ ram }) => ram.setUint32(TSS + 0x24 + 6 * 8, 0x1_5008, true),
  });
  assert.equal(kernel.gpr(3), BigInt(0x1_7ff0 - 40));
  assert.equal(kernel.gpr(1), 0x1_7ff3n);
  assert.equal(kernel.gpr(2), BigInt(SELECTOR.data));
  assert.equal(kernel.gpr(8), 0x1_7ff3n);
  assert.equal(kernel.gpr(6), BigInt(0x1_5000 - 40));
});

test("trap gates leave IF, interrupt gates clear it", () => {
  for (const mode of MODES) {
    const program = `
      push 0x202
      ${mode === "long" ? "popfq" : "popfd"}
      int 0x40
      int 0x41
      hlt
    trap:
      ${mode === "long" ? "pushfq\n pop rbx\n iretq" : "pushfd\n pop ebx\n iretd"}
    interrupt:
      ${mode === "long" ? "pushfq\n pop rcx\n iretq" : "pushfd\n pop ecx\n iretd"}`;
    const kernel = run(mode, program, { gates: { 64: { label: "trap", type: 15 }, 65: { label: "interrupt" } } });
    assert.deepEqual(
      [3, 1].map((index) => kernel.gpr(index) & 0x200n),
      [0x200n, 0n],
      mode,
    );
  }
});

test("the accumulator of a faulting instruction and its flags are as before", () => {
  for (const mode of MODES) {
    const kernel = run(mode, `${attempt("mov eax,5\n mov edx,7\n xor ecx,ecx\n stc\n div ecx")} hlt`);
    assert.equal(kernel.gpr(0), 5n);
    assert.equal(kernel.gpr(2), 7n);
    assert.equal((kernel.exceptions[0]?.flags ?? 0) & 1, 1);
    assert.equal((kernel.exceptions[0]?.flags ?? 0) & 0x1_0000, 0x1_0000, "RF is set in the saved flags of a fault");
  }
});
