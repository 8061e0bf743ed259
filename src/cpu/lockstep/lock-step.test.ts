/** A guest runs on two processors in step: what is the same stays unnoticed, what is not is told. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../../isa/assemble.ts";
import { runtimeModule } from "../build-runtime.ts";
import type { ProcessorBus } from "../bus.ts";
import type { ProcessorOptions, RegionSettings } from "../processor-options.ts";
import { PAGE, PAGE_FLAGS, RAM_BASE } from "../state.ts";
import type { CodeRun } from "../translate/code-reader.ts";
import { InPlace } from "../translate/in-place.ts";
import { type CompiledRegions, RegionCompiler } from "../translate/region-compiler.ts";
import type { RegionJob } from "../translate/region-job.ts";
import type { RegionMaker } from "../translate/translator.ts";
import { LockStep, type LockStepResult } from "./lock-step.ts";

const RAM = 1 << 20;
const START = 0x1000;
const INTERRUPT_AT = 0x2000;
const VECTOR = 0x20;

/** Makes regions of code in which every byte `from` is `to`: a translator that is wrong about an instruction. */
class BrokenMaker implements RegionMaker {
  readonly #compiler: RegionCompiler;
  readonly #bytes: Uint8Array;
  readonly #from: number;
  readonly #to: number;
  done: (compiled: CompiledRegions) => void = () => {};

  constructor(settings: RegionSettings, from: number, to: number) {
    this.#compiler = new RegionCompiler(settings);
    this.#bytes = new Uint8Array(settings.memory.buffer, RAM_BASE, RAM);
    this.#from = from;
    this.#to = to;
  }

  request(job: RegionJob): void {
    const places = [...this.#bytes.keys()].filter((at) => this.#bytes[at] === this.#from);
    for (const at of places) this.#bytes[at] = this.#to;
    const { regions, ...compiled } = this.#compiler.compile([job]);
    for (const at of places) this.#bytes[at] = this.#from;
    // The translator looks whether the code has changed since it was read.
    const intact = regions.map((region) => ({
      ...region,
      code: region.code.map((page) => ({ ...page, runs: page.runs.map((run) => this.#intact(page.first, run)) })),
    }));
    this.done({ ...compiled, regions: intact });
  }

  /** The bytes of the page with the address `inPage` that a run covers, as they are. */
  #intact(inPage: number, { offset, bytes }: CodeRun): CodeRun {
    const at = inPage - (inPage % 4096) + offset;
    return { offset, bytes: this.#bytes.slice(at, at + bytes.length) };
  }

  close(): void {}
}

class Rig {
  readonly lockStep: LockStep;
  readonly ram: Uint8Array;
  /** Vector that waits, or -1. */
  waiting = -1;
  #port = 0;

  constructor(
    source: string,
    regions: (settings: RegionSettings) => RegionMaker = (settings) => new InPlace(settings),
  ) {
    const pages = (RAM_BASE + RAM) >> 16;
    const memoryPages = { initial: pages, maximum: pages };
    const memory = new WebAssembly.Memory({ ...memoryPages, shared: true });
    new Uint8Array(memory.buffer).fill(PAGE.io, PAGE_FLAGS + (RAM >> 12), PAGE_FLAGS + (1 << 20));
    this.ram = new Uint8Array(memory.buffer, RAM_BASE, RAM);
    const options: ProcessorOptions = {
      runtime: runtimeModule(),
      memory,
      memoryPages,
      bus: this.#bus(),
      model: "max",
      heat: 3,
      regions,
    };
    this.lockStep = new LockStep(options, RAM);
    this.ram.set(assemble(source, { bits: 16, origin: BigInt(START) }).bytes, START);
    this.ram.set(
      assemble("inc word ptr [0x3000]\n iret", { bits: 16, origin: BigInt(INTERRUPT_AT) }).bytes,
      INTERRUPT_AT,
    );
    new DataView(this.ram.buffer, RAM_BASE).setUint32(VECTOR * 4, INTERRUPT_AT, true);
    const { registers } = this.lockStep.processor;
    for (let i = 0; i < 6; i++) registers.setSegment(i, { selector: 0, base: 0n, limit: 0xffff, attributes: 0x93 });
    registers.setGpr(4, 0x8000n);
    registers.set64("ip", BigInt(START));
    this.lockStep.processor.modeChanged();
  }

  /** A port that counts, and writes what it was told to RAM at 0x4000. */
  #bus(): ProcessorBus {
    return {
      readPort: () => this.#port++,
      writePort: (_port, _bytes, value) => {
        this.lockStep.processor.physicalWritten(0x4000, 0x4000);
        this.lockStep.written(0x4000, 1);
        this.ram[0x4000] = value;
      },
      readMemory: () => 0x55,
      writeMemory() {},
      acknowledgeInterrupt: () => {
        const vector = this.waiting;
        this.waiting = -1;
        this.lockStep.processor.setInterrupt(false);
        return vector;
      },
      readMsr: () => false,
      writeMsr: () => false,
      readCr8: () => 0,
      writeCr8() {},
      tsc: () => 0,
      random: (target) => void target.fill(this.#port++),
    };
  }

  /** Runs to the guest's HLT, or to a difference; an interrupt comes every so often. */
  run(): LockStepResult {
    for (let slices = 0; slices < 1000; slices++) {
      const result = this.lockStep.run(100);
      if (result.kind !== "budget") return result;
      this.waiting = VECTOR;
      this.lockStep.processor.setInterrupt(true);
    }
    throw new Error("the guest does not come to an end");
  }

  get translated(): number {
    return this.lockStep.processor.statistics.translated.regions;
  }
}

const SUM = `
  mov cx,500
  xor eax,eax
again:
  add eax,0x12345678
  mov [0x5000],eax
  dec cx
  jnz again
  hlt`;

test("a guest that both processors run alike runs to its end", () => {
  const rig = new Rig(SUM);
  assert.deepEqual(rig.run(), { kind: "halted" });
  assert.equal(rig.lockStep.processor.registers.gpr32(0), Math.imul(500, 0x1234_5678) >>> 0);
  assert.ok(rig.translated > 0);
});

test("devices are asked once, and both processors see what they answer and what they write", () => {
  const rig = new Rig(`
    sti
    mov cx,300
    cld
  again:
    in al,0x80
    mov [0x5000],al
    out 0x81,al
    cmp al,[0x4000]
    jne wrong
    mov eax,[0xf000]
    mov si,0x1000
    mov di,0x6ff0
    push cx
    mov cx,0x200
    rep movsb
    pop cx
    rdrand bx
    mov dx,20
  inner:
    add [0x5100],bx
    dec dx
    jnz inner
    dec cx
    jnz again
    hlt
  wrong:
    ud2`);
  assert.deepEqual(rig.run(), { kind: "halted" });
  const interrupts = new DataView(rig.ram.buffer, RAM_BASE).getUint16(0x3000, true);
  assert.ok(interrupts > 0, "interrupts came");
  assert.ok(rig.translated > 0);
});

test("code that the guest changes is changed for both", () => {
  const rig = new Rig(`
    mov cx,400
  again:
    inc byte ptr [patched+1]
  patched:
    mov al,0
    add bx,ax
    dec cx
    jnz again
    hlt`);
  assert.deepEqual(rig.run(), { kind: "halted" });
});

test("a wrong result in a register is told with the instructions that led to it", () => {
  // ADD EAX,imm becomes SUB EAX,imm.
  const rig = new Rig(SUM, (settings) => new BrokenMaker(settings, 0x05, 0x2d));
  const end = rig.run();
  assert.ok(end.kind === "difference", end.kind);
  assert.match(end.report, /rax: interpreter [0-9a-f]{8}, translator [0-9a-f]{8}/);
  assert.match(end.report, /memory at 5000: interpreter/);
  assert.match(end.report, /add eax,0x12345678\n.*mov dword ptr ds:\[0x5000\],eax\n.*dec cx/);
});

test("a wrong value in memory is told where the instruction has run, though no register is wrong", () => {
  // MOV byte [0x5000],7 becomes MOV byte [0x5000],8.
  const rig = new Rig(
    `mov cx,100
  again:
    mov byte ptr [0x5000],0x77
    dec cx
    jnz again
    hlt`,
    (settings) => new BrokenMaker(settings, 0x77, 0x78),
  );
  const end = rig.run();
  assert.ok(end.kind === "difference", end.kind);
  assert.match(end.report, /memory at 5000: interpreter 77.*, translator 78/);
  assert.doesNotMatch(end.report, /r[a-d]x:/);
});

test("flags that are wrong are told, though nothing has read them", () => {
  // CMP AL,0x55 becomes CMP AL,0x56.
  const rig = new Rig(
    `mov cx,100
    mov al,0x55
  again:
    dec cx
    cmp al,0x55
    jcxz done
    jmp again
  done:
    hlt`,
    (settings) => new BrokenMaker(settings, 0x55, 0x56),
  );
  const end = rig.run();
  assert.ok(end.kind === "difference", end.kind);
  assert.match(end.report, /rflags: interpreter/);
});
