/**
 * XSAVE and its like, for x87 and SSE state, and XCR0, which says what of it is on. @spec SDM 1 chapter 13
 *
 * State counts as in use always, and as modified always: XSAVEOPT and XSAVEC leave nothing out. AVX state would
 * follow at XSAVE_SIZE. Not offered: XSAVES and XRSTORS, XGETBV with ECX = 1.
 */
import { edxEax, setEdxEax } from "./control.ts";
import {
  clearXmm,
  FX_IMAGE_SIZE,
  imageMxcsr,
  restoreX87,
  restoreXmm,
  saveMxcsr,
  saveX87,
  saveXmm,
} from "./fx-image.ts";
import { type Feature, type Instruction, instruction } from "./instruction.ts";
import { type Operand, RCX, type Semantics } from "./semantics.ts";
import type { Value } from "./value.ts";
import { initialise } from "./x87-control.ts";

const X87 = 1n;
const SSE = 2n;
/** Bits that XCR0 can have. */
export const XSAVE_FEATURES = X87 | SSE;
const HEADER = FX_IMAGE_SIZE;
const HEADER_SIZE = 64;
/** Bytes of an XSAVE area with all of it, in either format. */
export const XSAVE_SIZE = HEADER + HEADER_SIZE;
const COMPACT = 1n << 63n;

const CR4_OSXSAVE = 1 << 18;
const CR0_TS = 1 << 3;
const MXCSR_RESET = 0x1f80;

function requireEnabled(o: Semantics): void {
  o.raiseIf(o.state("cr4").wrap().and(CR4_OSXSAVE).eqz(), "UD");
}

function requireReady(o: Semantics, area: Operand): void {
  requireEnabled(o);
  o.raiseIf(o.state("cr0").wrap().and(CR0_TS), "NM");
  o.checkAligned(area, 64);
}

/** i32: whether `set` (i64) has a component. */
const has = (set: Value, component: bigint): Value => set.and(component).ne(0);

export const XGETBV = instruction("xgetbv", {
  spec: "SDM 2, XGETBV",
  forms: ["NP 0F 01 D0"],
  feature: "xsave",
  untested: "what is on differs from system to system",
  meaning(o) {
    requireEnabled(o);
    o.raiseIf(o.register(RCX, 32), "GP", 0);
    setEdxEax(o, o.state("xcr0"));
  },
});

export const XSETBV = instruction("xsetbv", {
  spec: "SDM 2, XSETBV",
  forms: ["NP 0F 01 D1"],
  feature: "xsave",
  privileged: true,
  meaning(o) {
    requireEnabled(o);
    o.raiseIf(o.register(RCX, 32), "GP", 0);
    const value = edxEax(o);
    o.raiseIf(has(value, ~XSAVE_FEATURES).or(has(value, X87).eqz()), "GP", 0);
    o.setState("xcr0", value);
  },
});

function save(o: Semantics, area: Operand, wide: boolean, compact: boolean): void {
  requireReady(o, area);
  const wanted = edxEax(o).and(o.state("xcr0"));
  // The standard format keeps what the header says of other components.
  const others = compact ? o.i64(0) : o.loadAt(area, HEADER, 64).and(wanted.not());
  o.if(has(wanted, X87), () => saveX87(o, area, wide));
  o.if(has(wanted, SSE), () => {
    saveMxcsr(o, area);
    saveXmm(o, area);
  });
  o.storeAt(area, HEADER, 64, others.or(wanted));
  if (compact) o.storeAt(area, HEADER + 8, 64, wanted.or(COMPACT));
}

/** #GP(0) unless the header is one of the two formats and names only what XCR0 has. */
function checkHeader(o: Semantics, area: Operand, state: Value, format: Value): void {
  const word = (index: number) => o.loadAt(area, HEADER + index * 8, 64);
  const unknown = o.state("xcr0").not();
  const compact = has(format, COMPACT);
  const components = format.and(~COMPACT);
  const reserved = [3, 4, 5, 6, 7].map(word).reduce((all, next) => all.or(next));
  const wrongCompact = components.and(unknown).or(state.and(components.not())).or(reserved);
  const wrongStandard = format.or(state.and(unknown));
  o.raiseIf(wrongCompact.when(compact, wrongStandard).or(word(2)).ne(0), "GP", 0);
}

function restore(o: Semantics, area: Operand, wide: boolean): void {
  requireReady(o, area);
  const wanted = edxEax(o).and(o.state("xcr0"));
  const state = o.loadAt(area, HEADER, 64);
  const format = o.loadAt(area, HEADER + 8, 64);
  checkHeader(o, area, state, format);
  // The area has at most two pages: one of the header, which was read, and one of its first byte.
  o.loadAt(area, 0, 8);
  const present = wanted.and(state);
  // In the standard format MXCSR does not depend on whether the header has SSE state.
  const hasMxcsr = has(wanted, SSE).and(has(state, SSE).or(has(format, COMPACT).eqz()));
  const mxcsr = o.variable("i32", MXCSR_RESET);
  o.if(hasMxcsr, () => mxcsr.set(imageMxcsr(o, area)));
  o.if(has(wanted, X87), () =>
    o.if(
      has(present, X87),
      () => restoreX87(o, area, wide),
      () => {
        initialise(o);
      },
    ),
  );
  o.if(has(wanted, SSE), () => {
    o.setState("mxcsr", mxcsr.get());
    o.if(
      has(present, SSE),
      () => restoreXmm(o, area),
      () => clearXmm(o),
    );
  });
}

/** An instruction and its kin with 64-bit pointers. */
const pair = (
  name: Feature | "xrstor",
  form: string,
  feature: Feature,
  meaning: (o: Semantics, area: Operand, wide: boolean) => void,
): readonly Instruction[] =>
  [false, true].map((wide) =>
    instruction(wide ? `${name}64` : name, {
      spec: `SDM 2, ${name.toUpperCase()}`,
      forms: [`NP ${form} M ; ${wide ? "w1" : "w0"}`],
      feature,
      untested: "needs an area that is laid out for it",
      meaning: (o, area) => meaning(o, area, wide),
    }),
  );

export const XSAVE: readonly Instruction[] = [
  XGETBV,
  XSETBV,
  ...pair("xsave", "0F AE /4", "xsave", (o, area, wide) => save(o, area, wide, false)),
  ...pair("xsaveopt", "0F AE /6", "xsaveopt", (o, area, wide) => save(o, area, wide, false)),
  ...pair("xsavec", "0F C7 /4", "xsavec", (o, area, wide) => save(o, area, wide, true)),
  ...pair("xrstor", "0F AE /5", "xsave", restore),
];
