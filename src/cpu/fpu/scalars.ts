/** Conversions between registers and the single and double formats of memory. @spec SDM 1, 4.2.2, 4.8 and 8.3.3 */
import {
  FPU_OPERAND_32,
  FPU_OPERAND_64,
  FPU_PUSH_32,
  FPU_PUSH_64,
  FPU_TAKE_32,
  FPU_TAKE_64,
} from "../../isa/x87-functions.ts";
import type { Value } from "../../wasm/value.ts";
import { normalise } from "./arithmetic.ts";
import {
  BIAS,
  C1,
  DE,
  exponentOf,
  type F80,
  type FpuBodies,
  type FpuBody,
  type FpuCode,
  IE,
  INTEGER_BIT,
  isNan,
  isNormal,
  isUnsupported,
  MAX_EXPONENT,
  OE,
  PE,
  QUIET_BIT,
  ROUND_DOWN,
  ROUND_UP,
  SF,
  signOf,
  UE,
} from "./code.ts";
import { isNormalScalar, isPlainMode, widenNormal } from "./quick.ts";
import { roundsUp } from "./round.ts";
import { finishPush, pushQuietly } from "./stack.ts";
import { shiftRightSticky } from "./wide.ts";

interface Format {
  readonly bits: 32 | 64;
  /** Bits of the fraction. */
  readonly fraction: 23 | 52;
  readonly bias: 127 | 1023;
}
const SINGLE: Format = { bits: 32, fraction: 23, bias: 127 };
const DOUBLE: Format = { bits: 64, fraction: 52, bias: 1023 };

/** The number that `value` (i32 or i64) stands for; denormals come out normal. */
function widen(c: FpuCode, value: Value, { bits, fraction, bias }: Format): F80 & { denormal: Value; nan: Value } {
  const wide = value.extendU();
  const sign = wide
    .shrU(bits - 16)
    .wrap()
    .and(0x8000);
  const exponent = wide
    .shrU(fraction)
    .wrap()
    .and(2 * bias + 1);
  const rest = wide.shl(64 - fraction).shrU(1);
  const special = exponent.eq(2 * bias + 1);
  const empty = rest.eqz();
  const shift = rest.clz();
  const denormal = exponent.eqz().and(empty.eqz());
  const normalExponent = c.i32(MAX_EXPONENT).when(special, exponent.add(BIAS - bias));
  const smallExponent = c
    .i32(BIAS - bias + 1)
    .sub(shift.wrap())
    .when(empty.eqz(), 0);
  return {
    m: rest.shl(shift).when(exponent.eqz(), rest.or(INTEGER_BIT)),
    se: sign.or(smallExponent.when(exponent.eqz(), normalExponent)),
    denormal,
    nan: special.and(empty.eqz()),
  };
}

/** Makes a memory operand a register's image and returns its address. */
const operandFrom =
  (format: Format): FpuBody =>
  (c, value: Value) => {
    const number = widen(c, value, format);
    c.setRaised(c.bitsIf(number.denormal, DE));
    c.setOperand(number);
    c.f.return(c.operand());
  };

const pushFrom =
  (format: Format): FpuBody =>
  (c, value: Value) => {
    const target = c.st(-1);
    c.if(isNormalScalar(value).and(c.isEmpty(target)), () => {
      pushQuietly(c, target, widenNormal(value));
      c.f.return();
    });
    const { m, se, denormal, nan } = widen(c, value, format);
    const signals = nan.and(m.and(QUIET_BIT).eqz());
    c.setRaised(c.bitsIf(denormal, DE).or(c.bitsIf(signals, IE)));
    c.setResultExponent(se);
    finishPush(c, m.or(c.i64(QUIET_BIT).when(signals, 0)));
  };

/** ST(0) in a memory format; what is raised tells whether it may be stored. */
const take =
  (format: Format): FpuBody =>
  (c) => {
    const { bits, fraction, bias } = format;
    const return_ = (value: Value) => c.f.return(bits === 32 ? value.wrap() : value);
    const pointer = c.st(0);
    const x = c.read(pointer);
    const sign = signOf(x)
      .extendU()
      .shl(bits - 16);

    // A normal number that stays one, rounded to nearest with its exceptions masked.
    const dropped = 63 - fraction;
    const field = exponentOf(x).sub(BIAS - bias);
    const plain = isPlainMode(c).and(isNormal(x)).and(c.isEmpty(pointer).eqz());
    c.if(plain.and(field.sub(1).ltU(2 * bias - 1)), () => {
      const kept = x.m.shrU(dropped);
      const lost = x.m.shl(64 - dropped);
      const up = lost.ltS(0).and(lost.shl(1).ne(0).or(kept.wrap().and(1)));
      c.setRaised(c.bitsIf(lost.ne(0), PE).or(c.bitsIf(up, C1)));
      // The integer bit adds one to the exponent field.
      const magnitude = field.sub(1).extendU().shl(fraction).add(kept).add(up.extendU());
      return_(sign.or(magnitude));
    });

    const infinity = BigInt(2 * bias + 1) << BigInt(fraction);
    const indefinite = c.i64((1n << BigInt(bits - 1)) | infinity | (1n << BigInt(fraction - 1)));
    c.if(c.isEmpty(pointer), () => {
      c.setRaised(IE | SF);
      return_(indefinite);
    });
    c.setRaised(0);
    c.if(isUnsupported(x), () => {
      c.setRaised(IE);
      return_(indefinite);
    });
    c.if(exponentOf(x).eq(MAX_EXPONENT), () => {
      const nan = isNan(x);
      c.setRaised(c.bitsIf(nan.and(x.m.and(QUIET_BIT).eqz()), IE));
      const payload = x.m
        .or(c.i64(QUIET_BIT).when(nan, 0))
        .shl(1)
        .shrU(64 - fraction);
      return_(sign.or(infinity).or(payload));
    });
    c.if(x.m.eqz(), () => return_(sign));
    return_(sign.or(narrow(c, x, format, infinity)));
  };

/** The magnitude of a finite number other than zero, rounded to `format`. */
function narrow(c: FpuCode, x: F80, { fraction, bias }: Format, infinity: bigint): Value {
  const control = c.control();
  const rounding = c.rounding(control);
  const sign = signOf(x);
  const dropped = 63 - fraction;
  const unit = 1n << BigInt(dropped);
  const split = (hi: Value, lo: Value) => {
    const kept = hi.and(-unit);
    const lost = hi.shl(64 - dropped).or(lo.ne(0).extendU());
    return { kept, lost, up: roundsUp(c, rounding, sign, kept.and(unit).ne(0), lost) };
  };
  const normal = normalise(x);
  const biased = normal.exponent.sub(BIAS - bias);
  const exponent = c.variable("i32", biased);
  const hi = c.variable("i64", normal.m);
  const lo = c.variable("i64", 0);
  const tiny = c.variable("i32", 0);
  c.if(biased.ltS(1), () => {
    const asNormal = split(normal.m, c.i64(0));
    const carries = asNormal.up.and(asNormal.kept.add(unit).eqz());
    tiny.set(biased.ltS(0).or(carries.eqz()));
    const shifted = shiftRightSticky(c, { hi: normal.m, lo: c.i64(0) }, c.i32(1).sub(biased));
    hi.set(shifted.hi);
    lo.set(shifted.lo);
    exponent.set(1);
  });
  const { kept, lost, up } = split(hi.get(), lo.get());
  const inexact = lost.ne(0);
  const sum = kept.add(c.i64(unit).when(up, 0));
  const carried = up.and(sum.eqz());
  // The integer bit adds one to the exponent field, and a denormal has none.
  const field = exponent.get().sub(1).add(carried);
  const magnitude = field
    .extendS()
    .shl(fraction)
    .add(sum.or(carried.extendU().shl(63)).shrU(dropped));
  const overflows = field.geS(2 * bias);
  const away = c.i32(ROUND_UP).when(sign.eqz(), ROUND_DOWN);
  const toInfinity = rounding.eqz().or(rounding.eq(away));
  // An exact tiny result is an underflow only where the exception is not masked.
  const underflows = tiny.get().and(inexact.or(control.and(UE).eqz()));
  const ordinary = c.bitsIf(inexact, PE).or(c.bitsIf(up, C1)).or(c.bitsIf(underflows, UE));
  const overflow = c.i32(OE | PE | C1).when(toInfinity, OE | PE);
  c.setRaised(overflow.when(overflows, ordinary));
  return c
    .i64(infinity)
    .when(toInfinity, infinity - 1n)
    .when(overflows, magnitude);
}

export const SCALARS: FpuBodies = {
  [FPU_OPERAND_32]: operandFrom(SINGLE),
  [FPU_OPERAND_64]: operandFrom(DOUBLE),
  [FPU_PUSH_32]: pushFrom(SINGLE),
  [FPU_PUSH_64]: pushFrom(DOUBLE),
  [FPU_TAKE_32]: take(SINGLE),
  [FPU_TAKE_64]: take(DOUBLE),
};
