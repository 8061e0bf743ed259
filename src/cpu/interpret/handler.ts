/**
 * The interpreter's handlers: an instruction's meaning with its operands left open. A handler takes the
 * address of a record (state.ts, RECORD), finds registers, immediates and address parts in it, and goes on
 * to the next record's handler by a tail call.
 */
import { functionSpec } from "../../isa/functions.ts";
import { type Form, isDirectJump, isIndirect } from "../../isa/instruction.ts";
import type { OperandSpec } from "../../isa/operand.ts";
import type { Operand } from "../../isa/semantics.ts";
import type { Argument } from "../../isa/value.ts";
import type { Callee, FunctionBuilder } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";
import { enterBlock, enterLinked, HANDLER, linearOf, runBlock } from "../emit/enter-block.ts";
import { type FlagStore, Flags } from "../emit/flags.ts";
import { GuestAccess } from "../emit/memory.ts";
import { type BoundOperand, type Linkage, type Shape, WasmSemantics } from "../emit/semantics.ts";
import {
  BLOCK_COUNT,
  BLOCK_FIRST,
  BLOCK_HEAT,
  BLOCK_MODE,
  CS_BASE,
  EXIT,
  fieldAddress,
  GPR,
  LINK,
  MOST_HEAT,
  NOTED_TARGETS,
  RECORD,
  RECORD_SIZE,
} from "../state.ts";
import { note, TRACE } from "./trace.ts";

/** Sign and exponent of an x87 register that was written as an MMX register. */
const MMX_EXPONENT = 0xffff;
/** 2^32 over the golden ratio: the product's upper bits differ between neighbours. @spec Knuth, The Art of Computer Programming 3, 6.4 */
const SCATTER = 0x9e37_79b1 | 0;

/** Functions that write several elements of a string at once (isa/string.ts). */
const WRITES_RUNS = new Set(["copyRun", "fillRun"]);

export interface HandlerShape extends Shape {
  readonly form: Form;
  /** Whether a memory operand has an index register. */
  readonly indexed: boolean;
}

/** Whether a jump's record has links: where it goes must not depend on where its code is mapped. */
function hasLinks({ form, operandSize, context }: HandlerShape): boolean {
  return isDirectJump(form) && operandSize > 16 && (context.long || context.flat);
}

/** Builds the body of a handler. */
export function buildHandler(
  f: FunctionBuilder,
  vcpu: number,
  shape: HandlerShape,
  linkage: Linkage,
  trace?: number,
): void {
  new Handler(f, vcpu, shape, linkage, trace).build();
}

class Handler extends WasmSemantics {
  readonly #shape: HandlerShape;
  /** The second of two immediates (ENTER). */
  #second: BoundOperand | undefined;
  #immediates = 0;
  #ended = false;
  /** Where what the handler does is noted; undefined where it is not. */
  readonly #trace: number | undefined;

  protected readonly flags: Flags;
  protected readonly memory: GuestAccess;

  constructor(f: FunctionBuilder, vcpu: number, shape: HandlerShape, linkage: Linkage, trace: number | undefined) {
    super({ f, vcpu, shape, linkage });
    this.#trace = trace;
    this.#shape = shape;
    this.flags = new Flags(f, flagMemory(f, vcpu));
    this.memory = new GuestAccess({
      f,
      vcpu,
      functions: linkage.memory,
      record: () => this.record(),
      returnIfFaulted: () => this.#returnIfFaulted(),
      written: trace === undefined ? undefined : (address) => note(f, trace + TRACE.writes, address),
    });
  }

  build(): void {
    this.buildInstruction(this.#shape.form);
    if (!this.#ended) this.#next();
  }

  protected override bind(spec: OperandSpec, position: number): BoundOperand {
    const bound = super.bind(spec, position);
    if (spec.place === "immediate") {
      if (this.#immediates > 0) this.#second = bound;
      this.#immediates++;
    }
    return bound;
  }

  #field(kind: "i32" | "i64", offset: number): Value {
    return this.f.load(kind, this.record(), offset);
  }

  protected record(): Value {
    return this.f.param(0);
  }

  /** A field of 16 bits (i32). */
  #short(offset: number): Value {
    return this.f.load("i32.16u", this.record(), offset);
  }

  /** Where the operand's register lies in the vCPU's state, or the number of a special register. */
  #place(operand: BoundOperand): Value {
    switch (operand.spec.place) {
      case "reg":
        return this.#short(RECORD.reg);
      case "fixed":
        return this.f.i32(GPR + operand.spec.register * 8);
      case "vvvv":
        return this.#short(RECORD.vvvv);
      default:
        return this.#short(RECORD.rm);
    }
  }

  protected registerPointer(operand: BoundOperand): Value {
    const { place, file, register } = operand.spec;
    if (place === "st") return this.#stackRegister(this.#short(RECORD.rm));
    if (place === "fixed" && file === "st") return this.#stackRegister(this.f.i32(register));
    return this.#place(operand).add(this.vcpu);
  }

  /** Pointer to the x87 register at `position` (i32) from the top of the stack. */
  #stackRegister(position: Value): Value {
    const top = this.state("fpuTop");
    return top.add(position).and(7).shl(4).add(this.slot("fpu"));
  }

  protected readRegister(operand: BoundOperand): Value {
    switch (operand.spec.file) {
      case "segment":
      case "control":
      case "debug":
        return this.#place(operand);
      case "st":
        return this.#load(this.registerPointer(operand), operand.width);
      default:
        return this.#load(this.#place(operand), operand.width, this.vcpu);
    }
  }

  #load(pointer: Value, width: number, offset = 0): Value {
    const { f } = this;
    switch (width) {
      case 8:
        return f.load("i32.8u", pointer, offset);
      case 16:
        return f.load("i32.16u", pointer, offset);
      case 32:
        return f.load("i32", pointer, offset);
      case 64:
        return f.load("i64", pointer, offset);
      case 128:
        return f.load("v128", pointer, offset);
      default:
        throw new Error(`no register operand has ${width} bits`);
    }
  }

  protected writeRegister(operand: BoundOperand, value: Value): void {
    const { file } = operand.spec;
    if (file === "st") {
      this.#store(this.registerPointer(operand), operand.width, value, false);
      return;
    }
    if (file === "mmx") this.f.store("i32.16", this.#place(operand), MMX_EXPONENT, this.vcpu + 8);
    this.#store(this.#place(operand), operand.width, value, file === "general", this.vcpu);
  }

  #store(pointer: Value, width: number, value: Value, general: boolean, offset = 0): void {
    const { f } = this;
    switch (width) {
      case 8:
        f.store("i32.8", pointer, value.wrap(), offset);
        break;
      case 16:
        f.store("i32.16", pointer, value.wrap(), offset);
        break;
      case 32:
        if (value.type === "f32") f.store("f32", pointer, value, offset);
        else if (general) f.store("i64", pointer, value.wrap().extendU(), offset);
        else f.store("i32", pointer, value.wrap(), offset);
        break;
      case 64:
        if (value.type === "f64") f.store("f64", pointer, value, offset);
        else f.store("i64", pointer, value.extendU(), offset);
        break;
      case 128:
        f.store("v128", pointer, value, offset);
        break;
      default:
        throw new Error(`no register operand has ${width} bits`);
    }
  }

  register(index: number, width: number): Value {
    return this.#load(this.f.i32(0), width, this.vcpu + GPR + index * 8);
  }
  setRegister(index: number, width: number, value: Value): void {
    this.#store(this.f.i32(0), width, value, true, this.vcpu + GPR + index * 8);
  }

  protected immediate(operand: BoundOperand): Value {
    if (operand.spec.place === "one") return this.f.i32(1);
    if (operand === this.#second) return this.#short(RECORD.second);
    return this.#field(operand.width === 64 ? "i64" : "i32", RECORD.immediate);
  }

  protected offsetOf(operand: BoundOperand, displacement: Value | number): Value {
    const address = this.#effectiveAddress(operand);
    const offset = displacement === 0 ? address : address.add(displacement);
    return this.addressSize === 64 ? offset : offset.zeroExtend(this.addressSize);
  }

  /** Effective address (i64) before it is cut to the address size. */
  #effectiveAddress(operand: BoundOperand): Value {
    if (operand.spec.place === "moffs") return this.#field("i64", RECORD.immediate);
    const { f } = this;
    const base = f.load("i64", this.#short(RECORD.rm), this.vcpu);
    const displacement = f.load("i64.32s", this.record(), RECORD.displacement);
    const address = base.add(displacement);
    if (!this.#shape.indexed) return address;
    const index = f.load("i64", this.#short(RECORD.index), this.vcpu);
    const scale = f.load("i64.8u", this.record(), RECORD.scale);
    return address.add(index.shl(scale));
  }

  protected operandSegment(): Value {
    return this.#short(RECORD.segment).add(this.vcpu);
  }

  #ip(delta: number): Value {
    const ip = this.f.load("i64", 0, fieldAddress(this.vcpu, "ip"));
    return ip.add(this.f.load("i64.16u", this.record(), delta));
  }
  thisIp(): Value {
    return this.#ip(RECORD.delta);
  }
  nextIp(): Value {
    const ip = this.#ip(RECORD.nextDelta);
    return this.long ? ip : ip.zeroExtend(32);
  }

  target(operand: Operand): Value {
    void operand;
    const ip = this.nextIp().add(this.f.load("i64", this.record(), RECORD.immediate));
    return this.operandSize === 64 ? ip : ip.zeroExtend(this.operandSize);
  }

  #next(): void {
    const { f } = this;
    f.returnCallIndirect(HANDLER, this.#field("i32", RECORD_SIZE), this.record().add(RECORD_SIZE));
  }

  override jumpIf(condition: Value, target: Operand): void {
    if (!hasLinks(this.#shape)) {
      super.jumpIf(condition, target);
      return;
    }
    const ip = this.target(target).when(condition, this.nextIp());
    this.#jumpInPage(ip, this.f.i32(LINK.taken).when(condition, LINK.next));
  }

  /** A jump whose record has links, to `ip`; `link` tells which one goes there. */
  #jumpInPage(ip: Value, link: Value): void {
    const { f, vcpu } = this;
    this.#ended = true;
    f.store("i64", 0, ip, fieldAddress(vcpu, "ip"));
    this.#tracePath(ip);
    enterLinked(f, vcpu, this.record().add(link), ip, this.linkage);
  }

  jump(ip: Value): void {
    const { f, vcpu } = this;
    if (hasLinks(this.#shape)) {
      this.#jumpInPage(ip, f.i32(LINK.taken));
      return;
    }
    this.#ended = true;
    const { long, flat } = this.#shape.context;
    if (!long && !flat) this.checkTarget(ip);
    f.store("i64", 0, ip, fieldAddress(vcpu, "ip"));
    this.#tracePath(ip);
    if (isIndirect(this.#shape.form)) this.#note(ip.wrap());
    const linear = long || flat ? ip : ip.add(f.load("i64", 0, vcpu + CS_BASE)).and(0xffffffffn);
    enterBlock(f, vcpu, linear, this.linkage);
  }

  /** Notes the target of an indirect jump behind the record: see BLOCK_TARGETS. */
  #note(target: Value): void {
    const { f } = this;
    const pairs = NOTED_TARGETS / 2;
    const pair = this.record().add(
      target
        .mul(SCATTER)
        .shrU(32 - Math.log2(pairs))
        .shl(3),
    );
    const known = f.load("i64", pair, RECORD_SIZE);
    f.if(known.wrap().ne(target), () => f.store("i64", pair, known.shl(32).or(target.extendU()), RECORD_SIZE));
  }

  #tracePath(ip: Value): void {
    if (this.#trace !== undefined) note(this.f, this.#trace + TRACE.path, ip.wrap());
  }

  transfer(ip: Value): void {
    const { f, vcpu } = this;
    this.#ended = true;
    f.store("i64", 0, ip, fieldAddress(vcpu, "ip"));
    this.#tracePath(ip);
    enterBlock(f, vcpu, linearOf(f, vcpu, ip), this.linkage);
  }

  farPointer(): { offset: Value; selector: Value } {
    return { offset: this.#field("i64", RECORD.immediate), selector: this.#short(RECORD.second) };
  }

  endBlock(): void {
    this.jump(this.nextIp());
  }

  restart(): void {
    this.f.store("i32", 0, this.record(), fieldAddress(this.vcpu, "pc"));
    this.setExit(EXIT.restart);
    this.f.return();
  }

  protected raiseVector(vector: Value, errorCode: Argument): void {
    const { f, vcpu } = this;
    f.store("i32", 0, vector, fieldAddress(vcpu, "faultVector"));
    f.store("i32", 0, errorCode as Value | number, fieldAddress(vcpu, "faultCode"));
    f.store("i32", 0, this.record(), fieldAddress(vcpu, "pc"));
    this.setExit(EXIT.fault);
    f.return();
  }

  #returnIfFaulted(): void {
    this.f.ifRare(this.f.load("i32", 0, fieldAddress(this.vcpu, "exit")), () => this.f.return());
  }

  protected unitTrap(code: number): void {
    this.call("unitTrap", code);
  }

  call(name: string, ...args: Argument[]): Value {
    const spec = functionSpec(name);
    const { f } = this;
    // Where writes are noted, elements are written one by one.
    if (this.#trace !== undefined && WRITES_RUNS.has(name)) return f.i32(0);
    if (spec.in === "host") f.store("i32", 0, this.record(), fieldAddress(this.vcpu, "pc"));
    const result = f.call(this.linkage.callee(name), ...(args as (Value | number | bigint)[]));
    if (spec.faults) this.#returnIfFaulted();
    return result;
  }
}

/** The status flags' words in state memory. */
export function flagMemory(f: FunctionBuilder, vcpu: number): FlagStore {
  const result = fieldAddress(vcpu, "flagResult");
  const carry = fieldAddress(vcpu, "flagCarry");
  const aux = fieldAddress(vcpu, "flagAux");
  return {
    getResult: () => f.load("i64", 0, result),
    getCarry: () => f.load("i32", 0, carry),
    getAux: () => f.load("i32", 0, aux),
    setResult: (value) => f.store("i64", 0, value, result),
    setCarry: (value) => f.store("i32", 0, value, carry),
    setAux: (value) => f.store("i32", 0, value, aux),
    clearCarryAux: () => f.store("i64", 0, 0, aux),
  };
}

/**
 * The handler that ends a chain before its own instruction: after one whose successors may have changed (EXIT.resume),
 * or where a debugger may have a breakpoint (EXIT.breakpoint).
 */
export function buildEnd(f: FunctionBuilder, vcpu: number, exit: number): void {
  f.store("i32", 0, f.param(0), fieldAddress(vcpu, "pc"));
  f.store("i32", 0, exit, fieldAddress(vcpu, "exit"));
  f.return();
}

/** The handler in front of a block that counts how often it runs: `hot` (record) is told when that was often enough. */
export function buildCount(f: FunctionBuilder, hot: Callee): void {
  const record = f.param(0);
  const heat = f.load("i32", record.add(BLOCK_HEAT)).sub(1);
  f.store("i32", record.add(BLOCK_HEAT), heat);
  f.ifRare(heat.and(MOST_HEAT).eqz(), () => {
    f.call(hot, record);
  });
  f.returnCallIndirect(HANDLER, f.load("i32", record.add(BLOCK_FIRST)), record);
}

/**
 * The handler in front of a block or region whose code has changed: goes on with what is there now. In front of a block that
 * has a region: whoever comes here in spite of the region is to run the block.
 */
export function buildFind(f: FunctionBuilder, vcpu: number, linkage: Linkage): void {
  const record = f.param(0);
  f.if(f.load("i32", record.add(BLOCK_MODE)).ne(-1), () =>
    f.returnCallIndirect(HANDLER, f.load("i32", record.add(BLOCK_FIRST)), record),
  );
  const budget = fieldAddress(vcpu, "budget");
  f.store("i32", 0, f.load("i32", 0, budget).add(f.load("i32", record.add(BLOCK_COUNT))), budget);
  const found = f.call(linkage.callee("findBlock"), linearOf(f, vcpu, f.load("i64", 0, fieldAddress(vcpu, "ip"))));
  f.ifRare(found.eqz(), () => f.return());
  runBlock(f, vcpu, found, linkage.observe);
}
