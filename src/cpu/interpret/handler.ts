/**
 * The interpreter's handlers: an instruction's meaning with its operands left open. A handler takes the
 * address of a record (state.ts, RECORD), finds registers, immediates and address parts in it, and goes on
 * to the next record's handler by a tail call.
 */
import type { Form, Instruction } from "../../isa/instruction.ts";
import type { Operand } from "../../isa/semantics.ts";
import type { FunctionBuilder, Signature, Variable } from "../../wasm/function.ts";
import { signature } from "../../wasm/module.ts";
import type { Value } from "../../wasm/value.ts";
import type { FlagStore } from "../emit/flags.ts";
import { type BoundOperand, bindOperand, type Linkage, type Shape, WasmSemantics } from "../emit/semantics.ts";
import {
  BLOCK_COUNT,
  CONTEXT,
  CS_BASE,
  EXIT,
  fieldAddress,
  GPR,
  JUMP,
  JUMP_CACHE,
  JUMP_ENTRIES,
  JUMP_ENTRY,
  RECORD,
  RECORD_SIZE,
} from "../state.ts";

/** Values of `fpuTag`. */
const NONE_EMPTY = 0;
const ALL_EMPTY = 0xff;
/** Sign and exponent of an x87 register that was written as an MMX register. */
const MMX_EXPONENT = 0xffff;

/** Every handler's type: (address of the record). */
export const HANDLER: Signature = signature(["i32"]);

export interface HandlerShape extends Shape {
  readonly form: Form;
  /** Whether a memory operand has an index register. */
  readonly indexed: boolean;
}

/** Builds the body of a handler. */
export function buildHandler(f: FunctionBuilder, vcpu: number, shape: HandlerShape, linkage: Linkage): void {
  new Handler(f, vcpu, shape, linkage).build();
}

class Handler extends WasmSemantics {
  readonly #shape: HandlerShape;
  /** The second of two immediates (ENTER). */
  #second: BoundOperand | undefined;
  #ended = false;

  constructor(f: FunctionBuilder, vcpu: number, shape: HandlerShape, linkage: Linkage) {
    super({ f, vcpu, shape, linkage });
    this.#shape = shape;
  }

  build(): void {
    const { instruction, operands } = this.#shape.form;
    if (instruction.privileged) this.requireCpl0();
    if (instruction.unit) this.#checkUnit(instruction.unit);
    const bound = operands.map((spec) => bindOperand(spec, this.#shape.memory, this.#shape.operandSize));
    this.#second = bound.filter(({ spec }) => spec.place === "immediate")[1];
    instruction.meaning(this, ...bound);
    if (instruction.unit === "mmx") this.#leaveMmx(NONE_EMPTY);
    else if (instruction.unit === "emms") this.#leaveMmx(ALL_EMPTY);
    if (!this.#ended) this.#next();
  }

  /** What every MMX instruction does to the x87 state. @spec SDM 1, 9.6.2 */
  #leaveMmx(tags: number): void {
    this.setState("fpuTop", 0);
    this.setState("fpuTag", tags);
  }

  #checkUnit(unit: NonNullable<Instruction["unit"]>): void {
    const { field, code } = UNIT_TRAPS[unit];
    this.f.if(this.f.load("i32", 0, fieldAddress(this.vcpu, field)), () => {
      this.call("unitTrap", code);
    });
  }

  #field(kind: "i32" | "i64", offset: number): Value {
    return this.f.load(kind, this.record(), offset);
  }

  protected flagStore(): FlagStore {
    const { f } = this;
    const result = fieldAddress(this.vcpu, "flagResult");
    const carry = fieldAddress(this.vcpu, "flagCarry");
    const aux = fieldAddress(this.vcpu, "flagAux");
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

  protected record(): Value {
    return this.f.param(0);
  }

  protected registerPointer(operand: BoundOperand): Value {
    const { f } = this;
    switch (operand.spec.place) {
      case "reg":
        return this.#field("i32", RECORD.reg);
      case "fixed":
        return operand.spec.file === "st"
          ? this.#stackRegister(f.i32(operand.spec.register))
          : f.i32(this.vcpu + GPR + operand.spec.register * 8);
      case "vvvv":
        return this.#field("i32", RECORD.vvvv);
      case "st":
        return this.#stackRegister(this.#field("i32", RECORD.rm));
      default:
        return this.#field("i32", RECORD.rm);
    }
  }

  /** Pointer to the x87 register at `position` (i32) from the top of the stack. */
  #stackRegister(position: Value): Value {
    const top = this.state("fpuTop");
    return top.add(position).and(7).shl(4).add(this.slot("fpu"));
  }

  protected readRegister(operand: BoundOperand): Value {
    const pointer = this.registerPointer(operand);
    switch (operand.spec.file) {
      case "segment":
      case "control":
      case "debug":
        return pointer; // The record holds the register's number.
      default:
        return this.#load(pointer, operand.width);
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
    if (operand.spec.file === "mmx") this.f.store("i32.16", this.registerPointer(operand), MMX_EXPONENT, 8);
    this.#store(this.registerPointer(operand), operand.width, value, operand.spec.file === "general");
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
        if (general) f.store("i64", pointer, value.wrap().extendU(), offset);
        else f.store("i32", pointer, value.wrap(), offset);
        break;
      case 64:
        f.store("i64", pointer, value.extendU(), offset);
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
    if (operand === this.#second) return this.#field("i32", RECORD.second);
    return this.#field(operand.width === 64 ? "i64" : "i32", RECORD.immediate);
  }

  protected effectiveAddress(operand: BoundOperand): Value {
    if (operand.spec.place === "moffs") return this.#field("i64", RECORD.immediate);
    const { f } = this;
    const base = f.load("i64", this.#field("i32", RECORD.rm));
    const displacement = f.load("i64.32s", this.record(), RECORD.displacement);
    const address = base.add(displacement);
    if (!this.#shape.indexed) return address;
    const index = f.load("i64", this.#field("i32", RECORD.index));
    const scale = f.load("i64.8u", this.record(), RECORD.scale);
    return address.add(index.shl(scale));
  }

  protected operandSegment(): Value {
    return this.#field("i32", RECORD.segment);
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

  jump(ip: Value): void {
    const { f, vcpu } = this;
    this.#ended = true;
    const { long, flat } = this.#shape.context;
    if (!long && !flat) this.checkTarget(ip);
    f.store("i64", 0, ip, fieldAddress(vcpu, "ip"));
    const linear = long || flat ? ip : ip.add(f.load("i64", 0, vcpu + CS_BASE)).and(0xffffffffn);
    this.#enter(linear);
  }

  /** Goes on with the block at linear address `linear`; `ip` is set. */
  #enter(linear: Value): void {
    const { f, vcpu } = this;
    const low = linear.wrap();
    const index = low
      .xor(low.shrU(13))
      .and(JUMP_ENTRIES - 1)
      .mul(JUMP_ENTRY);
    const known = f.load("i64", index, vcpu + JUMP_CACHE + JUMP.linear).eq(linear);
    const context = f.load("i32", 0, fieldAddress(vcpu, "context"));
    const valid = f.load("i32", index, vcpu + JUMP_CACHE + JUMP.context).eq(context);
    const record: Variable = f.variable("i32");
    f.if(
      known.and(valid),
      () => record.set(f.load("i32", index, vcpu + JUMP_CACHE + JUMP.record)),
      () => {
        record.set(f.call(this.linkage.callee("findBlock"), linear));
        f.if(record.get().eqz(), () => f.return());
      },
    );
    const block = record.get();
    const budget = fieldAddress(vcpu, "budget");
    const left = f.load("i32", 0, budget).sub(f.load("i32", block.add(BLOCK_COUNT)));
    f.if(left.ltS(0), () => {
      this.setExit(EXIT.event);
      f.return();
    });
    f.store("i32", 0, left, budget);
    f.returnCallIndirect(HANDLER, f.load("i32", block), block);
  }

  transfer(ip: Value): void {
    const { f, vcpu } = this;
    this.#ended = true;
    f.store("i64", 0, ip, fieldAddress(vcpu, "ip"));
    const long = f.load("i32", 0, fieldAddress(vcpu, "context")).and(CONTEXT.long);
    const linear = ip.add(f.load("i64", 0, vcpu + CS_BASE));
    this.#enter(ip.when(long, linear.and(0xffffffffn)));
  }

  farPointer(): { offset: Value; selector: Value } {
    return { offset: this.#field("i64", RECORD.immediate), selector: this.#field("i32", RECORD.second) };
  }

  endBlock(): void {
    this.jump(this.nextIp());
  }

  restart(): void {
    this.f.store("i32", 0, this.record(), fieldAddress(this.vcpu, "pc"));
    this.setExit(EXIT.restart);
    this.leave();
  }

  protected leave(): void {
    this.f.return();
  }
}

/** Which trap word an execution unit looks at, and what `unitTrap` is told. */
const UNIT_TRAPS = {
  x87: { field: "x87Trap", code: 0 },
  "x87-nowait": { field: "mmxTrap", code: 1 },
  mmx: { field: "x87Trap", code: 2 },
  emms: { field: "x87Trap", code: 2 },
  sse: { field: "sseTrap", code: 3 },
  wait: { field: "waitTrap", code: 4 },
} as const;

/** The handler that ends a chain after an instruction whose successors may have changed. */
export function buildResume(f: FunctionBuilder, vcpu: number): void {
  f.store("i32", 0, f.param(0), fieldAddress(vcpu, "pc"));
  f.store("i32", 0, EXIT.resume, fieldAddress(vcpu, "exit"));
  f.return();
}
