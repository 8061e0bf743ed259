/** Segment registers: MOV, PUSH and POP of them, far pointer loads, and the bases of FS and GS. */
import { declareFunction } from "./functions.ts";
import { type Instruction, type InstructionSpec, instruction } from "./instruction.ts";
import { CS, DS, ES, FS, GS, type Operand, type Semantics, SS, type StateField } from "./semantics.ts";

/** (segment register, selector): loads ES, DS, FS or GS. */
const LOAD_SEGMENT = declareFunction("loadSegment", { in: "host", params: ["i32", "i32"], faults: true });
/**
 * (segment register, selector) in any mode but 64-bit mode: whether ES, DS, FS or GS has been loaded, with nothing else to
 * look at. Flat code stays flat.
 */
const LOAD_USUAL_SEGMENT = declareFunction("loadUsualSegment", {
  in: "wasm",
  params: ["i32", "i32"],
  result: "i32",
  changesAccess: true,
});
/** The same, where no code goes on after it: flat code may find a segment that is not. */
const LOAD_SHAPING_SEGMENT = declareFunction("loadShapingSegment", {
  in: "wasm",
  params: ["i32", "i32"],
  result: "i32",
  changesMode: true,
});
/** (selector) in any mode but 64-bit mode: whether SS has been loaded, with nothing else to look at. */
const LOAD_USUAL_STACK = declareFunction("loadUsualStack", {
  in: "wasm",
  params: ["i32"],
  result: "i32",
  changesMode: true,
});
/** (selector): loads SS and holds off interrupts until after the next instruction. */
const LOAD_STACK_SEGMENT = declareFunction("loadStackSegment", { in: "host", params: ["i32"], faults: true });

const NAMES = ["es", "cs", "ss", "ds", "fs", "gs"] as const;
const selectorOf = (index: number): StateField => `${NAMES[index] as (typeof NAMES)[number]}Selector`;

/** Whether code is built for what a segment register holds: it ends its block where that changes. */
const shapesCode = (index: number): boolean => index === ES || index === SS || index === DS;

/** Loads segment register `index`; what follows in `rest` cannot fault. */
function load(o: Semantics, index: number, selector: Parameters<Semantics["push"]>[0], rest: () => void): void {
  const loadByHost = () => {
    if (index === SS) o.call(LOAD_STACK_SEGMENT, selector);
    else if (o.long || !shapesCode(index)) o.call(LOAD_SEGMENT, index, selector);
    else o.if(o.call(LOAD_SHAPING_SEGMENT, index, selector).eqz(), () => o.call(LOAD_SEGMENT, index, selector));
    rest();
  };
  if (!o.long) {
    const isLoaded = index === SS ? o.call(LOAD_USUAL_STACK, selector) : o.call(LOAD_USUAL_SEGMENT, index, selector);
    o.rarely(isLoaded.eqz(), loadByHost, () => {
      rest();
      if (index === SS) o.setState("heldOffAt", o.nextIp());
    });
  } else {
    loadByHost();
  }
  if (shapesCode(index)) o.endBlock();
}

const ends = (index: number): Pick<InstructionSpec, "ends"> => (shapesCode(index) ? { ends: true } : {});

/** A register gets the selector zero-extended, memory its 16 bits only. */
export const MOV_FROM_SEGMENT: readonly Instruction[] = [ES, CS, SS, DS, FS, GS].map((index) =>
  instruction("mov", {
    spec: "SDM 2, MOV",
    forms: [`8C /${index} Ew,Sw ; o16`, `8C /${index} RyMw,Sw ; !o16`],
    meaning(o, dst) {
      const selector = o.state(selectorOf(index));
      o.put(dst, dst.width === 64 ? selector.extendU() : selector);
    },
  }),
);

export const MOV_TO_SEGMENT: readonly Instruction[] = [ES, SS, DS, FS, GS].map((index) =>
  instruction("mov", {
    spec: "SDM 2, MOV",
    forms: [`8E /${index} Sw,Ew`],
    ...ends(index),
    meaning(o, _dst, src) {
      load(o, index, o.get(src), () => {});
    },
  }),
);

const PUSH_FORMS: readonly [number, string][] = [
  [ES, "06 ; i64"],
  [CS, "0E ; i64"],
  [SS, "16 ; i64"],
  [DS, "1E ; i64"],
  [FS, "0F A0 ; d64"],
  [GS, "0F A8 ; d64"],
];

export const PUSH_SEGMENT: readonly Instruction[] = PUSH_FORMS.map(([index, form]) =>
  instruction(`push ${NAMES[index]}`, {
    spec: "SDM 2, PUSH",
    forms: [form],
    meaning(o) {
      const selector = o.state(selectorOf(index));
      o.push(o.operandSize === 64 ? selector.extendU() : selector, o.operandSize);
    },
  }),
);

const POP_FORMS: readonly [number, string][] = [
  [ES, "07 ; i64"],
  [SS, "17 ; i64"],
  [DS, "1F ; i64"],
  [FS, "0F A1 ; d64"],
  [GS, "0F A9 ; d64"],
];

export const POP_SEGMENT: readonly Instruction[] = POP_FORMS.map(([index, form]) =>
  instruction(`pop ${NAMES[index]}`, {
    spec: "SDM 2, POP",
    forms: [form],
    ...ends(index),
    meaning(o) {
      const { value, commit } = o.pop(o.operandSize);
      load(o, index, value.wrap(), commit);
    },
  }),
);

const FAR_POINTER_FORMS: readonly [number, string][] = [
  [ES, "C4 /r Gv,Mp ; i64"],
  [DS, "C5 /r Gv,Mp ; i64"],
  [SS, "0F B2 /r Gv,Mp"],
  [FS, "0F B4 /r Gv,Mp"],
  [GS, "0F B5 /r Gv,Mp"],
];

export const LOAD_FAR_POINTER: readonly Instruction[] = FAR_POINTER_FORMS.map(([index, form]) =>
  instruction(`l${NAMES[index]}`, {
    spec: "SDM 2, LDS/LES/LFS/LGS/LSS",
    forms: [form],
    ...ends(index),
    meaning(o, dst, src) {
      const offset = o.loadAt(src, 0, o.operandSize);
      const selector = o.loadAt(src, o.operandSize / 8, 16);
      load(o, index, selector, () => o.put(dst, offset));
    },
  }),
);

export const SWAPGS = instruction("swapgs", {
  spec: "SDM 2, SWAPGS",
  forms: ["0F 01 F8 ; o64"],
  feature: "lm",
  privileged: true,
  meaning(o) {
    const gs = o.state("gsBase");
    const kernel = o.state("kernelGsBase");
    o.setState("gsBase", kernel);
    o.setState("kernelGsBase", gs);
  },
});

const CR4_FSGSBASE = 1 << 16;

function requireFsGsBase(o: Semantics): void {
  o.raiseIf(o.state("cr4").wrap().and(CR4_FSGSBASE).eqz(), "UD");
}

/** RDFSBASE and RDGSBASE. */
const readBase = (name: string, digit: number, field: StateField): Instruction =>
  instruction(name, {
    spec: "SDM 2, RDFSBASE/RDGSBASE",
    forms: [`F3 0F AE /${digit} Ry ; o64`],
    feature: "fsgsbase",
    untested: "bases of FS and GS belong to the thread library",
    meaning(o, dst) {
      requireFsGsBase(o);
      const value = o.state(field);
      o.put(dst, dst.width === 64 ? value : value.wrap());
    },
  });

/** WRFSBASE and WRGSBASE. */
const writeBase = (name: string, digit: number, field: StateField): Instruction =>
  instruction(name, {
    spec: "SDM 2, WRFSBASE/WRGSBASE",
    forms: [`F3 0F AE /${digit} Ry ; o64`],
    feature: "fsgsbase",
    untested: "bases of FS and GS belong to the thread library",
    meaning(o, src: Operand) {
      requireFsGsBase(o);
      const value = o.get(src);
      if (src.width === 64) o.raiseIf(value.shl(16).shrS(16).ne(value), "GP", 0);
      o.setState(field, value.extendU());
    },
  });

export const RDFSBASE = readBase("rdfsbase", 0, "fsBase");
export const RDGSBASE = readBase("rdgsbase", 1, "gsBase");
export const WRFSBASE = writeBase("wrfsbase", 2, "fsBase");
export const WRGSBASE = writeBase("wrgsbase", 3, "gsBase");

export const SEGMENT: readonly Instruction[] = [
  ...MOV_FROM_SEGMENT,
  ...MOV_TO_SEGMENT,
  ...PUSH_SEGMENT,
  ...POP_SEGMENT,
  ...LOAD_FAR_POINTER,
  SWAPGS,
  RDFSBASE,
  RDGSBASE,
  WRFSBASE,
  WRGSBASE,
];
