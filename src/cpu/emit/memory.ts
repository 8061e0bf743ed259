/**
 * Guest memory accesses: the software TLB looked up in line, and calls to the functions of src/cpu/mmu
 * where it has no answer (first touch, device memory, page crossing, pages with decoded code, faults).
 */
import type { Callee, FunctionBuilder } from "../../wasm/function.ts";
import { LOADS, type LoadKind } from "../../wasm/opcodes.ts";
import type { Operand, Value } from "../../wasm/value.ts";
import { fieldAddress, RAM_BASE, SCRATCH, TLB, TLB_ENTRIES, TLB_ENTRY, TLB_INDEX_SHIFT } from "../state.ts";
import { LOAD, lockedUpdate, plainUpdate, storeKind } from "./host-access.ts";

/** The slow paths, in the module under construction. */
export interface MemoryFunctions {
  /** (record, linear, bytes) → value; a fault sets `exit`. */
  readonly slowLoad: Callee;
  /** (record, linear, bytes, value). */
  readonly slowStore: Callee;
  /** (record, linear): 16 bytes to or from SCRATCH. */
  readonly slowLoad128: Callee;
  readonly slowStore128: Callee;
  /** (record, linear, bytes) → address of the bytes to change, SCRATCH where they cannot be changed in place. */
  readonly beginUpdate: Callee;
  /** (linear, bytes): writes SCRATCH back. */
  readonly endUpdate: Callee;
  /** After a fault that may mean #SS. */
  readonly stackFault: Callee;
}

/** Whether an access is to the stack segment (i32), as far as it makes a difference: built in cold code only. */
export type OnStack = (() => Operand) | undefined;

/** Guest memory as an instruction's code reads and writes it. */
export interface MemoryUnit {
  /** Reads `width` bits: up to 32 as i32, zero-extended, unless `kind` says otherwise. */
  load(linear: Value, width: number, onStack?: OnStack, kind?: LoadKind): Value;
  /** Writes `width` bits of an integer or vector, or a number. */
  store(linear: Value, width: number, value: Value, onStack?: OnStack): void;
  /** Reads, changes and writes in one go; faults as a write before `change` runs. Atomic where it is locked. */
  update(linear: Value, width: number, change: (old: Value) => Value, isLocked: boolean, onStack?: OnStack): void;
}

/** A number's bits; other values as they are. */
export function toBits(value: Value): Value {
  if (value.type === "f64") return value.op("i64.reinterpret_f64");
  return value.type === "f32" ? value.op("i32.reinterpret_f32") : value;
}

const ZEROS: readonly number[] = Array(16).fill(0);

/** Address of the entry of the TLB at `tlb` (i32) that `linear` (i64) belongs in. */
export function tlbEntry(tlb: Value, linear: Value): Value {
  return tlb.add(
    linear
      .wrap()
      .shrU(TLB_INDEX_SHIFT)
      .and((TLB_ENTRIES - 1) * TLB_ENTRY),
  );
}

/** i32: whether the whole access lies in the page that `entry` maps for it, by the tag at `tag` (TLB.read, ...). */
export function tlbHit(f: FunctionBuilder, entry: Value, linear: Value, bytes: number, tag: number): Value {
  return f
    .load("i64", entry, tag)
    .xor(linear)
    .leU(4096 - bytes);
}

/** What `entry` has for a tag where there is no page (i64): `noPage` of state.ts. */
export function noPageOf(entry: Value): Value {
  return entry.xor(TLB_ENTRY).shl(TLB_INDEX_SHIFT).extendU();
}

/** Where in the shared memory the byte at a physical address (i32) of RAM or ROM is: `hostAddress` of state.ts. */
export function hostAddressOf(physical: Value): Value {
  return physical.add(RAM_BASE);
}

/** Physical address (i32) of the byte of RAM or ROM at a place in the shared memory. */
export function physicalAt(host: Value): Value {
  return host.sub(RAM_BASE);
}

/** Where in the shared memory the byte at `linear` is that `entry` maps. */
export function tlbAddress(f: FunctionBuilder, entry: Value, linear: Value): Value {
  return linear.wrap().add(f.load("i32", entry, TLB.addend));
}

export class GuestAccess implements MemoryUnit {
  readonly #f: FunctionBuilder;
  readonly #vcpu: number;
  readonly #functions: MemoryFunctions;
  readonly #record: () => Operand;
  readonly #returnIfFaulted: () => void;
  readonly #written: ((address: Value) => void) | undefined;

  constructor(options: {
    f: FunctionBuilder;
    vcpu: number;
    functions: MemoryFunctions;
    /** The record of the instruction at hand, for precise faults. */
    record: () => Operand;
    /** Leaves the function where `exit` is set. */
    returnIfFaulted: () => void;
    /** Told the place in the shared memory of what was written there. */
    written?: ((address: Value) => void) | undefined;
  }) {
    this.#f = options.f;
    this.#vcpu = options.vcpu;
    this.#functions = options.functions;
    this.#record = options.record;
    this.#returnIfFaulted = options.returnIfFaulted;
    this.#written = options.written;
  }

  #entry(linear: Value): Value {
    return tlbEntry(this.#f.load("i32", 0, fieldAddress(this.#vcpu, "tlb")), linear);
  }

  load(linear: Value, width: number, onStack?: OnStack, kind = LOAD[width] as LoadKind): Value {
    const f = this.#f;
    const bytes = width / 8;
    const { type } = LOADS[kind];
    const result = f.variable(type);
    const entry = this.#entry(linear);
    f.if(
      tlbHit(f, entry, linear, bytes, TLB.read),
      () => result.set(f.load(kind, tlbAddress(f, entry, linear))),
      () => {
        if (width === 128) {
          f.call(this.#functions.slowLoad128, this.#record(), linear);
          this.#afterSlow(onStack);
          result.set(f.load("v128", 0, this.#vcpu + SCRATCH));
        } else {
          const value = f.call(this.#functions.slowLoad, this.#record(), linear, bytes);
          this.#afterSlow(onStack);
          if (type === "v128") result.set(f.v128(ZEROS).lane("i64x2.replace_lane", 0, value));
          else if (type === "f64") result.set(value.op("f64.reinterpret_i64"));
          else if (type === "f32") result.set(value.wrap().op("f32.reinterpret_i32"));
          else if (kind === "i32.8s" || kind === "i32.16s") result.set(value.wrap().signExtend(width));
          else result.set(width === 64 ? value : value.wrap());
        }
      },
      "likely",
    );
    return result.get();
  }

  #afterSlow(onStack: OnStack): void {
    const f = this.#f;
    if (onStack) {
      const condition = onStack();
      if (typeof condition === "number") f.call(this.#functions.stackFault);
      else {
        f.if(condition as Value, () => {
          f.call(this.#functions.stackFault);
        });
      }
    }
    this.#returnIfFaulted();
  }

  store(linear: Value, width: number, value: Value, onStack?: OnStack): void {
    const f = this.#f;
    const bytes = width / 8;
    const entry = this.#entry(linear);
    f.if(
      tlbHit(f, entry, linear, bytes, TLB.write),
      () => {
        const address = tlbAddress(f, entry, linear);
        f.store(storeKind(value, width), address, value);
        this.#written?.(address);
      },
      () => {
        if (width === 128) {
          f.store("v128", 0, value, this.#vcpu + SCRATCH);
          f.call(this.#functions.slowStore128, this.#record(), linear);
        } else {
          f.call(this.#functions.slowStore, this.#record(), linear, bytes, toBits(value).extendU());
        }
        this.#afterSlow(onStack);
      },
      "likely",
    );
  }

  update(linear: Value, width: number, change: (old: Value) => Value, isLocked: boolean, onStack?: OnStack): void {
    const f = this.#f;
    const bytes = width / 8;
    const scratch = this.#vcpu + SCRATCH;
    const address = f.variable("i32");
    const entry = this.#entry(linear);
    f.if(
      tlbHit(f, entry, linear, bytes, TLB.write),
      () => address.set(tlbAddress(f, entry, linear)),
      () => {
        address.set(f.call(this.#functions.beginUpdate, this.#record(), linear, bytes));
        this.#afterSlow(onStack);
      },
      "likely",
    );
    const at = address.get();
    if (isLocked) lockedUpdate(f, at, width, change);
    else plainUpdate(f, at, width, change);
    this.#written?.(at);
    f.ifRare(at.eq(scratch), () => {
      f.call(this.#functions.endUpdate, linear, bytes);
    });
  }
}
