/**
 * Runs of elements of string instructions (isa/string.ts), forwards and within one page: copied, filled, compared and
 * scanned at once. Each function gives the number of elements done; none where memory needs a closer look, which the
 * instruction then takes element by element. Nothing but memory has changed when they return.
 */
import type { Callee, FunctionBuilder } from "../../wasm/function.ts";
import { type ModuleBuilder, signature } from "../../wasm/module.ts";
import type { Operand, Value } from "../../wasm/value.ts";
import { tlbAddress, tlbEntry } from "../emit/memory.ts";
import { fieldAddress, TLB } from "../state.ts";
import { TLB_ANSWER } from "./accesses.ts";
import { ACCESS } from "./address-translation.ts";

const PAGE_BYTES = 4096;
/** From so many bytes on the engine's own copying is faster than a loop, for all it takes to call it. */
const LONG = 512;

/** i32: bytes up to the end of the page, at most `bytes`. */
function cutAtPage(f: FunctionBuilder, linear: Value, bytes: Value): Value {
  const room = f.i32(PAGE_BYTES).sub(linear.wrap().and(PAGE_BYTES - 1));
  return bytes.when(bytes.ltU(room), room);
}

/** The element in all places of eight bytes. */
function repeated(f: FunctionBuilder, element: Value, shift: Value): Value {
  const factor = f
    .i64(0x0101_0101_0101_0101n)
    .when(shift.eqz(), f.i64(0x0001_0001_0001_0001n).when(shift.eq(1), f.i64(0x1_0000_0001n).when(shift.eq(2), 1)));
  return element.mul(factor);
}

const STEPS = [
  { bytes: 16, kind: "v128" },
  { bytes: 8, kind: "i64" },
  { bytes: 4, kind: "i32" },
  { bytes: 2, kind: "i32.16" },
  { bytes: 1, kind: "i32.8" },
] as const;
const LOADS = { v128: "v128", i64: "i64", i32: "i32", "i32.16": "i32.16u", "i32.8": "i32.8u" } as const;

/** `fillTlb` is that of accesses.ts: (linear, bytes, access) → TLB_ANSWER. */
export function stringRunFunctions(module: ModuleBuilder, vcpu: number, fillTlb: Callee): void {
  /** Where in the shared memory `linear` lies; leaves the function where it cannot be accessed in place. */
  const place = (f: FunctionBuilder, linear: Value, access: number): Value => {
    const entry = tlbEntry(f.load("i32", 0, fieldAddress(vcpu, "tlb")), linear);
    const tag = f.load("i64", entry, access === ACCESS.write ? TLB.write : TLB.read);
    f.ifRare(linear.and(-4096n).ne(tag), () => {
      f.if(f.call(fillTlb, linear, 1, access).ne(TLB_ANSWER.page), () => f.return(f.i32(0)));
    });
    // Kept apart from the entry, which the other operand's page may be about to take.
    return f.variable("i32", tlbAddress(f, entry, linear)).get();
  };

  /** Leaves the function where not one element lies in the page. */
  const wholeElements = (f: FunctionBuilder, bytes: Value, shift: Value): Value => {
    const whole = f.variable("i32", bytes.shrU(shift).shl(shift)).get();
    f.if(whole.eqz(), () => f.return(whole));
    return whole;
  };

  /** Runs `step` for as many pieces as fit, large ones first, while `may` (of their size) allows. */
  const inPieces = (
    f: FunctionBuilder,
    bytes: Value,
    may: ((size: number) => Value) | undefined,
    step: (at: Value, size: (typeof STEPS)[number]) => void,
  ) => {
    const done = f.variable("i32", 0);
    for (const size of STEPS) {
      f.block((end) => {
        f.loop((again) => {
          const at = done.get();
          f.branchIf(end, bytes.sub(at).ltU(size.bytes));
          if (may && size.bytes > 1) f.branchIf(end, may(size.bytes).eqz());
          step(at, size);
          done.set(at.add(size.bytes));
          f.branch(again);
        });
      });
    }
  };

  module.function(
    signature(["i64", "i64", "i32", "i32"], ["i32"]),
    (f) => {
      const [source, target, most, shift] = [f.param(0), f.param(1), f.param(2), f.param(3)];
      const bytes = wholeElements(f, cutAtPage(f, target, cutAtPage(f, source, most)), shift);
      const from = place(f, source, 0);
      const to = place(f, target, ACCESS.write);
      // Copied forwards onto itself memory repeats, with this period.
      const period = to.sub(from);
      f.if(period.geU(bytes).and(bytes.geU(LONG)), () => {
        f.memoryCopy(to, from, bytes);
        f.return(bytes.shrU(shift));
      });
      const atLeast = (size: Operand) =>
        period.sub(1).geU(typeof size === "number" ? size - 1 : (size as Value).sub(1));
      // Elements that overlap the next ones are copied one by one.
      f.if(atLeast(f.i32(1).shl(shift)).eqz(), () => f.return(f.i32(0)));
      inPieces(f, bytes, atLeast, (at, { kind }) => f.store(kind, to.add(at), f.load(LOADS[kind], from.add(at))));
      f.return(bytes.shrU(shift));
    },
    { export: "copyRun" },
  );

  module.function(
    signature(["i64", "i64", "i32", "i32"], ["i32"]),
    (f) => {
      const [target, element, most, shift] = [f.param(0), f.param(1), f.param(2), f.param(3)];
      const bytes = wholeElements(f, cutAtPage(f, target, most), shift);
      const to = place(f, target, ACCESS.write);
      const words = f.variable("i64", repeated(f, element, shift)).get();
      f.if(words.eq(words.rotl(8)).and(bytes.geU(LONG)), () => {
        f.memoryFill(to, words.wrap().and(0xff), bytes);
        f.return(bytes.shrU(shift));
      });
      inPieces(f, bytes, undefined, (at, { kind }) => {
        const value = kind === "v128" ? words.op("i64x2.splat") : kind === "i64" ? words : words.wrap();
        f.store(kind, to.add(at), value);
      });
      f.return(bytes.shrU(shift));
    },
    { export: "fillRun" },
  );

  /** Looks through `bytes` bytes in pieces of 16, compared with those that `other` gives, and returns from the function. */
  const search = (
    f: FunctionBuilder,
    options: { from: Value; bytes: Value; shift: Value; equal: Value; other: (at: Value) => Value; whole: Value },
  ) => {
    const { from, bytes, shift, equal, other, whole } = options;
    /** Bits of the first bytes of elements that end the search. */
    const ends = (at: Value): Value => {
      const same = f.load("v128", from.add(at)).op("i8x16.eq", other(at)).op("i8x16.bitmask");
      const pairs = same.and(same.shrU(1)).when(shift, same);
      const quads = pairs.and(pairs.shrU(2)).when(shift.gtU(1), pairs);
      const elements = quads.and(quads.shrU(4)).when(shift.gtU(2), quads);
      const starts = f
        .i32(0xffff)
        .when(shift.eqz(), f.i32(0x5555).when(shift.eq(1), f.i32(0x1111).when(shift.eq(2), 0x0101)));
      return elements.xor(f.i32(-1).when(equal, 0)).and(starts);
    };
    const leave = (at: Value, bits: Value) => f.if(bits, () => f.return(at.add(bits.ctz()).shrU(shift)));
    const done = f.variable("i32", 0);
    f.block((end) => {
      f.loop((again) => {
        const at = done.get();
        f.branchIf(end, bytes.sub(at).ltU(16));
        leave(at, ends(at));
        done.set(at.add(16));
        f.branch(again);
      });
    });
    f.if(bytes.geU(16), () => {
      // The last piece, part of which was looked at already.
      const at = bytes.sub(16);
      leave(at, ends(at));
      f.return(bytes.shrU(shift));
    });
    // Fewer than 16 bytes: what follows them in the page is looked at as well, and ignored.
    f.if(whole.eqz(), () => f.return(f.i32(0)));
    leave(f.i32(0), ends(f.i32(0)).and(f.i32(1).shl(bytes).sub(1)));
    f.return(bytes.shrU(shift));
  };
  const isFarFromEnd = (linear: Value): Value =>
    linear
      .wrap()
      .and(PAGE_BYTES - 1)
      .leU(PAGE_BYTES - 16);

  module.function(
    signature(["i64", "i64", "i32", "i32", "i32"], ["i32"]),
    (f) => {
      const [first, second, most, shift, equal] = [f.param(0), f.param(1), f.param(2), f.param(3), f.param(4)];
      const bytes = wholeElements(f, cutAtPage(f, second, cutAtPage(f, first, most)), shift);
      const from = place(f, first, 0);
      const to = place(f, second, 0);
      const whole = isFarFromEnd(first).and(isFarFromEnd(second));
      search(f, { from, bytes, shift, equal, whole, other: (at) => f.load("v128", to.add(at)) });
    },
    { export: "compareRun" },
  );

  module.function(
    signature(["i64", "i64", "i32", "i32", "i32"], ["i32"]),
    (f) => {
      const [memory, element, most, shift, equal] = [f.param(0), f.param(1), f.param(2), f.param(3), f.param(4)];
      const bytes = wholeElements(f, cutAtPage(f, memory, most), shift);
      const from = place(f, memory, 0);
      const pattern = repeated(f, element, shift).op("i64x2.splat");
      search(f, { from, bytes, shift, equal, whole: isFarFromEnd(memory), other: () => pattern });
    },
    { export: "scanRun" },
  );
}
