/**
 * Status flags in a form that costs little to make and little to read. Three words hold all six:
 *
 *   flagResult (i64)  the result, sign-extended: ZF is "zero", SF is the sign, PF the parity of the low byte
 *   flagCarry  (i32)  carries out of the top bits, left-aligned: CF is bit 31, OF is bit 31 ^ bit 30
 *   flagAux    (i32)  bit 3 is AF; bit 0 flips SF and bits 8–15 flip the byte that PF is taken from, so that
 *                     combinations that no result has can be stored
 *
 * The idea of keeping the carry vector is Darek Mihocka's and Stanislav Shwartsman's ("Virtualization
 * Without Direct Execution", 2008).
 */
import type { ArithmeticFlags, Flag } from "../../isa/semantics.ts";
import type { FunctionBuilder } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";

/** Where the three words are kept: state memory, or locals of a region. */
export interface FlagStore {
  getResult(): Value;
  getCarry(): Value;
  getAux(): Value;
  setResult(value: Value): void;
  setCarry(value: Value): void;
  setAux(value: Value): void;
  /** Clears carry and aux at once. */
  clearCarryAux(): void;
}

/** The status flags as an instruction's code reads and sets them. */
export interface FlagUnit {
  add(a: Value, b: Value, result: Value, width: number, options?: ArithmeticFlags): void;
  sub(a: Value, b: Value, result: Value, width: number, options?: ArithmeticFlags): void;
  logic(result: Value, width: number): void;
  result(result: Value, width: number, carry: Value, overflow: Value, auxiliary?: Value): void;
  /** SF, ZF, CF, ... as i32, 0 or 1. */
  flag(flag: Flag): Value;
  /** Condition 0–15 as i32, not zero where it holds. @spec SDM 1, appendix B */
  condition(code: number): Value;
  /** Sets the given flags (i32, 0 or 1 each) and leaves the others. */
  set(flags: Partial<Record<Flag, Value>>): void;
  /** CF, bit 1, PF, AF, ZF, SF and OF in their places in RFLAGS. */
  packed(): Value;
}

export class Flags implements FlagUnit {
  readonly #f: FunctionBuilder;
  readonly #store: FlagStore;

  constructor(f: FunctionBuilder, store: FlagStore) {
    this.#f = f;
    this.#store = store;
  }

  /** Carry-out bits of an addition or borrow bits of a subtraction, as an i32 with bit `width` - 1 on top. */
  #carries(vector: Value, width: number): { carry: Value; aux: Value } {
    const aux = vector.wrap().and(8);
    const top = width === 64 ? vector.shrU(32).wrap() : width === 32 ? vector : vector.shl(32 - width);
    return { carry: top, aux };
  }

  #setResult(result: Value, width: number): void {
    const narrow = width === 64 ? result : result.wrap().signExtend(width).extendS();
    this.#store.setResult(narrow);
  }

  #setCarries(vector: Value, width: number, keepCarry: boolean | undefined): void {
    const { carry, aux } = this.#carries(vector, width);
    if (keepCarry) {
      const old = this.flag("c");
      const overflow = carry.shrU(31).xor(carry.shrU(30).and(1));
      this.#store.setCarry(this.#pair(old, overflow));
    } else {
      this.#store.setCarry(carry);
    }
    this.#store.setAux(aux);
  }

  /** The carry word for a CF and an OF, each 0 or 1. */
  #pair(carry: Value, overflow: Value): Value {
    return carry.shl(31).or(carry.xor(overflow).shl(30));
  }

  add(a: Value, b: Value, result: Value, width: number, options?: ArithmeticFlags): void {
    this.#setCarries(a.and(b).or(a.or(b).and(result.not())), width, options?.keepCarry);
    this.#setResult(result, width);
  }

  sub(a: Value, b: Value, result: Value, width: number, options?: ArithmeticFlags): void {
    this.#setCarries(a.not().and(b).or(a.not().or(b).and(result)), width, options?.keepCarry);
    this.#setResult(result, width);
  }

  logic(result: Value, width: number): void {
    this.#setResult(result, width);
    this.#store.clearCarryAux();
  }

  result(result: Value, width: number, carry: Value, overflow: Value, auxiliary?: Value): void {
    this.#store.setCarry(this.#pair(carry, overflow));
    this.#store.setAux(auxiliary ? auxiliary.shl(3) : this.#f.i32(0));
    this.#setResult(result, width);
  }

  /** SF as i32, 0 or 1. */
  #sign(): Value {
    return this.#store.getResult().shrU(63).wrap().xor(this.#store.getAux().and(1));
  }

  flag(flag: Flag): Value {
    switch (flag) {
      case "c":
        return this.#store.getCarry().shrU(31);
      case "o": {
        const carry = this.#store.getCarry();
        return carry.xor(carry.shl(1)).shrU(31);
      }
      case "z":
        return this.#store.getResult().eqz();
      case "s":
        return this.#sign();
      case "a":
        return this.#store.getAux().shrU(3).and(1);
      case "p": {
        const byte = this.#store.getResult().wrap().xor(this.#store.getAux().shrU(8));
        return byte.and(0xff).popcnt().and(1).xor(1);
      }
    }
  }

  condition(code: number): Value {
    const positive = (): Value => {
      switch (code >> 1) {
        case 0:
          return this.flag("o");
        case 1:
          return this.flag("c");
        case 2:
          return this.flag("z");
        case 3:
          return this.flag("c").or(this.flag("z"));
        case 4:
          return this.flag("s");
        case 5:
          return this.flag("p");
        case 6:
          return this.flag("s").xor(this.flag("o"));
        default:
          return this.flag("s").xor(this.flag("o")).or(this.flag("z"));
      }
    };
    return code & 1 ? positive().eqz() : positive();
  }

  /** Sets all six flags (i32, 0 or 1 each). */
  setAll(flags: Record<Flag, Value>): void {
    this.#store.setCarry(this.#pair(flags.c, flags.o));
    // The result is 0 for ZF and 1 otherwise; its sign is plus and its parity that of 0 or 1.
    const result = flags.z.xor(1);
    const flip = flags.p.xor(1).xor(result);
    this.#store.setAux(flags.a.shl(3).or(flags.s).or(flip.shl(8)));
    this.#store.setResult(result.extendU());
  }

  set(flags: Partial<Record<Flag, Value>>): void {
    const { c, p, a, z, s, o } = flags;
    if (p === undefined && z === undefined && s === undefined) {
      if (c !== undefined || o !== undefined) {
        const carry = c ?? this.flag("c");
        const overflow = o ?? this.flag("o");
        this.#store.setCarry(this.#pair(carry, overflow));
      }
      if (a !== undefined) this.#store.setAux(this.#store.getAux().and(~8).or(a.shl(3)));
      return;
    }
    const all: Record<Flag, Value> = {
      c: c ?? this.flag("c"),
      p: p ?? this.flag("p"),
      a: a ?? this.flag("a"),
      z: z ?? this.flag("z"),
      s: s ?? this.flag("s"),
      o: o ?? this.flag("o"),
    };
    this.setAll(all);
  }

  packed(): Value {
    return this.flag("c")
      .or(2)
      .or(this.flag("p").shl(2))
      .or(this.flag("a").shl(4))
      .or(this.flag("z").shl(6))
      .or(this.flag("s").shl(7))
      .or(this.flag("o").shl(11));
  }
}
