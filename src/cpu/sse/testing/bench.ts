/**
 * Instructions run one by one: a form's meaning as an interpreter handler, on registers and memory from a
 * state (state.ts). ModR/M's reg field is register 1; rm is register 2, or memory at DS:[RDI].
 */
// Declares what handlers call before an MMX or SSE instruction.
import "../../../isa/control.ts";
import { declaredFunctions } from "../../../isa/functions.ts";
import type { Form } from "../../../isa/instruction.ts";
import type { Operand, OperandSize, Semantics } from "../../../isa/semantics.ts";
import type { Callee } from "../../../wasm/function.ts";
import { ModuleBuilder, signature } from "../../../wasm/module.ts";
import { HANDLER } from "../../emit/enter-block.ts";
import { createCodeTable, importCodeTable } from "../../interpret/code-table.ts";
import { buildHandler } from "../../interpret/handler.ts";
import { Registers } from "../../registers.ts";
import {
  EXIT,
  FPU,
  GPR,
  RECORD,
  RECORD_SIZE,
  SEGMENT_SIZE,
  SEGMENTS,
  TLB,
  TLB_ENTRY,
  TLBS,
  VCPU_BASE,
  VCPU_SIZE,
  XMM,
} from "../../state.ts";
import { sseFunctions } from "../index.ts";
import { MEMORY_SIZE, STATE, STATE_SIZE, STATUS_FLAGS } from "./state.ts";

const PAGE = 0x1000;
const RECORDS_AT = VCPU_BASE + VCPU_SIZE;
const MEMORY_AT = RECORDS_AT + PAGE;
const PAGES = (MEMORY_AT + PAGE) / 0x10000 + 1;
/** Guest address of the page that memory operands are in. */
const GUEST_PAGE = 0x7000;
const RDI = 7;
const DS = 3;

/** How a form is encoded and built. */
export interface Variant {
  readonly form: Form;
  /** The rm operand is memory, at [RDI + displacement]. */
  readonly memory: boolean;
  readonly displacement: number;
  readonly operandSize: OperandSize;
  readonly immediate: number;
  /** The immediate is known when code is built, as it is to the translator. */
  readonly constantImmediate: boolean;
  /** rm is the same register as reg. */
  readonly same: boolean;
}

export class Bench {
  readonly #memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  readonly #table = createCodeTable(2);
  readonly #registers = new Registers(this.#memory, VCPU_BASE);
  readonly #runtime: Record<string, WebAssembly.ImportValue>;
  readonly #functions: readonly string[];
  readonly #handlers = new Map<string, (record: number) => void>();

  /** `cr4` has OSFXSR and OSXMMEXCPT set unless given. */
  constructor({ cr4 = 0x600n } = {}) {
    const functions = sseFunctions();
    this.#functions = Object.keys(functions);
    const module = this.#module();
    const callees = new Map<string, Callee>();
    for (const [name, build] of Object.entries(functions)) {
      const spec = declaredFunctions().get(name);
      if (!spec) throw new Error(`${name} is not declared`);
      const type = signature(spec.params, spec.result ? [spec.result] : []);
      const body = module.function(type, (f) => build(f, (other) => callees.get(other) as Callee, 0), { export: name });
      callees.set(name, body);
    }
    module.elements(0, [module.function(HANDLER, (f) => f.return())]);
    this.#runtime = this.#instantiate(module, {}) as Record<string, WebAssembly.ImportValue>;
    this.#registers.set64("cr4", cr4);
    this.#mapMemory();
  }

  #module(): ModuleBuilder {
    const module = new ModuleBuilder();
    module.importMemory({ module: "env", name: "memory", initial: PAGES, maximum: PAGES, shared: true });
    importCodeTable(module);
    return module;
  }

  #instantiate(module: ModuleBuilder, runtime: Record<string, WebAssembly.ImportValue>): Record<string, unknown> {
    const env = { memory: this.#memory, table: this.#table };
    return new WebAssembly.Instance(new WebAssembly.Module(module.build()), { env, runtime }).exports;
  }

  /** One TLB entry, for the page of memory operands. */
  #mapMemory(): void {
    const registers = this.#registers;
    const entry = VCPU_BASE + TLBS + (GUEST_PAGE / PAGE) * TLB_ENTRY;
    registers.set32("tlb", VCPU_BASE + TLBS);
    registers.i64[(entry + TLB.read) / 8] = BigInt(GUEST_PAGE);
    registers.i64[(entry + TLB.write) / 8] = BigInt(GUEST_PAGE);
    registers.i32[(entry + TLB.addend) / 4] = MEMORY_AT - GUEST_PAGE;
  }

  /** Changes each state as the instruction does; `fault` becomes the exception's vector. */
  run(variant: Variant, states: Uint8Array): void {
    const handler = this.#handler(variant);
    this.#writeRecord(variant);
    for (let at = 0; at < states.length; at += STATE_SIZE) {
      const state = states.subarray(at, at + STATE_SIZE);
      this.#load(state);
      handler(RECORDS_AT);
      this.#save(state);
    }
  }

  #handler(variant: Variant): (record: number) => void {
    const { form, memory, operandSize, constantImmediate, immediate } = variant;
    const { instruction } = form;
    const key = [instruction.name, form.text, memory, operandSize, constantImmediate ? immediate : "any"].join();
    const known = this.#handlers.get(key);
    if (known) return known;
    const module = this.#module();
    const imported = new Map<string, Callee>();
    for (const name of this.#functions) {
      const spec = declaredFunctions().get(name);
      const type = signature(spec?.params ?? [], spec?.result ? [spec.result] : []);
      imported.set(name, module.importFunction("runtime", name, type));
    }
    const trap = (params: readonly ("i32" | "i64")[], results: readonly ("i32" | "i64")[] = []) =>
      module.function(signature(params, results), (f) => f.unreachable());
    const unit = trap(["i32"]);
    const linkage = {
      memory: {
        slowLoad: trap(["i32", "i64", "i32"], ["i64"]),
        slowStore: trap(["i32", "i64", "i32", "i64"]),
        slowLoad128: trap(["i32", "i64"]),
        slowStore128: trap(["i32", "i64"]),
        beginUpdate: trap(["i32", "i64", "i32"], ["i32"]),
        endUpdate: trap(["i64", "i32"]),
        stackFault: trap([]),
      },
      callee: (name: string) => imported.get(name) ?? unit,
    };
    const shape = {
      form: constantImmediate ? withConstant(form, immediate) : form,
      operandSize,
      addressSize: 64,
      context: { long: true, code32: false, stack32: false, flat: false, user: true },
      segmentUse: "flat",
      memory,
      indexed: false,
      repeat: "none",
      lock: false,
      opcodeLow: 0,
    } as const;
    module.function(HANDLER, (f) => buildHandler(f, VCPU_BASE, shape, linkage), { export: "handler" });
    const handler = this.#instantiate(module, this.#runtime).handler as (record: number) => void;
    this.#handlers.set(key, handler);
    return handler;
  }

  #writeRecord({ form, memory, displacement, immediate, same }: Variant): void {
    const { i32 } = this.#registers;
    const word = (offset: number, value: number) => {
      i32[(RECORDS_AT + offset) / 4] = value;
    };
    const short = (offset: number, value: number) => {
      new DataView(i32.buffer).setUint16(RECORDS_AT + offset, value, true);
    };
    for (const { place, file } of form.operands) {
      const register = place === "reg" || same ? 1 : 2;
      const [area, size] = file === "xmm" ? [XMM, 32] : file === "mmx" ? [FPU, 16] : [GPR, 8];
      if (place === "reg") short(RECORD.reg, area + register * size);
      else if (place === "rm") short(RECORD.rm, area + register * size);
    }
    if (memory) short(RECORD.rm, GPR + RDI * 8);
    word(RECORD.displacement, displacement);
    word(RECORD.immediate, (immediate << 24) >> 24);
    short(RECORD.segment, SEGMENTS + DS * SEGMENT_SIZE);
    word(RECORD_SIZE, 0);
  }

  #load(state: Uint8Array): void {
    const registers = this.#registers;
    const { bytes } = registers;
    const view = new DataView(state.buffer, state.byteOffset, STATE_SIZE);
    for (let i = 0; i < 4; i++) {
      bytes.set(state.subarray(STATE.xmm + i * 16, STATE.xmm + i * 16 + 16), VCPU_BASE + XMM + i * 32);
      bytes.set(state.subarray(STATE.mm + i * 8, STATE.mm + i * 8 + 8), VCPU_BASE + FPU + i * 16);
      registers.setGpr(i, view.getBigUint64(STATE.gpr + i * 8, true));
    }
    registers.setGpr(RDI, BigInt(GUEST_PAGE));
    registers.eflags = view.getUint32(STATE.flags, true) & STATUS_FLAGS;
    registers.set32("mxcsr", view.getInt32(STATE.mxcsr, true));
    registers.set32("exit", EXIT.none);
    bytes.set(state.subarray(STATE.memory, STATE.memory + MEMORY_SIZE), MEMORY_AT);
  }

  #save(state: Uint8Array): void {
    const registers = this.#registers;
    const { bytes } = registers;
    const view = new DataView(state.buffer, state.byteOffset, STATE_SIZE);
    for (let i = 0; i < 4; i++) {
      const xmm = VCPU_BASE + XMM + i * 32;
      const mm = VCPU_BASE + FPU + i * 16;
      state.set(bytes.subarray(xmm, xmm + 16), STATE.xmm + i * 16);
      state.set(bytes.subarray(mm, mm + 8), STATE.mm + i * 8);
      view.setBigUint64(STATE.gpr + i * 8, registers.gpr(i), true);
    }
    view.setUint32(STATE.flags, registers.eflags, true);
    view.setInt32(STATE.mxcsr, registers.get32("mxcsr"), true);
    const fault = registers.get32("exit") === EXIT.fault ? registers.get32("faultVector") : 0;
    view.setUint32(STATE.fault, fault, true);
    state.set(bytes.subarray(MEMORY_AT, MEMORY_AT + MEMORY_SIZE), STATE.memory);
  }
}

/** The form with a meaning that sees its immediate as a constant. */
function withConstant(form: Form, value: number): Form {
  const { meaning } = form.instruction;
  const known = (o: Semantics, ...operands: Operand[]) => {
    const immediate = operands.at(-1);
    const seeing = new Proxy(o, {
      get(target, property) {
        if (property === "get") return (what: Operand) => (what === immediate ? target.i32(value) : target.get(what));
        const found: unknown = Reflect.get(target, property, target);
        return typeof found === "function" ? found.bind(target) : found;
      },
    });
    meaning(seeing, ...operands);
  };
  return { ...form, instruction: { ...form.instruction, meaning: known } };
}

/** Machine code of a variant (64-bit mode). */
export function encode({ form, memory, displacement, operandSize, immediate, same }: Variant): number[] {
  const bytes: number[] = [];
  if (form.prefix && form.prefix !== "NP") bytes.push(Number.parseInt(form.prefix, 16));
  if (operandSize === 16) bytes.push(0x66);
  if (operandSize === 64) bytes.push(0x48);
  if (form.map > 0) bytes.push(0x0f);
  if (form.map > 1) bytes.push(form.map === 2 ? 0x38 : 0x3a);
  bytes.push(form.opcode);
  if (form.hasModrm) {
    const reg = form.digit ?? 1;
    if (memory) bytes.push(0x40 | (reg << 3) | RDI, displacement & 0xff);
    else bytes.push(0xc0 | (reg << 3) | (same ? 1 : 2));
  }
  if (form.operands.some(({ place }) => place === "immediate")) bytes.push(immediate & 0xff);
  return bytes;
}
