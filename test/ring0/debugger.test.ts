/** A debugger outside of the guest: breakpoints, watchpoints and single steps that the guest knows nothing of. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunResult } from "../../src/cpu/bus.ts";
import type { DebugOrders, Watchpoint } from "../../src/cpu/debugger.ts";
import { GuestView } from "../../src/vm/guest-view.ts";
import { Kernel, type KernelOptions, type Mode, PAGED, PTE, SCRATCH } from "./kernel.ts";

const MODES: readonly Mode[] = ["real", "protected", "paged", "pae", "long"];
const [EAX, ECX] = [0, 1];
/** Below 64 KiB, for real mode. */
const LOW = 0x9000;

class Debugged {
  readonly kernel: Kernel;

  constructor(mode: Mode, program: string, options?: KernelOptions) {
    this.kernel = new Kernel(mode, program, options);
    this.order({});
  }

  order(orders: Partial<Omit<DebugOrders, "breakpoints">> & { breakpoints?: readonly (string | bigint)[] }): void {
    const { breakpoints = [], watchpoints = [], step = false } = orders;
    this.kernel.machine.processor.obey({
      breakpoints: breakpoints.map((at) => (typeof at === "bigint" ? at : BigInt(this.kernel.at(at)))),
      watchpoints,
      step,
    });
  }

  /** Runs until something other than the budget ends it; at most `slices` times 1,000 instructions. */
  run(slices = 1000): RunResult {
    for (let i = 0; i < slices; i++) {
      const result = this.kernel.machine.processor.run(1000);
      if (result.kind !== "budget") return result;
    }
    return { kind: "budget" };
  }

  /** Runs; says why and where it ended: "breakpoint at LABEL", "halted". */
  stop(): string {
    const result = this.run();
    return result.kind === "debug" ? `${result.stop.kind} at ${this.place}` : result.kind;
  }

  /** The label at the next instruction, or its address. */
  get place(): string {
    const ip = this.kernel.machine.processor.linearIp;
    return [...this.kernel.symbols].find(([, address]) => address === ip)?.[0] ?? ip.toString(16);
  }

  step(): string {
    this.order({ step: true });
    return this.stop();
  }

  get ecx(): number {
    return Number(this.kernel.gpr(ECX));
  }
}

/** In the interpreter, and with hot code translated. */
const RUNS = MODES.flatMap((mode) => [
  { mode, name: mode, translates: false },
  { mode, name: `${mode}, translated`, translates: true },
]);

const write = (address: number, length = 4): Watchpoint => ({ kind: "write", address: BigInt(address), length });

const LOOP = `
    mov ecx,0
  next: inc ecx
    mov [${LOW}],ecx
  middle: add eax,1
    cmp ecx,5000
    jb next
  end: hlt`;

for (const { mode, name, translates } of RUNS) {
  test(`${name}: the guest stops before the instruction at a breakpoint, each time`, () => {
    const guest = new Debugged(mode, LOOP, { translates });
    guest.order({ breakpoints: ["middle"] });
    for (let i = 1; i < 4; i++) {
      assert.equal(guest.stop(), "breakpoint at middle");
      assert.equal(guest.ecx, i);
      assert.equal(guest.stop(), "breakpoint at middle", "it stops again where it did not go on");
      assert.equal(guest.step(), `step at ${(guest.kernel.at("middle") + (mode === "real" ? 4 : 3)).toString(16)}`);
      guest.order({ breakpoints: ["middle"] });
    }
    guest.order({});
    assert.equal(guest.stop(), "halted");
    assert.equal(guest.ecx, 5000);
  });

  test(`${name}: a breakpoint in code that runs for long is met, at a jump's target too`, () => {
    const guest = new Debugged(mode, LOOP, { translates });
    assert.equal(guest.run(11).kind, "budget");
    const { regions } = guest.kernel.machine.processor.statistics.translated;
    assert.equal(regions > 0, translates);
    const before = guest.ecx;
    assert.ok(before > 2000 && before < 4000);
    guest.order({ breakpoints: ["next"] });
    assert.equal(guest.stop(), "breakpoint at next");
    assert.ok(guest.ecx - before < 2);
    guest.order({ breakpoints: ["end"] });
    assert.equal(guest.stop(), "breakpoint at end");
    assert.equal(guest.ecx, 5000);
  });

  test(`${name}: breakpoints and steps change neither results nor the count of instructions`, () => {
    const run = (debug: (guest: Debugged) => void) => {
      const guest = new Debugged(mode, LOOP, { translates });
      const before = guest.kernel.machine.processor.instructions;
      guest.run(3);
      debug(guest);
      // An address in the same place of another page.
      guest.order({ breakpoints: [BigInt(guest.kernel.at("middle") + 0x7000)] });
      guest.run(8);
      guest.order({});
      assert.equal(guest.stop(), "halted");
      return [guest.kernel.machine.processor.instructions - before, guest.ecx, guest.kernel.gpr(EAX)];
    };
    const debugged = run((guest) => {
      for (let i = 0; i < 50; i++) {
        guest.order({ breakpoints: ["middle", "next"], watchpoints: i % 2 ? [write(LOW)] : [] });
        guest.stop();
        guest.step();
      }
    });
    assert.deepEqual(
      debugged,
      run(() => {}),
    );
  });

  test(`${name}: the guest stops after a write that a watchpoint covers`, () => {
    const guest = new Debugged(mode, LOOP, { translates });
    guest.run(11);
    for (const watchpoint of [write(LOW), write(LOW + 3, 1), write(LOW - 7, 8), write(LOW + 1, 100)]) {
      const before = guest.ecx;
      guest.order({ watchpoints: [watchpoint] });
      const result = guest.run();
      assert.ok(result.kind === "debug" && result.stop.kind === "watchpoint");
      assert.deepEqual(result.stop.watchpoint, watchpoint);
      assert.equal(result.stop.address, BigInt(Math.max(LOW, Number(watchpoint.address))));
      assert.equal(guest.place, "middle");
      assert.equal(guest.ecx, before + 1);
      assert.equal(guest.kernel.ram.getUint32(LOW, true), guest.ecx);
    }
    guest.order({ watchpoints: [write(LOW - 4), write(LOW + 4), { ...write(LOW), kind: "read" }] });
    assert.equal(guest.stop(), "halted");
  });
}

for (const mode of MODES) {
  test(`${mode}: watchpoints tell reads from writes, and take an instruction that does both for both`, () => {
    const program = `
      mov eax,[${LOW}]
    a: mov [${LOW}],eax
    b: add [${LOW}],eax
    c: hlt`;
    const stops = (kind: Watchpoint["kind"]) => {
      const guest = new Debugged(mode, program);
      guest.order({ watchpoints: [{ ...write(LOW), kind }] });
      return [guest.stop(), guest.stop(), guest.stop(), guest.stop()].filter((stop) => stop !== "halted");
    };
    const at = (...labels: string[]) => labels.map((label) => `watchpoint at ${label}`);
    assert.deepEqual(stops("read"), at("a", "c"));
    assert.deepEqual(stops("write"), at("b", "c"));
    assert.deepEqual(stops("access"), at("a", "b", "c"));
  });

  test(`${mode}: pushes, calls and string instructions meet watchpoints`, () => {
    const [sp, di] = mode === "long" ? ["rsp", "rdi"] : mode === "real" ? ["sp", "di"] : ["esp", "edi"];
    const guest = new Debugged(
      mode,
      `
      mov ${sp},${LOW + 16}
      push 1
    a: call there
    back: pop ${mode === "long" ? "rax" : "eax"}
      mov ${di},${LOW}
      mov ecx,4
      cld
      rep stosd
    c: hlt
    there: ret`,
    );
    guest.order({ watchpoints: [write(LOW, 16)] });
    assert.deepEqual([guest.stop(), guest.stop()], ["watchpoint at a", "watchpoint at there"]);
    // RET and POP read, which is no write.
    assert.equal(guest.stop(), "watchpoint at c");
    assert.equal(guest.stop(), "halted");
  });

  test(`${mode}: a single step is one instruction, a jump or a HLT too`, () => {
    const guest = new Debugged(
      mode,
      `
      jmp a
    b: hlt
    c: nop
    d: hlt
    a: jmp b`,
    );
    guest.order({ breakpoints: ["a"] });
    guest.stop();
    assert.deepEqual([guest.step(), guest.step(), guest.step()], ["step at b", "step at c", "halted"]);
  });
}

for (const mode of ["protected", "long"] as const) {
  const flags = mode === "long" ? "pushfq\n pop rax" : "pushfd\n pop eax";

  test(`${mode}: an interrupt waits while the guest is stepped, and wakes a halted one`, () => {
    const guest = new Debugged(mode, "sti\n nop\n a: nop\n b: hlt\n c: hlt\n service: nop\n d: hlt", {
      gates: { 32: { label: "service" } },
    });
    guest.order({ breakpoints: ["a"] });
    assert.equal(guest.stop(), "breakpoint at a");
    guest.kernel.machine.waiting = 32;
    assert.equal(guest.step(), "step at b");
    assert.equal(guest.step(), "step at c");
    assert.equal(guest.step(), "step at service", "the interrupt ends HLT");
    assert.equal(guest.kernel.machine.waiting, -1);
  });

  test(`${mode}: an interrupt that waits is taken before a breakpoint is looked at`, () => {
    const guest = new Debugged(mode, "sti\n nop\n a: nop\n b: hlt\n service: nop\n d: hlt", {
      gates: { 32: { label: "service" } },
    });
    guest.order({ breakpoints: ["a"] });
    assert.equal(guest.stop(), "breakpoint at a");
    guest.kernel.machine.waiting = 32;
    guest.order({ breakpoints: ["a", "service"] });
    assert.equal(guest.stop(), "breakpoint at service");
  });

  test(`${mode}: a step into an instruction that faults ends at the handler`, () => {
    const guest = new Debugged(mode, "a: ud2\n handler: hlt", { gates: { 6: { label: "handler" } } });
    guest.order({ breakpoints: ["a"] });
    guest.stop();
    assert.equal(guest.step(), "step at handler");
  });

  test(`${mode}: the frame of an exception meets watchpoints before its handler runs`, () => {
    const frame = 0x1_8000 - (mode === "long" ? 16 : 4);
    const guest = new Debugged(mode, "a: ud2\n handler: nop\n hlt", { gates: { 6: { label: "handler" } } });
    guest.order({ watchpoints: [write(frame)] });
    assert.equal(guest.stop(), "watchpoint at handler");
  });

  test(`${mode}: the guest's own breakpoints and single steps work under a debugger, and do not show it`, () => {
    const guest = new Debugged(
      mode,
      `
      mov eax,${SCRATCH}
      mov dr0,${mode === "long" ? "rax" : "eax"}
      mov eax,0xd0402
      mov dr7,${mode === "long" ? "rax" : "eax"}
      mov ecx,5
      mov [${SCRATCH}],ecx
    a: nop
    b: ${flags}
    c: hlt`,
      { continues: 1 },
    );
    guest.order({ breakpoints: ["b"], watchpoints: [write(SCRATCH)] });
    assert.equal(guest.stop(), "watchpoint at a");
    guest.order({ breakpoints: ["b"] });
    assert.equal(guest.stop(), "breakpoint at b");
    while (guest.place !== "c") guest.step();
    assert.deepEqual(
      guest.kernel.exceptions.map(({ vector, ip, dr6 }) => [vector, ip, dr6 & 0xf]),
      [[1, guest.kernel.at("a"), 1]],
    );
    assert.equal(Number(guest.kernel.gpr(EAX)) & 0x1_0100, 0, "TF and RF");
  });

  test(`${mode}: a breakpoint on code that the guest writes holds for the new code`, () => {
    const guest = new Debugged(
      mode,
      `
      mov ecx,2
    next:
      mov byte ptr [a],0x90
    a: hlt
    b: dec ecx
      jnz next
      hlt`,
    );
    guest.order({ breakpoints: ["a"] });
    for (let i = 0; i < 2; i++) {
      assert.equal(guest.stop(), "breakpoint at a");
      assert.equal(guest.step(), "step at b");
      guest.order({ breakpoints: ["a"] });
    }
    assert.equal(guest.stop(), "halted");
    assert.equal(guest.ecx, 0);
  });
}

for (const mode of PAGED) {
  /** Two linear pages are one physical page, whose first instructions come back to the caller. */
  const ALIASES = [0x30_0000, 0x31_1000] as const;
  const aliased: KernelOptions = {
    setup(kernel) {
      for (const linear of ALIASES) kernel.map(linear, 0x20_0000 | PTE.P | PTE.RW | PTE.US);
      // inc eax; ret
      kernel.ram.setUint32(0x20_0123, 0xc3c0ff, true);
    },
  };
  const calls = ALIASES.map((linear) => `mov ebx,${linear + 0x123}\n call ${mode === "long" ? "rbx" : "ebx"}`).join(
    "\n",
  );

  test(`${mode}: a breakpoint is for one linear address, wherever else the same code is mapped`, () => {
    const guest = new Debugged(mode, `mov ecx,3\n next: ${calls}\n dec ecx\n jnz next\n hlt`, aliased);
    for (const alias of ALIASES) {
      guest.order({ breakpoints: [BigInt(alias + 0x123)] });
      assert.equal(guest.stop(), `breakpoint at ${(alias + 0x123).toString(16)}`);
      guest.step();
    }
    guest.order({ breakpoints: [BigInt(0x20_0123)] });
    assert.equal(guest.stop(), "halted");
    assert.equal(Number(guest.kernel.gpr(EAX)), 6);
  });

  test(`${mode}: a breakpoint on an instruction that spans two pages is met`, () => {
    const guest = new Debugged(mode, `mov ebx,0x300ffe\n jmp ${mode === "long" ? "rbx" : "ebx"}`, {
      setup(kernel) {
        kernel.map(0x30_0000, 0x20_0000 | PTE.P | PTE.RW | PTE.US);
        kernel.map(0x30_1000, 0x20_4000 | PTE.P | PTE.RW | PTE.US);
        // mov ecx,0x44332211; hlt
        kernel.ram.setUint16(0x20_0ffe, 0x11b9, true);
        kernel.ram.setUint32(0x20_4000, 0xf444_3322, true);
      },
    });
    guest.order({ breakpoints: [0x30_0ffen] });
    assert.equal(guest.stop(), "breakpoint at 300ffe");
    assert.equal(guest.step(), "step at 301003");
    assert.equal(guest.ecx, 0x4433_2211);
  });

  test(`${mode}: an access of an instruction that faults is not told of until it is made`, () => {
    const si = mode === "long" ? "r" : "e";
    const guest = new Debugged(
      mode,
      `
      mov ${si}si,${SCRATCH}
      mov ${si}di,0x300000
    a: movsb
    b: hlt`,
      { setup: (kernel) => kernel.map(0x30_0000, 0) },
    );
    guest.order({ watchpoints: [{ ...write(SCRATCH), kind: "read" }] });
    assert.equal(guest.stop(), "halted");
    assert.equal(guest.kernel.exceptions.length, 1);
  });

  test(`${mode}: a debugger sees memory through the page tables, whatever their rights, and leaves no trace`, () => {
    const guest = new Debugged(mode, "hlt", {
      setup(kernel) {
        kernel.map(0x30_0000, 0x20_0000 | PTE.P);
        kernel.map(0x30_1000, 0x20_4000 | PTE.P | PTE.US);
        kernel.map(0x30_2000, 0);
      },
    });
    assert.equal(guest.stop(), "halted");
    const { kernel } = guest;
    const { ram } = kernel;
    ram.setUint16(0x20_0fff, 0xbbaa, true);
    ram.setUint8(0x20_4000, 0xcc);
    const bytes = new Uint8Array(ram.buffer, ram.byteOffset, ram.byteLength);
    const view = new GuestView(kernel.machine.processor.registers, {
      view: (address, length) =>
        address + length <= ram.byteLength ? bytes.subarray(address, address + length) : undefined,
    });
    const tables = () =>
      [0x30_0000, 0x30_1000].flatMap((linear) => kernel.entries(linear).map((at) => kernel.entry(at)));
    const before = tables();
    assert.deepEqual([...view.read(0x30_0fffn, 2)], [0xaa, 0xcc]);
    assert.equal(view.read(0x30_1fffn, 2).length, 1);
    assert.equal(view.read(0x30_2000n, 1).length, 0);
    if (mode === "long") assert.equal(view.read(0x8000_0000_0000n, 1).length, 0);
    assert.ok(view.write(0x30_0fffn, Uint8Array.of(1, 2)));
    assert.deepEqual([ram.getUint8(0x20_0fff), ram.getUint8(0x20_4000)], [1, 2]);
    assert.ok(!view.write(0x30_1fffn, Uint8Array.of(3, 4)));
    assert.equal(ram.getUint8(0x20_4fff), 0);
    assert.deepEqual([...view.readPhysical(0x20_0fffn, 1)], [1]);
    assert.equal(view.readPhysical(1n << 63n, 1).length, 0);
    assert.deepEqual(tables(), before);
  });
}
