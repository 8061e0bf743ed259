/**
 * Instruction meanings built as WebAssembly: all of `Semantics` that does not depend on where registers
 * and operands are found. The interpreter's handlers and the translator's regions fill in the rest.
 */
import type { Form, Instruction } from "../../isa/instruction.ts";
import { type OperandSpec, resolveWidth } from "../../isa/operand.ts";
import {
  type ArithmeticFlags,
  type Exception,
  type Flag,
  FS,
  GS,
  type NumberKnowledge,
  type Operand,
  type OperandSize,
  RSP,
  type Semantics,
  SS,
  type StateField,
  VECTOR,
} from "../../isa/semantics.ts";
import { quietLimit } from "../../isa/sse-native.ts";
import type * as isa from "../../isa/value.ts";
import type { Callee, FunctionBuilder, Label } from "../../wasm/function.ts";
import type { LoadKind, StoreKind, ValueType } from "../../wasm/opcodes.ts";
import type { Value } from "../../wasm/value.ts";
import type { EmittedObservation } from "../observe/observer.ts";
import { CS_LIMIT, FPU, fieldAddress, fieldType, RESULT, SEGMENT, SEGMENT_SIZE, SEGMENTS, XMM } from "../state.ts";
import type { FlagUnit } from "./flags.ts";
import type { MemoryFunctions, MemoryUnit, OnStack } from "./memory.ts";

/** How a segment takes part in an address: not at all, by its base, or by base, limits and rights. */
export type SegmentUse = "flat" | "based" | "checked";

/** An operand of the instruction being built. */
export interface BoundOperand extends Operand {
  readonly spec: OperandSpec;
}

/** An operand with its width: an immediate has the width that it is extended to. */
export function bindOperand(spec: OperandSpec, memory: boolean, operandSize: OperandSize): BoundOperand {
  const isMemory = spec.memory === "always" || (spec.memory === "either" && memory);
  const extended = spec.place === "immediate" && (spec.signed || spec.width === "z");
  const width = extended ? operandSize : resolveWidth(isMemory ? spec.memoryWidth : spec.width, operandSize);
  return { spec, isMemory, width };
}

/** What code depends on beside the instruction's bytes. */
export interface CodeContext {
  /** 64-bit mode. */
  readonly long: boolean;
  /** Code segment's default operand and address size, in legacy and compatibility mode. */
  readonly code32: boolean;
  /** Stack segment's size, in legacy and compatibility mode. */
  readonly stack32: boolean;
  /** CS, DS, ES and SS all have base 0, limit 4 GiB and full rights. */
  readonly flat: boolean;
  readonly user: boolean;
}

/** Everything about one instruction that its code is specialised for. */
export interface Shape {
  readonly operandSize: OperandSize;
  readonly addressSize: OperandSize;
  readonly context: CodeContext;
  /** How the memory operand's segment is used. */
  readonly segmentUse: SegmentUse;
  readonly memory: boolean;
  readonly repeat: "none" | "repe" | "repne";
  readonly lock: boolean;
  readonly opcodeLow: number;
}

/** Functions that code under construction can call. */
export interface Linkage {
  readonly memory: MemoryFunctions;
  callee(name: string): Callee;
  /** What code that enters blocks and regions notes of that. */
  readonly observe?: EmittedObservation | undefined;
}

/** Values of `fpuTag`. */
const NONE_EMPTY = 0;
const ALL_EMPTY = 0xff;

/** Which trap word an execution unit looks at, and what `unitTrap` is told. */
const UNIT_TRAPS = {
  x87: { field: "x87Trap", code: 0 },
  "x87-nowait": { field: "mmxTrap", code: 1 },
  mmx: { field: "x87Trap", code: 2 },
  emms: { field: "x87Trap", code: 2 },
  sse: { field: "sseTrap", code: 3 },
  wait: { field: "waitTrap", code: 4 },
} as const;

export abstract class WasmSemantics implements Semantics {
  protected readonly f: FunctionBuilder;
  protected readonly vcpu: number;
  protected readonly shape: Shape;
  protected readonly linkage: Linkage;
  /** Whether the instruction changes its memory operand in one go, as others see it. */
  #isLocked = false;

  constructor(options: { f: FunctionBuilder; vcpu: number; shape: Shape; linkage: Linkage }) {
    this.f = options.f;
    this.vcpu = options.vcpu;
    this.shape = options.shape;
    this.linkage = options.linkage;
  }

  // Where things are: the part that the two tiers do differently.
  protected abstract readonly flags: FlagUnit;
  protected abstract readonly memory: MemoryUnit;
  protected abstract readRegister(operand: BoundOperand): Value;
  protected abstract writeRegister(operand: BoundOperand, value: Value): void;
  /** Pointer to an operand's register in state memory, brought up to date. */
  protected abstract registerPointer(operand: BoundOperand): Value;
  protected abstract immediate(operand: BoundOperand): Value;
  /** Effective address plus `displacement`, cut to the address size (i64). */
  protected abstract offsetOf(operand: BoundOperand, displacement: Value | number): Value;
  /** Address of the fields of the memory operand's segment register. */
  protected abstract operandSegment(): Value;
  abstract register(index: number, width: number): Value;
  abstract setRegister(index: number, width: number, value: Value): void;
  abstract nextIp(): Value;
  abstract thisIp(): Value;
  abstract jump(ip: Value): void;
  abstract transfer(ip: Value): void;
  abstract target(operand: Operand): Value;
  abstract endBlock(): void;
  abstract restart(): void;
  abstract farPointer(operand: Operand): { offset: Value; selector: Value };
  get operandSize(): OperandSize {
    return this.shape.operandSize;
  }
  get addressSize(): OperandSize {
    return this.shape.addressSize;
  }
  get long(): boolean {
    return this.shape.context.long;
  }
  get flat(): boolean {
    return this.shape.context.flat;
  }
  get repeat(): "none" | "repe" | "repne" {
    return this.shape.repeat;
  }
  get opcodeLow(): number {
    return this.shape.opcodeLow;
  }
  /** An instruction by itself knows nothing of numbers. */
  get numbers(): NumberKnowledge {
    return {
      limit: () => quietLimit(this),
      isAssumed: () => false,
      assume() {},
      doubt() {},
    };
  }
  /** A segment number of its own: "the memory operand's segment", DS or the override. */
  get sourceSegment(): number {
    return -1;
  }

  i32(value: number): Value {
    return this.f.i32(value);
  }
  i64(value: number | bigint): Value {
    return this.f.i64(value);
  }
  f32(value: number): Value {
    return this.f.f32(value);
  }
  f64(value: number): Value {
    return this.f.f64(value);
  }
  v128(bytes: readonly number[]): Value {
    return this.f.v128(bytes);
  }
  variable(type: ValueType, initial?: Value | number | bigint) {
    return this.f.variable(type, initial);
  }

  get(operand: Operand): Value {
    const bound = operand as BoundOperand;
    if (bound.isMemory) return this.loadAt(operand, 0, bound.width);
    switch (bound.spec.place) {
      case "immediate":
      case "one":
        return this.immediate(bound);
      default:
        return this.readRegister(bound);
    }
  }

  getSigned(operand: Operand): Value {
    const { width } = operand;
    if (operand.isMemory && width < 32) return this.#loadAs(operand, width === 16 ? "i32.16s" : "i32.8s");
    return this.get(operand).signExtend(width);
  }

  getNumber(operand: Operand): Value {
    const { width } = operand;
    const type = width === 64 ? "f64" : "f32";
    if (operand.isMemory) return this.#loadAs(operand, type);
    const value = this.readRegister(operand as BoundOperand);
    return value.op(`${type}.reinterpret_${value.type}`);
  }

  getLow(operand: Operand): Value {
    if (operand.isMemory) return this.#loadAs(operand, operand.width === 64 ? "v128.64zero" : "v128.32zero");
    const value = this.get(operand);
    const lane = value.type === "i64" ? "i64x2.replace_lane" : "i32x4.replace_lane";
    return this.v128(Array(16).fill(0)).lane(lane, 0, value);
  }

  #loadAs(operand: Operand, kind: LoadKind): Value {
    const linear = this.#linearOf(operand as BoundOperand, 0, false, operand.width);
    return this.memory.load(linear, operand.width, this.#onStack(), kind);
  }

  put(operand: Operand, value: Value): void {
    const bound = operand as BoundOperand;
    if (bound.isMemory) this.storeAt(operand, 0, bound.width, value);
    else this.writeRegister(bound, value);
  }

  /** `value` in the WebAssembly type that memory accesses of `width` use. */
  #fit(value: Value, width: number): Value {
    if (width === 128 || value.type === "f32" || value.type === "f64") return value;
    return width === 64 ? value.extendU() : value.wrap();
  }

  update(operand: Operand, change: (old: Value) => Value): void {
    const bound = operand as BoundOperand;
    if (bound.isMemory) {
      this.updateAt(operand, 0, bound.width, change);
    } else {
      this.writeRegister(bound, change(this.readRegister(bound)));
    }
  }

  address(operand: Operand): Value {
    return this.offsetOf(operand as BoundOperand, 0);
  }

  linearAddress(operand: Operand): Value {
    const offset = this.address(operand);
    const { segmentUse } = this.shape;
    if (segmentUse === "flat") return offset;
    const linear = offset.add(this.f.load("i64", this.operandSegment(), SEGMENT.base));
    return segmentUse === "checked" ? linear.and(0xffffffffn) : linear;
  }

  loadAt(operand: Operand, displacement: isa.Argument, width: number): Value {
    const linear = this.#linearOf(operand as BoundOperand, displacement as Value | number, false, width);
    return this.memory.load(linear, width, this.#onStack());
  }

  storeAt(operand: Operand, displacement: isa.Argument, width: number, value: Value): void {
    const linear = this.#linearOf(operand as BoundOperand, displacement as Value | number, true, width);
    this.memory.store(linear, width, this.#fit(value, width), this.#onStack());
  }

  updateAt(operand: Operand, displacement: isa.Argument, width: number, change: (old: Value) => Value): void {
    const linear = this.#linearOf(operand as BoundOperand, displacement as Value | number, true, width);
    this.memory.update(linear, width, (old) => this.#fit(change(old), width), this.#isLocked, this.#onStack());
  }

  /** Whether an access is to the stack segment; without a number it is to the memory operand's segment. */
  #onStack(segment = -1): OnStack {
    // Other modes have no addresses that are not canonical.
    if (!this.long || (segment >= 0 && segment !== SS)) return undefined;
    if (segment === SS) return () => 1;
    if (this.shape.segmentUse === "based") return undefined;
    return () => this.operandSegment().eq(this.vcpu + SEGMENTS + SS * SEGMENT_SIZE);
  }

  /** Linear address (i64) of a memory operand plus `displacement`. */
  #linearOf(operand: BoundOperand, displacement: Value | number, write: boolean, width: number): Value {
    const offset = this.offsetOf(operand, displacement);
    return this.#linear(this.shape.segmentUse, () => this.operandSegment(), offset, write, width);
  }

  #segmentUse(segment: number): SegmentUse {
    if (segment < 0) return this.shape.segmentUse;
    const { long, flat } = this.shape.context;
    if (segment === FS || segment === GS) return long ? "based" : "checked";
    return long || flat ? "flat" : "checked";
  }

  #linearIn(segment: number, offset: Value, write: boolean, width: number): Value {
    const pointer = () =>
      segment < 0 ? this.operandSegment() : this.f.i32(this.vcpu + SEGMENTS + segment * SEGMENT_SIZE);
    return this.#linear(this.#segmentUse(segment), pointer, offset, write, width);
  }

  #linear(use: SegmentUse, pointer: () => Value, offset: Value, write: boolean, width: number): Value {
    if (use === "flat") return offset;
    const f = this.f;
    const segment = pointer();
    if (use === "checked") {
      const min = f.load("i64.32u", segment, write ? SEGMENT.writeMin : SEGMENT.readMin);
      const max = f.load("i64.32u", segment, write ? SEGMENT.writeMax : SEGMENT.readMax);
      const last = offset.add(Math.max(width / 8 - 1, 0));
      const stack = segment.eq(this.vcpu + SEGMENTS + SS * SEGMENT_SIZE);
      f.ifRare(offset.ltU(min).or(last.gtU(max)), () => {
        this.raiseVector(f.i32(VECTOR.SS).when(stack, VECTOR.GP), 0);
      });
    }
    const linear = offset.add(f.load("i64", segment, SEGMENT.base));
    return use === "checked" ? linear.and(0xffffffffn) : linear;
  }

  load(segment: number, offset: Value, width: number): Value {
    return this.memory.load(this.#linearIn(segment, offset, false, width), width, this.#onStack(segment));
  }

  store(segment: number, offset: Value, width: number, value: Value): void {
    const linear = this.#linearIn(segment, offset, true, width);
    this.memory.store(linear, width, this.#fit(value, width), this.#onStack(segment));
  }

  modify(segment: number, offset: Value, width: number, change: (old: Value) => Value): void {
    const linear = this.#linearIn(segment, offset, true, width);
    this.memory.update(linear, width, (old) => this.#fit(change(old), width), false, this.#onStack(segment));
  }

  span(segment: number, offset: Value, bytes: Value, write: boolean): { linear: Value; bytes: Value } {
    const use = this.#segmentUse(segment);
    // Without a segment offsets wrap around at the end of a page, up to which runs of accesses go at most.
    if (use === "flat") return { linear: offset, bytes };
    const f = this.f;
    const pointer = segment < 0 ? this.operandSegment() : f.i32(this.vcpu + SEGMENTS + segment * SEGMENT_SIZE);
    let last: Value | undefined;
    if (this.addressSize !== 64) last = f.i64(this.addressSize === 16 ? 0xffff : 0xffff_ffffn);
    let outside: Value | undefined;
    if (use === "checked") {
      const min = f.load("i64.32u", pointer, write ? SEGMENT.writeMin : SEGMENT.readMin);
      const max = f.load("i64.32u", pointer, write ? SEGMENT.writeMax : SEGMENT.readMax);
      last = last ? last.when(last.ltU(max), max) : max;
      outside = offset.ltU(min).or(offset.gtU(max));
    }
    const linear = offset.add(f.load("i64", pointer, SEGMENT.base));
    let within = bytes;
    if (last) {
      const room = last.sub(offset).add(1);
      within = bytes.when(bytes.extendU().ltU(room), room.wrap());
    }
    return {
      linear: use === "checked" ? linear.and(0xffffffffn) : linear,
      bytes: outside ? within.literal(0).when(outside, within) : within,
    };
  }

  checkAligned(operand: Operand, bytes: number): void {
    if (!operand.isMemory) return;
    // Before the segment's limit is looked at, which may be #SS.
    this.raiseIf(
      this.linearAddress(operand)
        .wrap()
        .and(bytes - 1),
      "GP",
      0,
    );
  }

  xmm(index: number): Value {
    return this.f.load("v128", 0, this.vcpu + XMM + index * 32);
  }
  setXmm(index: number, value: Value): void {
    this.f.store("v128", 0, value, this.vcpu + XMM + index * 32);
  }

  #stateAddress(field: StateField): { address: number; type: "i32" | "i64" } {
    switch (field) {
      case "fsBase":
        return { address: this.vcpu + SEGMENTS + FS * SEGMENT_SIZE + SEGMENT.base, type: "i64" };
      case "gsBase":
        return { address: this.vcpu + SEGMENTS + GS * SEGMENT_SIZE + SEGMENT.base, type: "i64" };
      case "esSelector":
      case "csSelector":
      case "ssSelector":
      case "dsSelector":
      case "fsSelector":
      case "gsSelector": {
        const index = ["es", "cs", "ss", "ds", "fs", "gs"].indexOf(field.slice(0, 2));
        return { address: this.vcpu + SEGMENTS + index * SEGMENT_SIZE + SEGMENT.selector, type: "i32" };
      }
      case "simdResult":
        return { address: this.vcpu + RESULT, type: "i64" };
      case "fpu":
        return { address: this.vcpu + FPU, type: "i64" };
      default:
        return { address: fieldAddress(this.vcpu, field), type: fieldType(field) };
    }
  }
  state(field: StateField): Value {
    const { address, type } = this.#stateAddress(field);
    return this.f.load(type, 0, address);
  }
  setState(field: StateField, value: Value | number | bigint): void {
    const { address, type } = this.#stateAddress(field);
    this.f.store(type, 0, value, address);
  }
  slot(what: Operand | StateField): Value {
    if (typeof what === "string") return this.f.i32(this.#stateAddress(what).address);
    return this.registerPointer(what as BoundOperand);
  }
  loadState(type: LoadKind, pointer: Value, offset = 0): Value {
    return this.f.load(type, pointer, offset);
  }
  storeState(type: StoreKind, pointer: Value, value: Value, offset = 0): void {
    this.f.store(type, pointer, value, offset);
  }

  get stackSize(): OperandSize {
    const { long, stack32 } = this.shape.context;
    return long ? 64 : stack32 ? 32 : 16;
  }
  push(value: Value, width: number): void {
    const size = this.stackSize;
    const pointer = this.register(RSP, size).sub(width / 8);
    this.store(SS, pointer.extendU().zeroExtend(size), width, value);
    this.setRegister(RSP, size, pointer);
  }
  pop(width: number): { value: Value; commit(): void } {
    const size = this.stackSize;
    const pointer = this.register(RSP, size);
    const value = this.load(SS, pointer.extendU(), width);
    return { value, commit: () => this.setRegister(RSP, size, this.register(RSP, size).add(width / 8)) };
  }

  flag(flag: Flag): Value {
    return this.flags.flag(flag);
  }
  condition(code: number): Value {
    return this.flags.condition(code);
  }
  flagsAdd(a: Value, b: Value, result: Value, width: number, options?: ArithmeticFlags): void {
    this.flags.add(a, b, result, width, options);
  }
  flagsSub(a: Value, b: Value, result: Value, width: number, options?: ArithmeticFlags): void {
    this.flags.sub(a, b, result, width, options);
  }
  flagsLogic(result: Value, width: number): void {
    this.flags.logic(result, width);
  }
  flagsResult(result: Value, width: number, carry: Value, overflow: Value, auxiliary?: Value): void {
    this.flags.result(result, width, carry, overflow, auxiliary);
  }
  setFlags(flags: Partial<Record<Flag, Value>>): void {
    this.flags.set(flags);
  }
  getEflags(): Value {
    const direction = this.state("direction").shrU(31).shl(10);
    return this.flags.packed().or(direction).or(this.state("eflagsSystem"));
  }

  if(condition: Value, then: () => void, otherwise?: () => void): void {
    this.f.if(condition, then, otherwise);
  }
  ifRare(condition: Value, then: () => void): void {
    this.f.ifRare(condition, then);
  }
  rarely(condition: Value, slow: () => void, usual: () => void): void {
    this.f.if(condition, slow, usual, "unlikely");
  }
  loop(body: (leaveIf: (condition: isa.Value) => void) => void): void {
    this.f.block((end: Label) => {
      this.f.loop((again: Label) => {
        body((condition) => this.f.branchIf(end, condition as Value));
        this.f.branch(again);
      });
    });
  }

  protected setExit(reason: number): void {
    this.f.store("i32", 0, reason, fieldAddress(this.vcpu, "exit"));
  }
  /** Ends the instruction with an exception. */
  protected abstract raiseVector(vector: Value, errorCode: isa.Argument): void;
  raise(exception: Exception, errorCode: isa.Argument = 0): void {
    this.raiseVector(this.f.i32(VECTOR[exception]), errorCode);
  }
  raiseIf(condition: Value, exception: Exception, errorCode: isa.Argument = 0): void {
    this.f.ifRare(condition, () => this.raise(exception, errorCode));
  }
  requireCpl0(): void {
    this.raiseIf(this.state("cpl"), "GP", 0);
  }

  abstract call(name: string, ...args: isa.Argument[]): Value;

  /** Builds the instruction: what its unit and privilege ask for, then its meaning. */
  protected buildInstruction({ instruction, operands }: Form): void {
    this.#isLocked = this.shape.lock || instruction.lock === "implicit";
    if (instruction.privileged) this.requireCpl0();
    if (instruction.unit) this.checkUnit(instruction.unit);
    const bound = operands.map((spec, i) => this.bind(spec, i));
    instruction.meaning(this, ...bound);
    if (instruction.unit === "mmx") this.#leaveMmx(NONE_EMPTY);
    else if (instruction.unit === "emms") this.#leaveMmx(ALL_EMPTY);
  }

  protected bind(spec: OperandSpec, position: number): BoundOperand {
    void position;
    return bindOperand(spec, this.shape.memory, this.shape.operandSize);
  }

  /** What every MMX instruction does to the x87 state. @spec SDM 1, 9.6.2 */
  #leaveMmx(tags: number): void {
    this.setState("fpuTop", 0);
    this.setState("fpuTag", tags);
  }

  protected checkUnit(unit: NonNullable<Instruction["unit"]>): void {
    const { field, code } = UNIT_TRAPS[unit];
    this.f.ifRare(this.f.load("i32", 0, fieldAddress(this.vcpu, field)), () => this.unitTrap(code));
  }
  /** The unit with this number (isa/control.ts, UNIT_TRAP) must be looked at by hand. */
  protected abstract unitTrap(code: number): void;

  checkTarget(ip: Value): void {
    const { long, flat } = this.shape.context;
    if (long) {
      this.raiseIf(ip.shl(16).shrS(16).ne(ip), "GP", 0);
    } else if (!flat) {
      const limit = this.f.load("i64.32u", 0, this.vcpu + CS_LIMIT);
      this.raiseIf(ip.gtU(limit), "GP", 0);
    }
  }

  jumpIf(condition: Value, target: Operand): void {
    this.jump(this.target(target).when(condition, this.nextIp()));
  }
}
