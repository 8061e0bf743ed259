/** An instruction's meaning as part of a region: operands known, registers in local variables. */
import { functionSpec } from "../../isa/functions.ts";
import type { Instruction } from "../../isa/instruction.ts";
import type { OperandSpec } from "../../isa/operand.ts";
import {
  ES,
  FS,
  GS,
  type NumberKnowledge,
  type Operand,
  RDI,
  RSI,
  RSP,
  SS,
  type StateField,
} from "../../isa/semantics.ts";
import type { Argument } from "../../isa/value.ts";
import type { Value } from "../../wasm/value.ts";
import type { Decoded, MemoryOperand } from "../decode/decoder.ts";
import { type BoundOperand, WasmSemantics } from "../emit/semantics.ts";
import { segmentUse } from "../interpret/handlers.ts";
import type { InterpretReason } from "../observe/region-counts.ts";
import { FPU, fieldAddress, SEGMENT_SIZE, SEGMENTS } from "../state.ts";
import type { LazyFlags } from "./lazy-flags.ts";
import { NotTranslatable } from "./not-translatable.ts";
import type { RegionFrame } from "./region-frame.ts";
import { RegionMemory } from "./region-memory.ts";

/** How control goes on after an instruction; addresses are distances from the region's start. */
export type Flow =
  | { readonly kind: "next" }
  | { readonly kind: "jump"; readonly to: number }
  | { readonly kind: "branch"; readonly condition: Value; readonly taken: number; readonly next: number }
  | { readonly kind: "indirect"; readonly ip: Value };

/** What an address is made from: registers, or a page where it has none. */
interface Origin {
  readonly name: string;
  readonly registers: readonly number[];
}

function origin(registers: readonly number[], prefix = ""): Origin {
  return { name: prefix + registers.map((index) => `r${index}`).join(""), registers };
}

function originOf({ segment, base, index, displacement, ripRelative }: MemoryOperand, delta: number): Origin {
  const prefix = segment === FS || segment === GS ? `s${segment}` : "";
  const registers = [base, index].filter((register) => register >= 0);
  if (base >= 0) return origin(registers, prefix);
  const page = ripRelative ? `ip${(displacement + delta) >> 12}` : `${displacement >> 12}`;
  return origin(registers, prefix + page);
}

/** The origin of an implicit operand's address: the stack, or the source or destination of a string instruction. */
function implicitOrigin(segment: number): Origin {
  if (segment === SS) return origin([RSP]);
  return origin([segment === ES ? RDI : RSI]);
}

export class RegionInstruction extends WasmSemantics {
  readonly #frame: RegionFrame;
  readonly #decoded: Decoded;
  /** Distance from the region's start. */
  readonly #delta: number;
  readonly #executed: number;
  protected readonly flags: LazyFlags;
  protected readonly memory: RegionMemory;
  #flow: Flow = { kind: "next" };
  /** Where the address of the access at hand comes from. */
  #origin = origin([]);
  #immediates = 0;
  #second: BoundOperand | undefined;
  readonly #targets = new Map<Value, number>();

  constructor(frame: RegionFrame, decoded: Decoded, delta: number, executed: number) {
    const { f, vcpu, linkage, context } = frame;
    const segment = decoded.memory?.segment ?? decoded.segment;
    super({
      f,
      vcpu,
      linkage,
      shape: {
        operandSize: decoded.operandSize,
        addressSize: decoded.addressSize,
        context,
        segmentUse: segmentUse(segment, context),
        memory: decoded.memory !== undefined,
        repeat: decoded.form.instruction.repeat ? decoded.repeat : "none",
        lock: decoded.lock,
        opcodeLow: 0,
      },
    });
    this.#frame = frame;
    this.#decoded = decoded;
    this.#delta = delta;
    this.#executed = executed;
    this.flags = frame.flags;
    this.memory = new RegionMemory({
      f,
      linkage,
      pages: frame.pages,
      keptPage: () => {
        const { name, registers } = this.#origin;
        return (write) => frame.keptPage(name, registers, write);
      },
      isSure: frame.isSure(delta),
      leavesMisses: frame.leavesMisses(delta),
      interpret: () => this.#wayOut(),
      groups: () => (frame.isApart ? undefined : frame.groups),
    });
  }

  /** Builds the instruction where the function under construction stands. @throws NotTranslatable, FlagKindUnknown */
  build(): Flow {
    this.buildInstruction(this.#decoded.form);
    return this.#flow;
  }

  #interpret(reason: InterpretReason): void {
    this.#frame.interpret(this.#delta, this.#executed, reason);
  }
  /** Makes a way out of the region to this instruction, later, with registers and flags as they are now. */
  #wayOut(): (misses: boolean) => void {
    const point = this.#frame.here();
    return (misses) => this.#frame.interpret(this.#delta, this.#executed, "memory", { point, misses });
  }

  protected override bind(spec: OperandSpec, position: number): BoundOperand {
    const bound = super.bind(spec, position);
    if (spec.place === "immediate" && this.#immediates++ > 0) this.#second = bound;
    return bound;
  }

  /** Number of an operand's register. */
  #number({ spec }: BoundOperand): number {
    const decoded = this.#decoded;
    switch (spec.place) {
      case "reg":
        return decoded.reg;
      case "opcode":
        return decoded.opcodeRegister;
      case "vvvv":
        return decoded.vvvv;
      case "fixed":
        return spec.register;
      default:
        return decoded.rm;
    }
  }

  /** Whether an 8-bit register is AH, CH, DH or BH. */
  #isHigh(operand: BoundOperand, number: number): boolean {
    const { place } = operand.spec;
    return operand.width === 8 && place !== "fixed" && place !== "vvvv" && !this.#decoded.rex && number >= 4;
  }

  protected readRegister(operand: BoundOperand): Value {
    const number = this.#number(operand);
    switch (operand.spec.file) {
      case "segment":
        return this.f.i32(number & 7);
      case "control":
      case "debug":
        return this.f.i32(number);
      case "xmm":
        return this.#readXmm(number, operand.width);
      case "mmx":
        return this.f.load(operand.width === 64 ? "i64" : "i32", this.registerPointer(operand));
      case "st":
        return this.f.load("i64", this.registerPointer(operand));
      default:
        if (this.#isHigh(operand, number))
          return this.register(number - 4, 32)
            .shrU(8)
            .and(0xff);
        return this.register(number, operand.width);
    }
  }

  protected writeRegister(operand: BoundOperand, value: Value): void {
    const number = this.#number(operand);
    const { f } = this;
    switch (operand.spec.file) {
      case "xmm":
        this.#writeXmm(number, operand.width, value);
        return;
      case "mmx":
        f.store("i32.16", this.registerPointer(operand), 0xffff, 8);
        if (operand.width === 64) f.store("i64", this.registerPointer(operand), value);
        else f.store("i32", this.registerPointer(operand), value.wrap());
        return;
      case "general":
        if (this.#isHigh(operand, number)) {
          const old = this.#frame.gpr(number - 4);
          const byte = value.wrap().and(0xff).shl(8);
          const placed = old.type === "i64" ? byte.extendU() : byte;
          this.#frame.setGpr(number - 4, old.and(old.type === "i64" ? ~0xff00n : ~0xff00).or(placed));
        } else this.setRegister(number, operand.width, value);
        return;
      default:
        throw new NotTranslatable();
    }
  }

  register(index: number, width: number): Value {
    const all = this.#frame.gpr(index);
    switch (width) {
      case 64:
        return all.extendU();
      case 32:
        return all.wrap();
      default:
        return all.wrap().and(width === 16 ? 0xffff : 0xff);
    }
  }

  setRegister(index: number, width: number, value: Value): void {
    const frame = this.#frame;
    const wide = frame.registerType === "i64";
    switch (width) {
      case 64:
        frame.setGpr(index, wide ? value.extendU() : value.wrap());
        break;
      case 32:
        frame.setGpr(index, wide ? value.wrap().extendU() : value.wrap());
        break;
      default: {
        const mask = width === 16 ? 0xffff : 0xff;
        const low = value.wrap().and(mask);
        const old = frame.gpr(index);
        frame.setGpr(index, wide ? old.and(~BigInt(mask)).or(low.extendU()) : old.and(~mask).or(low));
      }
    }
  }

  override xmm(index: number): Value {
    return this.#frame.xmm(index);
  }
  override setXmm(index: number, value: Value): void {
    this.#frame.setXmm(index, value);
  }
  override get numbers(): NumberKnowledge {
    return this.#frame.numbers.knowledge(this);
  }
  override setState(field: StateField, value: Value | number | bigint): void {
    super.setState(field, value);
    if (field === "mxcsr") this.#frame.numbers.forget();
  }

  #readXmm(index: number, width: number): Value {
    const all = this.#frame.xmm(index);
    if (width === 128) return all;
    return width === 64 ? all.lane("i64x2.extract_lane", 0) : this.#lowWord(all, width);
  }
  #lowWord(all: Value, width: number): Value {
    const word = all.lane("i32x4.extract_lane", 0);
    return width === 32 ? word : word.and(width === 16 ? 0xffff : 0xff);
  }
  #writeXmm(index: number, width: number, value: Value): void {
    const frame = this.#frame;
    if (width === 128) frame.setXmm(index, value);
    else if (value.type === "f64" || value.type === "f32") {
      const lane = value.type === "f64" ? "f64x2.replace_lane" : "f32x4.replace_lane";
      frame.setXmm(index, frame.xmm(index).lane(lane, 0, value));
    } else if (width === 64) frame.setXmm(index, frame.xmm(index).lane("i64x2.replace_lane", 0, value.extendU()));
    else if (width === 32) frame.setXmm(index, frame.xmm(index).lane("i32x4.replace_lane", 0, value.wrap()));
    else throw new NotTranslatable();
  }

  /** MMX and x87 registers are kept in state memory. */
  protected registerPointer(operand: BoundOperand): Value {
    const number = this.#number(operand);
    switch (operand.spec.file) {
      case "mmx":
        return this.f.i32(this.vcpu + FPU + (number & 7) * 16);
      case "st": {
        const position = operand.spec.place === "st" ? number & 7 : number;
        return this.state("fpuTop")
          .add(position)
          .and(7)
          .shl(4)
          .add(this.vcpu + FPU);
      }
      default:
        throw new NotTranslatable();
    }
  }

  protected immediate(operand: BoundOperand): Value {
    if (operand.spec.place === "one") return this.f.i32(1);
    if (operand === this.#second) return this.f.i32(this.#decoded.second);
    const { immediate } = this.#decoded;
    const constant = operand.width >= 32 ? this.#frame.constant(this.#delta, "immediate") : undefined;
    if (constant) return operand.width === 64 ? constant : constant.wrap();
    if (operand.width === 64) return this.f.i64(immediate);
    return this.f.i32(Number(BigInt.asUintN(operand.width, immediate)) | 0);
  }

  override load(segment: number, offset: Value, width: number): Value {
    this.#origin = implicitOrigin(segment);
    return super.load(segment, offset, width);
  }
  override store(segment: number, offset: Value, width: number, value: Value): void {
    this.#origin = implicitOrigin(segment);
    super.store(segment, offset, width, value);
  }
  override modify(segment: number, offset: Value, width: number, change: (old: Value) => Value): void {
    this.#origin = implicitOrigin(segment);
    super.modify(segment, offset, width, change);
  }

  protected offsetOf(operand: BoundOperand, displacement: Value | number): Value {
    const { addressSize } = this;
    const { memory, immediate, length } = this.#decoded;
    this.#origin = memory ? originOf(memory, this.#delta) : origin([], `${immediate >> 12n}`);
    if (operand.spec.place === "moffs") {
      const offset = this.#frame.constant(this.#delta, "immediate") ?? this.f.i64(immediate);
      return displacement === 0 ? offset : this.#cut(offset.add(displacement));
    }
    if (!memory) throw new NotTranslatable();
    // Addresses of 32 bits are computed as such: nothing is left to cut off then.
    const narrow = addressSize !== 64;
    const register = (index: number) => (narrow ? this.register(index, 32) : this.register(index, 64));
    const constant = narrow ? undefined : this.#frame.constant(this.#delta, "displacement");
    const fixed = (constant ? 0 : memory.displacement) + (typeof displacement === "number" ? displacement : 0);
    let address: Value | undefined = constant;
    if (memory.ripRelative) {
      const ip = this.#frame.start.add(this.#delta + length);
      address = narrow ? ip.wrap() : ip;
    } else if (memory.base >= 0) {
      const base = register(memory.base);
      address = address ? base.add(address) : base;
    }
    if (memory.index >= 0) {
      const scaled = register(memory.index).shl(memory.scale);
      address = address ? address.add(scaled) : scaled;
    }
    if (typeof displacement !== "number") {
      const moved = narrow ? displacement.wrap() : displacement.extendS();
      address = address ? address.add(moved) : moved;
    }
    if (!address) return this.#cut(narrow ? this.f.i32(fixed | 0).extendU() : this.f.i64(fixed));
    address = address.add(narrow ? fixed | 0 : fixed);
    return this.#cut(address.extendU());
  }

  #cut(offset: Value): Value {
    const { addressSize } = this;
    if (addressSize === 64) return offset;
    if (addressSize === 16) return offset.and(0xffffn);
    // An i32 that was extended has no more bits.
    return offset.opcode?.name === "i64.extend_i32_u" ? offset : offset.and(0xffff_ffffn);
  }

  protected operandSegment(): Value {
    const segment = this.#decoded.memory?.segment ?? this.#decoded.segment;
    return this.f.i32(this.vcpu + SEGMENTS + segment * SEGMENT_SIZE);
  }

  thisIp(): Value {
    return this.#frame.ip(this.#delta);
  }
  nextIp(): Value {
    return this.#frame.ip(this.#next);
  }
  get #next(): number {
    return this.#delta + this.#decoded.length;
  }

  target(operand: Operand): Value {
    void operand;
    const { long, code32 } = this.#frame.context;
    // Targets of 16 bits wrap around. In 16-bit code the region's limits exclude that (region-frame.ts).
    if (this.operandSize === 16 && (long || code32)) throw new NotTranslatable();
    const delta = this.#next + Number(this.#decoded.immediate);
    const ip = this.#frame.ip(delta);
    this.#targets.set(ip, delta);
    return ip;
  }

  override checkTarget(ip: Value): void {
    // Direct targets are canonical: see find-block.ts.
    if (this.long && this.#targets.has(ip)) return;
    super.checkTarget(ip);
  }

  jump(ip: Value): void {
    const { long, flat } = this.#frame.context;
    if (!long && !flat) this.checkTarget(ip);
    const to = this.#targets.get(ip);
    this.#flow = to === undefined ? { kind: "indirect", ip } : { kind: "jump", to };
  }
  override jumpIf(condition: Value, target: Operand): void {
    const ip = this.target(target);
    const taken = this.#targets.get(ip) as number;
    const { long, flat } = this.#frame.context;
    if (!long && !flat) this.f.if(condition, () => this.checkTarget(ip));
    this.#flow = { kind: "branch", condition, taken, next: this.#next };
  }
  endBlock(): void {
    this.#flow = { kind: "jump", to: this.#next };
  }

  /** What is translated goes to code where offsets are linear addresses, as they are in 64-bit mode and in flat code. */
  transfer(ip: Value): void {
    if (!this.long && !this.flat) throw new NotTranslatable();
    this.#flow = { kind: "indirect", ip };
  }
  farPointer(): { offset: Value; selector: Value } {
    throw new NotTranslatable();
  }
  /** The interpreter goes on: registers are as of the last element. */
  restart(): void {
    this.#interpret("again");
  }
  protected raiseVector(): void {
    this.#interpret("exception");
  }
  protected unitTrap(): void {
    this.#interpret("unit");
  }
  /** Whether the SSE unit is usable is changed by no instruction that is translated. */
  protected override checkUnit(unit: NonNullable<Instruction["unit"]>): void {
    const { usableUnits } = this.#frame;
    if (usableUnits.has(unit)) return;
    super.checkUnit(unit);
    if (unit === "sse") usableUnits.add(unit);
  }

  call(name: string, ...args: Argument[]): Value {
    const spec = functionSpec(name);
    if ((spec.in === "host" && !spec.pure) || spec.changesMode) throw new NotTranslatable();
    const { f } = this;
    // The host may ask how many instructions have run, and may ask for control.
    if (spec.pure) this.#frame.storeBudget(this.#executed);
    const result = f.call(this.linkage.callee(name), ...(args as (Value | number | bigint)[]));
    if (spec.pure) this.#frame.loadBudget(this.#executed);
    if (spec.faults) {
      const exit = fieldAddress(this.vcpu, "exit");
      f.ifRare(f.load("i32", 0, exit), () => {
        f.store("i32", 0, 0, exit);
        this.#interpret("rare case");
      });
    }
    if (spec.changesAccess) {
      this.#frame.loadPages();
      this.#frame.groups.split();
    }
    return result;
  }

  override rarely(condition: Value, slow: () => void, usual: () => void): void {
    void slow;
    this.f.ifRare(condition, () => this.#interpret("rare case"));
    usual();
  }

  /** Where only one way sets flags, both keep them in the same form. */
  override if(condition: Value, then: () => void, otherwise?: () => void): void {
    const { f, flags } = this;
    if (condition.constant !== undefined) {
      (Number(condition.constant) !== 0 ? then : otherwise)?.();
      return;
    }
    const before = flags.state;
    const first = f.detached(() => this.#frame.apart(then));
    const afterFirst = flags.state;
    flags.state = before;
    const second = f.detached(() => this.#frame.apart(otherwise ?? (() => {})));
    const afterSecond = flags.state;
    if (afterFirst === before && afterSecond === before) {
      f.if(condition, () => f.place(first), otherwise && (() => f.place(second)));
      return;
    }
    const way = (body: typeof first, state: typeof before) => () => {
      f.place(body);
      flags.state = state;
      flags.keepWords();
    };
    f.if(condition, way(first, afterFirst), way(second, afterSecond));
    flags.state = flags.fromKeptWords();
  }

  /** What rarely happens changes no registers and flags. */
  override ifRare(condition: Value, then: () => void): void {
    const { state } = this.flags;
    super.ifRare(condition, () => this.#frame.apart(then));
    if (this.flags.state !== state) throw new NotTranslatable();
  }

  override loop(body: Parameters<WasmSemantics["loop"]>[0]): void {
    const before = this.flags.state;
    this.#frame.apart(() => super.loop(body), true);
    if (this.flags.state !== before) throw new NotTranslatable();
  }

  override slot(what: Parameters<WasmSemantics["slot"]>[0]): Value {
    if (typeof what !== "string") {
      const { file } = (what as BoundOperand).spec;
      if (file === "general" || file === "xmm") throw new NotTranslatable();
    }
    return super.slot(what);
  }
}
