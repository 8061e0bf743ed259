/** The x87 instructions under test: their handlers and functions in a module of their own. */
// Declares the trap that handlers call.
import "../../../isa/control.ts";
import { functionSpec } from "../../../isa/functions.ts";
import type { Form } from "../../../isa/instruction.ts";
import { X87 } from "../../../isa/x87.ts";
import type { Callee } from "../../../wasm/function.ts";
import { ModuleBuilder, signature } from "../../../wasm/module.ts";
import { HANDLER } from "../../emit/enter-block.ts";
import type { Linkage } from "../../emit/semantics.ts";
import { createCodeTable, importCodeTable } from "../../interpret/code-table.ts";
import { buildHandler, type HandlerShape } from "../../interpret/handler.ts";
import {
  FPU,
  fieldAddress,
  GPR,
  RECORD as HANDLER_RECORD,
  SEGMENT,
  SEGMENT_SIZE,
  SEGMENTS,
  TLB,
  TLB_ENTRIES,
  TLB_ENTRY,
  TLBS,
  VCPU_BASE,
  ZERO,
} from "../../state.ts";
import { fpuFunctions } from "../index.ts";
import { type Fpu, IMAGE, RECORD } from "./record.ts";

const PAGES = 16;
const MEMORY_AT = 0xa_0000;
const RECORD_AT = 0xb_0000;
const CF = 1;
const FLAG_BITS = 0x8d5;

/** The form that `bytes` encode: an opcode, perhaps behind 66 or REX.W, and its ModR/M byte. */
function formOf(bytes: readonly number[]): { form: Form; modrm: number; operandSize: 16 | 32 | 64 } {
  const rest = [...bytes];
  const operandSize = rest[0] === 0x66 ? 16 : rest[0] === 0x48 ? 64 : 32;
  if (operandSize !== 32) rest.shift();
  const map = rest[0] === 0x0f ? 1 : 0;
  if (map) rest.shift();
  const [opcode = 0, modrm = 0] = rest;
  const memory = modrm < 0xc0;
  const wide = operandSize === 64 ? "w0" : "w1";
  const matches = X87.flatMap((one) => one.parsed).filter(
    (form) =>
      form.map === map &&
      form.opcode === opcode &&
      !form.attributes.has(wide) &&
      (form.modrm === undefined || form.modrm === modrm) &&
      (form.digit === undefined || form.digit === ((modrm >> 3) & 7)) &&
      (form.modrm !== undefined || form.rm === (memory ? "memory" : "register")),
  );
  const form = matches.find((one) => one.modrm !== undefined) ?? matches[0];
  if (!form) throw new Error(`no form for ${bytes.map((byte) => byte.toString(16))}`);
  return { form, modrm, operandSize };
}

export class GuestFpu implements Fpu {
  readonly #memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  readonly #runtime = buildFunctions(this.#memory);
  readonly #built = new Map<string, (record: number) => void>();
  readonly view = new DataView(this.#memory.buffer);
  readonly #bytes = new Uint8Array(this.#memory.buffer);

  constructor() {
    const { view } = this;
    for (let segment = 0; segment < 6; segment++) {
      view.setUint16(VCPU_BASE + SEGMENTS + segment * SEGMENT_SIZE + SEGMENT.selector, 0x33, true);
    }
    view.setUint32(fieldAddress(VCPU_BASE, "tlb"), VCPU_BASE + TLBS, true);
    view.setBigInt64(fieldAddress(VCPU_BASE, "cr0"), 1n, true);
    view.setUint32(fieldAddress(VCPU_BASE, "direction"), 1, true);
    for (let entry = 0; entry < TLB_ENTRIES; entry++) {
      const at = VCPU_BASE + TLBS + entry * TLB_ENTRY;
      const page = BigInt((MEMORY_AT & ~(TLB_ENTRIES * 4096 - 1)) + entry * 4096);
      view.setBigInt64(at + TLB.read, page, true);
      view.setBigInt64(at + TLB.write, page, true);
    }
    view.setUint16(RECORD_AT + HANDLER_RECORD.rm, ZERO, true);
    view.setUint32(RECORD_AT + HANDLER_RECORD.displacement, MEMORY_AT, true);
  }

  /** Linear address of the memory operand. */
  readonly memoryAt = MEMORY_AT;

  addressOf(name: string): number {
    return fieldAddress(VCPU_BASE, name);
  }
  /** The low half of a field of the processor's state. */
  field(name: string): number {
    return this.view.getUint32(this.addressOf(name), true);
  }
  setField(name: string, value: number): void {
    this.view.setUint32(this.addressOf(name), value, true);
  }

  #handler(instruction: readonly number[]): (record: number) => void {
    const key = instruction.join();
    const known = this.#built.get(key);
    if (known) return known;
    const { form, operandSize } = formOf(instruction);
    const built = buildForm(form, operandSize, this.#memory, this.#runtime);
    this.#built.set(key, built);
    return built;
  }

  run(instruction: readonly number[], records: Uint8Array, size: number): void {
    const { form, modrm } = formOf(instruction);
    const memory = modrm < 0xc0 && form.modrm === undefined;
    this.view.setUint16(RECORD_AT + HANDLER_RECORD.rm, memory ? ZERO : modrm & 7, true);
    const handler = this.#handler(instruction);
    const bytes = size - RECORD.memory;
    for (let at = 0; at < records.length; at += size) {
      const record = new DataView(records.buffer, records.byteOffset + at, size);
      this.#load(record);
      this.#bytes.set(records.subarray(at + RECORD.memory, at + size), MEMORY_AT);
      handler(RECORD_AT);
      this.#save(record);
      records.set(this.#bytes.subarray(MEMORY_AT, MEMORY_AT + bytes), at + RECORD.memory);
    }
  }

  #load(record: DataView): void {
    const status = record.getUint16(IMAGE.status, true);
    const tags = record.getUint16(IMAGE.tags, true);
    const top = (status >> 11) & 7;
    this.setField("fpuControl", record.getUint16(IMAGE.control, true));
    this.setField("fpuStatus", status & ~0x3800);
    this.setField("fpuTop", top);
    for (const trap of ["x87Trap", "waitTrap"]) this.setField(trap, 0);
    this.setField("fpuIp", record.getUint32(IMAGE.ip, true));
    this.setField("fpuCs", record.getUint16(IMAGE.cs, true));
    this.setField("fpuOpcode", record.getUint16(IMAGE.cs + 2, true) & 0x7ff);
    this.setField("fpuDp", record.getUint32(IMAGE.dp, true));
    this.setField("fpuDs", record.getUint16(IMAGE.ds, true));
    let empty = 0;
    for (let i = 0; i < 8; i++) if (((tags >> (2 * i)) & 3) === 3) empty |= 1 << i;
    this.setField("fpuTag", empty);
    for (let i = 0; i < 8; i++) {
      const from = IMAGE.registers + 10 * i;
      const to = VCPU_BASE + FPU + 16 * ((top + i) & 7);
      this.view.setBigUint64(to, record.getBigUint64(from, true), true);
      this.view.setUint16(to + 8, record.getUint16(from + 8, true), true);
    }
    const flags = record.getUint32(RECORD.flags, true);
    this.view.setBigUint64(VCPU_BASE + GPR, record.getBigUint64(RECORD.rax, true), true);
    writeFlags(this, flags);
  }

  #save(record: DataView): void {
    const pending = (this.field("fpuStatus") & 0x80) !== 0;
    for (const trap of ["x87Trap", "waitTrap"]) {
      if ((this.field(trap) !== 0) !== pending) throw new Error(`${trap} and the error summary disagree`);
    }
    const top = this.field("fpuTop");
    const empty = this.field("fpuTag");
    record.setUint16(IMAGE.control, this.field("fpuControl"), true);
    record.setUint16(IMAGE.status, this.field("fpuStatus") | (top << 11), true);
    let tags = 0;
    for (let i = 0; i < 8; i++) {
      const from = VCPU_BASE + FPU + 16 * ((top + i) & 7);
      const to = IMAGE.registers + 10 * i;
      const significand = this.view.getBigUint64(from, true);
      const exponent = this.view.getUint16(from + 8, true);
      record.setBigUint64(to, significand, true);
      record.setUint16(to + 8, exponent, true);
      const physical = (top + i) & 7;
      tags |= (((empty >> physical) & 1) === 1 ? 3 : kind(significand, exponent)) << (2 * physical);
    }
    record.setUint16(IMAGE.tags, tags, true);
    record.setBigUint64(RECORD.rax, this.view.getBigUint64(VCPU_BASE + GPR, true), true);
    const flags = record.getUint32(RECORD.flags, true);
    record.setUint32(RECORD.flags, (flags & ~FLAG_BITS) | readFlags(this), true);
  }
}

/** A tag of a register that is not empty. @spec SDM 1, 8.1.7 */
function kind(significand: bigint, exponent: number): number {
  const biased = exponent & 0x7fff;
  if (biased === 0) return significand === 0n ? 1 : 2;
  return biased === 0x7fff || significand >> 63n === 0n ? 2 : 0;
}

/** Status flags in the form of src/cpu/emit/flags.ts, for CF, PF, AF and ZF alone; the others are set to 0. */
function writeFlags(fpu: GuestFpu, flags: number): void {
  const zero = (flags & 0x40) !== 0;
  const parity = (flags & 4) !== 0;
  // A result of 0 has even parity, 2 odd and 3 even.
  fpu.view.setBigInt64(fieldAddress(VCPU_BASE, "flagResult"), zero ? 0n : parity ? 3n : 2n, true);
  fpu.setField("flagAux", (zero && !parity ? 0x100 : 0) | (flags & 0x10 ? 8 : 0));
  fpu.setField("flagCarry", flags & CF ? 0xc000_0000 : 0);
}

function readFlags(fpu: GuestFpu): number {
  const result = fpu.view.getBigInt64(fieldAddress(VCPU_BASE, "flagResult"), true);
  const aux = fpu.field("flagAux");
  const carry = fpu.field("flagCarry");
  let parity = Number(result & 0xffn) ^ ((aux >> 8) & 0xff);
  for (const shift of [4, 2, 1]) parity ^= parity >> shift;
  return (
    (carry >>> 31) |
    (parity & 1 ? 0 : 4) |
    (aux & 8 ? 0x10 : 0) |
    (result === 0n ? 0x40 : 0) |
    (result < 0n !== ((aux & 1) === 1) ? 0x80 : 0) |
    (((carry >>> 31) ^ (carry >>> 30)) & 1 ? 0x800 : 0)
  );
}

const unmapped = () => {
  throw new Error("the test's memory is always mapped");
};

type Runtime = Record<string, WebAssembly.ImportValue>;

/** All functions of the FPU. */
function buildFunctions(memory: WebAssembly.Memory): Runtime {
  const module = new ModuleBuilder();
  module.importMemory({ module: "env", name: "memory", initial: PAGES, maximum: PAGES, shared: true });
  const callees = new Map<string, Callee>();
  const callee = (name: string): Callee => {
    const found = callees.get(name);
    if (!found) throw new Error(`${name} is not built`);
    return found;
  };
  for (const [name, build] of Object.entries(fpuFunctions())) {
    const { params, result } = functionSpec(name);
    callees.set(
      name,
      module.function(signature(params, result ? [result] : []), (f) => build(f, callee, 0), { export: name }),
    );
  }
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.build()), { env: { memory } });
  return instance.exports as Runtime;
}

/** The functions of the FPU as imports; the slow paths of memory are never taken. */
function linkageTo(module: ModuleBuilder): Linkage {
  const slow = (name: string, params: readonly ("i32" | "i64")[], results: readonly ("i32" | "i64")[] = []) =>
    module.importFunction("runtime", name, signature(params, results));
  return {
    memory: {
      slowLoad: slow("slowLoad", ["i32", "i64", "i32"], ["i64"]),
      slowStore: slow("slowStore", ["i32", "i64", "i32", "i64"]),
      slowLoad128: slow("slowLoad128", ["i32", "i64"]),
      slowStore128: slow("slowStore128", ["i32", "i64"]),
      beginUpdate: slow("beginUpdate", ["i32", "i64", "i32"], ["i32"]),
      endUpdate: slow("endUpdate", ["i64", "i32"]),
      stackFault: slow("stackFault", []),
    },
    callee(name) {
      const { params, result } = functionSpec(name);
      return module.importFunction("runtime", name, signature(params, result ? [result] : []));
    },
  };
}

/** The handler of one form with 64-bit addresses. */
function buildForm(
  form: Form,
  operandSize: 16 | 32 | 64,
  memory: WebAssembly.Memory,
  runtime: Runtime,
): (record: number) => void {
  const module = new ModuleBuilder();
  module.importMemory({ module: "env", name: "memory", initial: PAGES, maximum: PAGES, shared: true });
  importCodeTable(module);
  const shape: HandlerShape = {
    form,
    operandSize,
    context: { long: true, code32: false, stack32: false, flat: true, user: false },
    addressSize: 64,
    segmentUse: "flat",
    memory: form.rm === "memory",
    indexed: false,
    repeat: "none",
    lock: false,
    opcodeLow: 0,
  };
  const linkage = linkageTo(module);
  module.function(HANDLER, (f) => buildHandler(f, VCPU_BASE, shape, linkage), { export: "run" });
  module.elements(0, [module.function(HANDLER, (f) => f.return())]);
  const table = createCodeTable(1);
  const known = new Proxy(runtime, { get: (from, name) => from[name as string] ?? unmapped });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.build()), {
    env: { memory, table },
    runtime: known,
  });
  return instance.exports.run as (record: number) => void;
}
