/**
 * What all instructions of a region share while its function is built: local variables for the guest's registers,
 * the way in, and the two kinds of way out. Each way out stores what may have been written by then, by itself: were that done
 * at one place, V8 would have to bring the variables of all ways together there, which takes more code than the stores do.
 */
import { generalName } from "../../isa/register-names.ts";
import { RSP } from "../../isa/semantics.ts";
import type { FunctionBuilder, Label, Variable } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";
import type { AddressFields } from "../decode/address-fields.ts";
import type { CodeContext, Linkage } from "../emit/semantics.ts";
import { flagMemory } from "../interpret/handler.ts";
import type { InterpretReason, LeaveReason, RegionCountBuilder } from "../observe/region-counts.ts";
import { CS_BASE, CS_LIMIT, fieldAddress, GPR, REGION, regionConstant, XMM } from "../state.ts";
import { AccessGroups } from "./access-groups.ts";
import { type FlagState, type FlagVariables, flagVariables, LazyFlags } from "./lazy-flags.ts";
import { gprBit, NodeFacts, neededFirst, type Point, writtenAt, xmmBit } from "./node-facts.ts";
import { Positions } from "./positions.ts";
import { type Destination, RegionExits } from "./region-exits.ts";
import type { KeptPlace, PageLookup } from "./region-memory.ts";
import { RegionNumbers } from "./region-numbers.ts";
import { parkedFlags } from "./ways-out.ts";

/** A way out that is built when it is known what comes before it. */
interface LateWay {
  readonly place: Label;
  readonly build: () => void;
}

export interface FrameOptions {
  readonly f: FunctionBuilder;
  readonly vcpu: number;
  readonly context: CodeContext;
  readonly linkage: Linkage;
  /**
   * What is kept for accesses to addresses from `origin`, for reads or for writes; undefined where that was found to
   * change too often. `isLoaded`: they come from memory, one after the other.
   */
  keptPage(origin: string, write: boolean, isLoaded: boolean): KeptPlace | undefined;
  /** Number of the constant that the record has for a field of the instruction at a distance, where it has one. */
  constant(delta: number, what: keyof AddressFields): number | undefined;
  /** Whether what the instruction at a distance looks for is nearly always found, as far as is known. */
  isSure(delta: number): boolean;
  /** What the region counts of itself; nothing unless given. */
  readonly counts?: RegionCountBuilder | undefined;
  /** Gets what the code is about, where it is to be listed. */
  readonly about?: CodeAbout | undefined;
}

export interface CodeAbout {
  /** What parts of the code belong to (FunctionBuilder.mark). */
  readonly notes: string[];
  /** What local variables hold, by number. */
  readonly locals: Map<number, string>;
}

/** Where and why a region is left for other code. */
export interface WayOut extends Destination {
  /** Distance of the last instruction before it. */
  readonly from: number;
  readonly reason: LeaveReason;
}

export class RegionFrame {
  readonly f: FunctionBuilder;
  readonly vcpu: number;
  readonly context: CodeContext;
  readonly linkage: Linkage;
  readonly flags: LazyFlags;
  /** Offset in the code segment that the region was entered at (i64). */
  readonly start: Value;
  readonly #tlb: Variable;
  readonly #pageKey: Variable;
  readonly #keptPages = new Map<string, KeptPlace | undefined>();
  readonly #options: FrameOptions;
  readonly #gprs: (Variable | undefined)[] = [];
  readonly #xmms: (Variable | undefined)[] = [];
  /** What XMM registers hold within the node at hand, as the values that were put there. */
  #xmmValues: (Value | undefined)[] = [];
  readonly numbers: RegionNumbers;
  readonly groups: AccessGroups;
  readonly #positions = new Positions();
  #isApart = false;
  /** Units that the node at hand has found to be usable. */
  readonly usableUnits = new Set<string>();
  readonly #flagVariables: FlagVariables;
  readonly #budget: Variable;
  /** The budget when the region was entered. */
  readonly #granted: Variable;
  /** Instructions that have run, where that is counted. */
  readonly #ran: Variable | undefined;
  readonly #exitIp: Variable;
  readonly #exits: RegionExits;
  /** Of the node at hand, and of all. */
  #facts = new NodeFacts();
  readonly #allFacts: NodeFacts[] = [];
  /** Places that ways out are from. */
  readonly #points: Point[] = [];
  /** Points within code that runs repeatedly, which is being built. */
  #repeated: Point[] | undefined;
  readonly #lateWays: LateWay[] = [];
  readonly pages: PageLookup = {
    tlb: () => this.#tlb.get(),
    key: () => this.#pageKey.get(),
    clock: () => this.#clock(),
  };

  constructor(options: FrameOptions) {
    const { f, vcpu, context, linkage } = options;
    this.f = f;
    this.vcpu = vcpu;
    this.context = context;
    this.linkage = linkage;
    this.start = f.load("i64", 0, fieldAddress(vcpu, "ip"));
    this.#options = options;
    this.#tlb = f.variable("i32");
    this.#pageKey = f.variable("i64");
    this.#flagVariables = flagVariables(f);
    this.flags = new LazyFlags(f, this.#flagVariables, flagMemory(f, vcpu));
    this.numbers = new RegionNumbers(f);
    this.groups = new AccessGroups(f, this.#positions);
    this.#budget = f.variable("i32");
    this.#granted = f.variable("i32");
    this.#ran = options.counts && f.variable("i32");
    this.#exitIp = f.variable("i64");
    this.#exits = new RegionExits({
      ...{ f, vcpu, context, linkage },
      ip: (delta) => this.ip(delta),
      stack: () => this.#gprs[RSP]?.get(),
      budget: () => this.#budget.get(),
    });
  }

  /** Where general registers are kept: all 64 bits in 64-bit mode, else 32, as the upper halves are out of reach. */
  get registerType(): "i32" | "i64" {
    return this.context.long ? "i64" : "i32";
  }

  gpr(index: number): Value {
    const value = this.#cached(this.#gprs, index, this.registerType).get();
    this.#facts.reads(gprBit(index));
    this.#positions.read(index, value);
    return value;
  }
  setGpr(index: number, value: Value): void {
    this.#cached(this.#gprs, index, this.registerType).set(value);
    this.#facts.write(gprBit(index), !this.#isApart);
    this.#positions.write(index, this.#isApart ? undefined : value);
  }
  xmm(index: number): Value {
    if (this.#xmmValues[index] === undefined) this.#facts.reads(xmmBit(index));
    this.#xmmValues[index] ??= this.#cached(this.#xmms, index, "v128").get();
    return this.#xmmValues[index];
  }
  setXmm(index: number, value: Value): void {
    this.#cached(this.#xmms, index, "v128").set(value);
    this.#facts.write(xmmBit(index), !this.#isApart);
    this.#xmmValues[index] = value;
  }
  /** A node begins: what earlier instructions found does not hold. What will be known of it. */
  beginNode(): NodeFacts {
    this.#xmmValues = [];
    this.usableUnits.clear();
    this.numbers.forget();
    this.groups.begin();
    this.#facts = new NodeFacts();
    this.#allFacts.push(this.#facts);
    return this.#facts;
  }
  /** What makes the node at hand one that has written no more than it has now: what was built since is not placed. */
  rememberFacts(): () => void {
    const { own } = this.#facts;
    const now = { ...own };
    return () => void Object.assign(own, now);
  }
  /** The place at hand, for a way out from there. */
  here(): Point {
    return this.#pointOf(this.#facts, this.flags.state);
  }
  #pointOf(facts: NodeFacts, flags: FlagState): Point {
    const point = facts.here(flags);
    this.#points.push(point);
    this.#repeated?.push(point);
    return point;
  }
  /** Whether code is being built that need not run, or runs repeatedly. */
  get isApart(): boolean {
    return this.#isApart;
  }
  /** Builds code that need not run, or runs repeatedly: values made in it are not there behind it. */
  apart(build: () => void, repeated = false): void {
    const before = this.#xmmValues;
    this.#xmmValues = repeated ? [] : before.slice();
    const wasApart = this.#isApart;
    const outer = this.#repeated;
    if (repeated) this.#repeated = [];
    this.#isApart = true;
    try {
      build();
    } finally {
      this.#isApart = wasApart;
      if (repeated) this.#endRepeated(outer);
    }
    const after = this.#xmmValues;
    this.#xmmValues = repeated ? [] : before.map((value, index) => (after[index] === value ? value : undefined));
  }
  /** What is written anywhere in it may have been at any of its points. */
  #endRepeated(outer: Point[] | undefined): void {
    for (const point of this.#repeated ?? []) point.written |= this.#facts.own.written;
    outer?.push(...(this.#repeated ?? []));
    this.#repeated = outer;
  }
  #cached(file: (Variable | undefined)[], index: number, type: "i32" | "i64" | "v128"): Variable {
    file[index] ??= this.f.variable(type);
    return file[index];
  }

  /** Brings what is looked up in line with the processor's mode. */
  loadPages(): void {
    const { f, vcpu } = this;
    this.#tlb.set(f.load("i32", 0, fieldAddress(vcpu, "tlb")));
    this.#pageKey.set(f.load("i64", 0, fieldAddress(vcpu, "pageKey")));
  }

  isSure(delta: number): boolean {
    return this.#options.isSure(delta);
  }
  /** Whether what the TLB has no answer for is left to the interpreter: not where it is counted why. */
  leavesMisses(delta: number): boolean {
    return this.isSure(delta) && this.#options.counts === undefined;
  }

  /** The record that stands for the region (state.ts, REGION). */
  get #region(): Value {
    return this.f.param(0);
  }

  /** What the record has for a field of the instruction at `delta` (i64); undefined where the field is to be taken as it is. */
  constant(delta: number, what: keyof AddressFields): Value | undefined {
    const number = this.#options.constant(delta, what);
    return number === undefined ? undefined : this.f.load("i64", this.#region.sub(regionConstant(number)));
  }

  /** What is kept for addresses of one origin, made of `registers`. */
  keptPage(origin: string, registers: readonly number[], write: boolean): KeptPlace | undefined {
    const key = `${write ? "write" : "read"} ${origin}`;
    if (!this.#keptPages.has(key)) {
      const loaded = this.#positions.loadedRegisters();
      const isLoaded = registers.some((register) => loaded.has(register));
      this.#keptPages.set(key, this.#options.keptPage(origin, write, isLoaded));
    }
    return this.#keptPages.get(key);
  }

  /** Offset in the code segment at `delta` bytes from the region's start (i64). */
  ip(delta: number): Value {
    const ip = this.start.add(delta);
    return this.context.long ? ip : ip.and(0xffffffffn);
  }

  /** Takes instructions that have run out of the budget. */
  spend(instructions: number): void {
    this.#budget.set(this.#budget.get().sub(instructions));
    this.#ran?.set(this.#ran.get().add(instructions));
  }

  /** What is built from here on belongs to `note`, where code is to be listed. */
  mark(note: () => string): void {
    const { about } = this.#options;
    if (about) this.f.mark(about.notes.push(note()) - 1);
  }

  /** Tells the host of the budget, after `executed` instructions of the node. */
  storeBudget(executed: number): void {
    this.f.store("i32", 0, this.#budget.get().sub(executed), fieldAddress(this.vcpu, "budget"));
  }

  /** Takes over what the host has left of the budget: none, where it asks for control. */
  loadBudget(executed: number): void {
    this.#budget.set(this.f.load("i32", 0, fieldAddress(this.vcpu, "budget")).add(executed));
  }

  /** i32: whether the budget is used up. */
  exhausted(): Value {
    return this.#budget.get().leS(0);
  }

  /** Leaves the region at the end of a node; control goes on at `ip` with whatever code is there. */
  leave(ip: Value, { facts, flags }: { facts: NodeFacts; flags: FlagState }, way: WayOut): void {
    const { f } = this;
    const { from, reason, to } = way;
    this.#options.counts?.exit(f, { delta: from, reason, ...(to === undefined ? {} : { to }) });
    const point = this.#pointOf(facts, flags);
    if (reason === "budget") {
      this.#noteLeft();
      this.#leaveToInterpreter(ip, 0, point, false);
      return;
    }
    this.flags.state = this.flags.known(flags, facts.flagCodes);
    if (this.flags.state.kind === "variables") f.ifRare(this.#flagVariables.code.get(), () => this.storeFlags());
    else this.flags.leave();
    this.#storeWritten(point);
    this.#exitIp.set(ip);
    this.#exits.leave(way);
  }

  /**
   * Leaves the region so that the interpreter goes on at `delta`, after `executed` instructions of the node. `misses`: a page
   * was not found, which is counted where it is not expected.
   */
  interpret(
    delta: number,
    executed: number,
    reason: InterpretReason,
    { point = this.here(), misses = false }: { point?: Point; misses?: boolean } = {},
  ): void {
    const { f } = this;
    const place = f.label("block");
    f.block(() => {}, place);
    this.#lateWays.push({
      place,
      build: () => {
        this.#options.counts?.exit(f, { delta, reason });
        this.#leaveToInterpreter(this.ip(delta), executed, point, misses && this.isSure(delta));
      },
    });
  }

  /** Has flags of an unknown kind stored as the interpreter keeps them. */
  storeFlags(): FlagState {
    const { code, narrow, wide } = this.#flagVariables;
    const args = [code, narrow.a, narrow.b, narrow.r, wide.a, wide.b, wide.r].map((variable) => variable.get());
    this.f.call(this.linkage.callee("storeFlags"), ...args);
    code.set(0);
    return { kind: "memory" };
  }

  /**
   * Builds the function around its body, which is placed by `build`; all code that uses registers has been built by
   * then. `first` and `last` are the lowest and highest offset of its code from the start.
   */
  finish(first: number, last: number, build: () => void): void {
    const { f, vcpu } = this;
    const { counts, about } = this.#options;
    if (about) this.#nameLocals(about.locals);
    this.mark(() => "the way in");
    this.#checkLimits(first, last);
    counts?.entered(f);
    // One instruction was taken from the budget on the way in.
    const granted = f.load("i32", 0, fieldAddress(vcpu, "budget")).add(1);
    this.#budget.set(granted);
    this.#granted.set(granted);
    this.loadPages();
    const wayIn = f.label("block");
    f.block(() => {}, wayIn);
    this.#exits.place(build, (enter, way) => {
      this.mark(() => `the way out, by ${way}`);
      this.#leaveAt(enter);
    });
    for (const { place, build } of this.#lateWays) f.fill(place, build);
    f.fill(wayIn, () => {
      const needed = neededFirst(this.#allFacts, this.#points);
      this.#eachRegister(needed, (variable, address) => variable.set(f.load(variable.type as "i32", 0, address)));
    });
  }

  /** Leaves the region at `exitIp`: `enter` has it go on at a linear address. */
  #leaveAt(enter: (linear: Value) => void): void {
    const { f, vcpu } = this;
    if (this.#ran) this.#options.counts?.left(f, this.#ran.get());
    f.store("i64", 0, this.#exitIp.get(), fieldAddress(vcpu, "ip"));
    if (this.#keepsPages) f.store("i32", this.#region, this.#clock(), REGION.clock);
    enter(this.#linear());
  }

  /** Leaves the region so that the interpreter goes on at `ip`, after `executed` instructions of the node at hand. */
  #leaveToInterpreter(ip: Value, executed: number, point: Point, misses: boolean): void {
    const { f, vcpu } = this;
    this.flags.state = this.flags.known(point.flags, point.facts.flagCodes);
    let code = 0;
    if (this.flags.state.kind === "variables") f.ifRare(this.#flagVariables.code.get(), () => this.storeFlags());
    else code = this.flags.park(parkedFlags(vcpu));
    this.#storeWritten(point);
    if (this.#ran) this.#options.counts?.left(f, this.#ran.get().add(executed));
    const missed = misses ? this.#region : f.i32(0);
    f.returnCall(this.linkage.callee("interpretFrom"), ip, this.#budget.get().sub(executed), f.i32(code), missed);
  }

  /** Stores the registers that may have been written by then. */
  #storeWritten(point: Point): void {
    const { f } = this;
    this.#eachRegister(writtenAt(point), (variable, address) => {
      const value = variable.get();
      if (variable.type === "v128") f.store("v128", 0, value, address);
      else f.store("i64", 0, value.extendU(), address);
    });
  }

  /** A count of the region's instructions, downwards, as of now. */
  #clock(): Value {
    const ran = this.#granted.get().sub(this.#budget.get());
    return this.f.load("i32", this.#region, REGION.clock).sub(ran);
  }

  /** Whether what is kept for its accesses is looked at by that clock: known when all of them are built. */
  get #keepsPages(): boolean {
    return [...this.#keptPages.values()].some((place) => place !== undefined);
  }

  /** Tells whose instructions they were if the budget is found to be used up now. */
  #noteLeft(): void {
    this.f.store("i32", 0, this.#region, fieldAddress(this.vcpu, "lastRegion"));
  }

  /** Leaves code to the interpreter that does not lie in the code segment as a whole. @spec SDM 3A 5.3 */
  #checkLimits(first: number, last: number): void {
    const { f, vcpu, context } = this;
    if (context.long) return;
    const segmentLimit = context.flat ? f.i64(0xffff_ffffn) : f.load("i64.32u", 0, vcpu + CS_LIMIT);
    // Offsets of 16-bit code wrap around.
    const limit = context.code32 ? segmentLimit : segmentLimit.when(segmentLimit.ltU(0xffff), 0xffff);
    const outside = this.start.add(first).ltS(0).or(this.start.add(last).gtS(limit));
    f.ifRare(outside, () => {
      this.#options.counts?.exit(f, { delta: 0, reason: "segment limit" });
      const base = f.load("i64", 0, vcpu + CS_BASE);
      const budget = f.load("i32", 0, fieldAddress(vcpu, "budget"));
      f.store("i32", 0, budget.add(1), fieldAddress(vcpu, "budget"));
      f.returnCall(this.linkage.callee("interpretAt"), this.start.add(base).and(0xffff_ffffn));
    });
  }

  /** Visits those registers of a set that the region has variables for, with their addresses in state memory. */
  #eachRegister(registers: number, visit: (variable: Variable, address: number) => void): void {
    this.#gprs.forEach((variable, index) => {
      if (variable && registers & gprBit(index)) visit(variable, this.vcpu + GPR + index * 8);
    });
    this.#xmms.forEach((variable, index) => {
      if (variable && registers & xmmBit(index)) visit(variable, this.vcpu + XMM + index * 32);
    });
  }

  #nameLocals(locals: Map<number, string>): void {
    const width = this.registerType === "i64" ? 64 : 32;
    this.#gprs.forEach((variable, i) => variable && locals.set(variable.local, generalName(i, width, true)));
    this.#xmms.forEach((variable, i) => variable && locals.set(variable.local, `xmm${i}`));
    const { code, narrow, wide } = this.#flagVariables;
    for (const [name, variable] of Object.entries({
      record: { local: 0 },
      tlb: this.#tlb,
      "page key": this.#pageKey,
      budget: this.#budget,
      granted: this.#granted,
      "exit: ip": this.#exitIp,
      "exit: link": this.#exits.link,
      "flags: kind": code,
      "flags: a": narrow.a,
      "flags: b": narrow.b,
      "flags: result": narrow.r,
      "flags: a, 64 bits": wide.a,
      "flags: b, 64 bits": wide.b,
      "flags: result, 64 bits": wide.r,
    })) {
      locals.set(variable.local, name);
    }
  }

  #linear(): Value {
    const ip = this.#exitIp.get();
    const { long, flat } = this.context;
    if (long || flat) return ip;
    return ip.add(this.f.load("i64", 0, this.vcpu + CS_BASE)).and(0xffff_ffffn);
  }
}
