/** Addition, multiplication, division and square root, exactly and with all exceptions. */
import { declareFunction } from "../../isa/functions.ts";
import type { Callee, FunctionBuilder } from "../../wasm/function.ts";
import type { Value } from "../../wasm/value.ts";
import type { WasmFunctions } from "../wasm-functions.ts";
import {
  DOWN,
  defaultNan,
  exponentOf,
  F32,
  F64,
  flushedOperand,
  fractionMask,
  IE,
  infinity,
  isNan,
  leadingBit,
  magnitude,
  raise,
  roundingMode,
  type SoftFormat,
  shiftRightSticky,
  signed,
  signOf,
  unpacked,
  ZE,
} from "./soft-format.ts";
import { raiseDenormal } from "./soft-round.ts";

for (const { name } of [F32, F64]) {
  const binary = { in: "wasm", params: ["i64", "i64", "i32", "i32"], result: "i64" } as const;
  // The third parameter is exclusive-ored to the second number: its sign bit for a difference.
  declareFunction(`${name}.sum`, { in: "wasm", params: ["i64", "i64", "i64", "i32", "i32"], result: "i64" });
  declareFunction(`${name}.product`, binary);
  declareFunction(`${name}.quotient`, binary);
  declareFunction(`${name}.root`, { in: "wasm", params: ["i64", "i32", "i32"], result: "i64" });
}

interface Operation {
  readonly f: FunctionBuilder;
  readonly format: SoftFormat;
  readonly round: Callee;
  readonly nan: Callee;
  readonly mxcsr: Value;
  readonly raised: Value;
}

type Body = (operation: Operation, a: Value, b: Value) => void;

/** Leaves with an invalid operation's NaN where `condition`. */
function invalidIf({ f, format, raised }: Operation, condition: Value): void {
  f.if(condition, () => {
    raise(f, raised, IE);
    f.return(f.i64(defaultNan(format)));
  });
}

/** Leaves with the NaN that one of the operands is. */
function nanIf({ f, format, nan, raised }: Operation, a: Value, b: Value): void {
  f.if(isNan(format, a).or(isNan(format, b)), () => f.return(f.call(nan, a, b, raised)));
}

function sum(operation: Operation, first: Value, second: Value, flip: Value): void {
  const { f, format, round, mxcsr, raised } = operation;
  const a = flushedOperand(format, first, mxcsr);
  const unflipped = flushedOperand(format, second, mxcsr);
  nanIf(operation, a, unflipped);
  raiseDenormal(f, format, raised, a, unflipped);
  const b = unflipped.xor(flip);
  const swap = magnitude(format, a).ltU(magnitude(format, b));
  const larger = b.when(swap, a);
  const smaller = a.when(swap, b);
  const sign = signOf(format, larger);
  const different = signOf(format, a.xor(b));

  f.if(magnitude(format, larger).eq(infinity(format)), () => {
    invalidIf(operation, different.and(magnitude(format, smaller).eq(infinity(format))));
    f.return(larger);
  });

  /** Exponent (at least 1) and significand with the leading bit, if there is one, at 61. */
  const parts = (bits: Value) => {
    const exponent = exponentOf(format, bits);
    const leading = f.i64(leadingBit(format)).when(exponent, 0);
    const significand = bits
      .and(fractionMask(format))
      .or(leading)
      .shl(61 - format.fractionBits);
    return { exponent: exponent.when(exponent, 1), significand };
  };
  const x = parts(larger);
  const y = parts(smaller);
  const aligned = shiftRightSticky(f, y.significand, x.exponent.sub(y.exponent).extendU());
  const total = x.significand.add(aligned.neg().when(different, aligned));
  f.if(total.eqz(), () => {
    // x - x is -0 when rounding down, else +0; zeros of one sign keep it.
    f.return(signed(f, format, roundingMode(mxcsr).eq(DOWN).when(different, sign), 0n));
  });
  const shift = total.clz().wrap().sub(1);
  f.return(f.call(round, sign, x.exponent.sub(shift), total.shl(shift.extendU()), mxcsr, raised));
}

/** The upper 64 bits of a 128-bit product, with bit 0 set if the lower 64 are not all zero. */
function multiplyHigh(a: Value, b: Value): Value {
  const low32 = (value: Value) => value.and(0xffffffffn);
  const ll = low32(a).mul(low32(b));
  const lh = low32(a).mul(b.shrU(32));
  const hl = a.shrU(32).mul(low32(b));
  const hh = a.shrU(32).mul(b.shrU(32));
  const middle = ll.shrU(32).add(low32(lh)).add(low32(hl));
  const high = hh.add(lh.shrU(32)).add(hl.shrU(32)).add(middle.shrU(32));
  return high.or(low32(ll).or(low32(middle)).ne(0).extendU());
}

const product: Body = (operation, a, b) => {
  const { f, format, round, mxcsr, raised } = operation;
  const sign = signOf(format, a.xor(b));
  const x = magnitude(format, a);
  const y = magnitude(format, b);
  const zero = x.eqz().or(y.eqz());
  f.if(x.eq(infinity(format)).or(y.eq(infinity(format))), () => {
    invalidIf(operation, zero);
    raiseDenormal(f, format, raised, a, b);
    f.return(signed(f, format, sign, infinity(format)));
  });
  raiseDenormal(f, format, raised, a, b);
  f.if(zero, () => f.return(signed(f, format, sign, 0n)));
  const p = unpacked(f, format, a);
  const q = unpacked(f, format, b);
  const exact =
    format.name === "f32"
      ? p.significand.mul(q.significand).shl(15)
      : multiplyHigh(p.significand.shl(10), q.significand.shl(11));
  // The leading bit is at 62, or at 61 where the significands' product is below 2.
  const short = exact.shrU(62).eqz();
  const exponent = p.exponent.add(q.exponent).sub(format.bias).sub(short);
  f.return(f.call(round, sign, exponent, exact.shl(short.extendU()), mxcsr, raised));
};

/** (a << 64) / b for b >= 2^63 > a, with bit 0 set if there is a remainder. @spec TAOCP 2, 4.3.1, algorithm D */
function divideWide(f: FunctionBuilder, a: Value, b: Value): Value {
  const high = b.shrU(32);
  const low = b.and(0xffffffffn);
  /** A digit of 32 bits of rest * 2^32 / b, and what remains. */
  const digit = (rest: Value) => {
    const quotient = f.variable("i64", rest.divU(high));
    const remainder = f.variable("i64", rest.sub(quotient.get().mul(high)));
    // The estimate is at most 2 too large.
    for (let i = 0; i < 2; i++) {
      const [q, r] = [quotient.get(), remainder.get()];
      const tooLarge = q
        .shrU(32)
        .ne(0)
        .or(q.mul(low).gtU(r.shl(32)));
      f.if(tooLarge.and(r.shrU(32).eqz()), () => {
        quotient.set(q.sub(1));
        remainder.set(r.add(high));
      });
    }
    const q = quotient.get();
    return { q, rest: rest.shl(32).sub(q.mul(b)) };
  };
  const first = digit(a);
  const second = digit(first.rest);
  return first.q.shl(32).or(second.q).or(second.rest.ne(0).extendU());
}

const quotient: Body = (operation, a, b) => {
  const { f, format, round, mxcsr, raised } = operation;
  const sign = signOf(format, a.xor(b));
  const x = magnitude(format, a);
  const y = magnitude(format, b);
  const infinite = f.i64(infinity(format));
  invalidIf(
    operation,
    x
      .eqz()
      .and(y.eqz())
      .or(x.eq(infinite).and(y.eq(infinite))),
  );
  f.if(y.eqz().and(x.ne(infinite)), () => {
    // A denormal dividend is not looked at any more: division by zero comes first.
    raise(f, raised, ZE);
    f.return(signed(f, format, sign, infinity(format)));
  });
  raiseDenormal(f, format, raised, a, b);
  f.if(x.eq(infinite), () => f.return(signed(f, format, sign, infinity(format))));
  f.if(x.eqz().or(y.eq(infinite)), () => f.return(signed(f, format, sign, 0n)));
  const p = unpacked(f, format, a);
  const q = unpacked(f, format, b);
  const difference = p.exponent.sub(q.exponent).add(format.bias - 1);
  let exact: Value;
  if (format.name === "f32") {
    const dividend = p.significand.shl(39);
    const sticky = dividend.remU(q.significand).ne(0).extendU();
    exact = dividend.divU(q.significand).shl(23).or(sticky);
  } else {
    const wide = divideWide(f, p.significand.shl(10), q.significand.shl(11));
    exact = wide.shrU(1).or(wide.and(1));
  }
  const short = exact.shrU(62).eqz();
  f.return(f.call(round, sign, difference.sub(short), exact.shl(short.extendU()), mxcsr, raised));
};

/** Digit by digit: the remainder is doubled while the digit's weight is halved. */
function root(operation: Operation, operand: Value): void {
  const { f, format, round, mxcsr, raised } = operation;
  const a = flushedOperand(format, operand, mxcsr);
  nanIf(operation, a, a);
  const x = magnitude(format, a);
  f.if(x.eqz(), () => f.return(a));
  invalidIf(operation, signOf(format, a));
  raiseDenormal(f, format, raised, a);
  f.if(x.eq(infinity(format)), () => f.return(a));
  const { exponent, significand } = unpacked(f, format, a);
  const power = exponent.sub(format.bias);
  const odd = power.and(1);
  // 1 to 4, with 60 bits behind the point.
  const remainder = f.variable("i64", significand.shl(60 - format.fractionBits).shl(odd.extendU()));
  const result = f.variable("i64", 0);
  const digit = f.variable("i64", 1n << 60n);
  f.loop((again) => {
    const d = digit.get();
    const [rest, sofar] = [remainder.get(), result.get()];
    const subtrahend = sofar.shl(1).or(d);
    const fits = subtrahend.leU(rest);
    remainder.set(rest.sub(subtrahend.when(fits, 0)).shl(1));
    result.set(sofar.or(d.when(fits, 0)));
    const next = d.shrU(1);
    digit.set(next);
    f.branchIf(again, next.geU(1n << BigInt(58 - format.fractionBits)));
  });
  const exact = result.get().shl(2).or(remainder.get().ne(0).extendU());
  f.return(f.call(round, f.i32(0), power.shrS(1).add(format.bias - 1), exact, mxcsr, raised));
}

/** A function of two numbers: denormals flushed, NaNs dealt with. */
function binary(body: Body): (operation: Operation) => void {
  return (operation) => {
    const { f, format, mxcsr } = operation;
    const a = flushedOperand(format, f.param(0), mxcsr);
    const b = flushedOperand(format, f.param(1), mxcsr);
    nanIf(operation, a, b);
    body(operation, a, b);
  };
}

export function arithmeticFunctions(): WasmFunctions {
  const functions: WasmFunctions = {};
  for (const format of [F32, F64]) {
    const define = (name: string, mxcsrParameter: number, body: (operation: Operation) => void) => {
      functions[`${format.name}.${name}`] = (f, callee) =>
        body({
          f,
          format,
          round: callee(`${format.name}.round`),
          nan: callee(`${format.name}.nan`),
          mxcsr: f.param(mxcsrParameter),
          raised: f.param(mxcsrParameter + 1),
        });
    };
    define("sum", 3, (operation) => {
      const { f } = operation;
      sum(operation, f.param(0), f.param(1), f.param(2));
    });
    define("product", 2, binary(product));
    define("quotient", 2, binary(quotient));
    define("root", 1, (operation) => root(operation, operation.f.param(0)));
  }
  return functions;
}
