/** Descriptor tables and what can be asked about their segments: LGDT, LIDT, LLDT, LTR, their stores, LAR, LSL, VERR, VERW, ARPL. */
import { declareFunction } from "./functions.ts";
import { type Instruction, instruction } from "./instruction.ts";
import type { Operand, Semantics } from "./semantics.ts";

const UNTESTED = "privileged, or about the host's descriptor tables";

/** (selector) */
const LOAD_LDT = declareFunction("loadLdt", { in: "host", params: ["i32"], faults: true });
const LOAD_TASK = declareFunction("loadTask", { in: "host", params: ["i32"], faults: true });
/** → selector */
const STORE_LDT = declareFunction("storeLdt", { in: "host", params: [], result: "i32", faults: true });
const STORE_TASK = declareFunction("storeTask", { in: "host", params: [], result: "i32", faults: true });
/** (selector) → whether the segment may be looked at, and then its access rights or limit. */
const MAY_LOOK = declareFunction("segmentVisible", {
  in: "host",
  params: ["i32", "i32"],
  result: "i32",
  faults: true,
});
const SEGMENT_RIGHTS = declareFunction("segmentRights", { in: "host", params: ["i32"], result: "i32", faults: true });
const SEGMENT_LIMIT = declareFunction("segmentLimit", { in: "host", params: ["i32"], result: "i32", faults: true });
/** (selector, 1 for VERW) → whether the segment can be read or written. */
const VERIFY = declareFunction("verifySegment", { in: "host", params: ["i32", "i32"], result: "i32", faults: true });
/** #UD in real-address and virtual-8086 mode. */
const REQUIRE_PROTECTED = declareFunction("requireProtected", { in: "host", params: [], faults: true });

/** What `segmentVisible` is asked for: LSL knows fewer types than LAR. */
export const LOOK = { rights: 0, limit: 1 } as const;

const CR4_UMIP = 1 << 11;

const loadTable = (name: string, form: string, table: "gdt" | "idt"): Instruction =>
  instruction(name, {
    spec: "SDM 2, LGDT/LIDT",
    forms: [form],
    privileged: true,
    untested: UNTESTED,
    meaning(o, source) {
      const limit = o.loadAt(source, 0, 16);
      const base = o.loadAt(source, 2, o.long ? 64 : 32).extendU();
      if (o.long) o.raiseIf(base.shl(16).shrS(16).ne(base), "GP", 0);
      o.setState(`${table}Limit`, limit);
      o.setState(`${table}Base`, o.operandSize === 16 && !o.long ? base.and(0xff_ffffn) : base);
    },
  });

/** CR4.UMIP keeps programs from reading where tables are. */
const storeTable = (name: string, form: string, table: "gdt" | "idt"): Instruction =>
  instruction(name, {
    spec: "SDM 2, SGDT/SIDT",
    forms: [form],
    untested: UNTESTED,
    meaning(o, target) {
      o.raiseIf(o.state("cpl").ne(0).and(o.state("cr4").wrap().and(CR4_UMIP).ne(0)), "GP", 0);
      const base = o.state(`${table}Base`);
      o.storeAt(target, 0, 16, o.state(`${table}Limit`));
      o.storeAt(target, 2, o.long ? 64 : 32, o.long ? base : base.wrap());
    },
  });

export const LGDT = loadTable("lgdt", "0F 01 /2 M", "gdt");
export const LIDT = loadTable("lidt", "0F 01 /3 M", "idt");
export const SGDT = storeTable("sgdt", "0F 01 /0 M", "gdt");
export const SIDT = storeTable("sidt", "0F 01 /1 M", "idt");

/** LLDT and LTR check the privilege level after the mode, so not by `privileged`. */
const loadSystemSegment = (name: string, form: string, callee: string): Instruction =>
  instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [form],
    untested: UNTESTED,
    meaning(o, source) {
      o.call(REQUIRE_PROTECTED);
      o.requireCpl0();
      o.call(callee, o.get(source));
    },
  });

/** A register gets the selector zero-extended, memory its 16 bits only. */
const storeSystemSegment = (name: string, digit: number, callee: string): Instruction =>
  instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [`0F 00 /${digit} Ew ; o16`, `0F 00 /${digit} RyMw ; !o16`],
    untested: UNTESTED,
    meaning(o, target) {
      const selector = o.call(callee);
      o.put(target, target.width === 64 ? selector.extendU() : selector);
    },
  });

export const LLDT = loadSystemSegment("lldt", "0F 00 /2 Ew", LOAD_LDT);
export const LTR = loadSystemSegment("ltr", "0F 00 /3 Ew", LOAD_TASK);
export const SLDT = storeSystemSegment("sldt", 0, STORE_LDT);
export const STR = storeSystemSegment("str", 1, STORE_TASK);

const look = (name: string, form: string, what: number, callee: string): Instruction =>
  instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [form],
    untested: UNTESTED,
    meaning(o: Semantics, target: Operand, source: Operand) {
      const selector = o.get(source);
      const visible = o.call(MAY_LOOK, selector, what);
      o.if(visible, () => {
        const value = o.call(callee, selector);
        o.put(target, target.width === 64 ? value.extendU() : value);
      });
      o.setFlags({ z: visible });
    },
  });

export const LAR = look("lar", "0F 02 /r Gv,Ew", LOOK.rights, SEGMENT_RIGHTS);
export const LSL = look("lsl", "0F 03 /r Gv,Ew", LOOK.limit, SEGMENT_LIMIT);

const verify = (name: string, form: string, write: number): Instruction =>
  instruction(name, {
    spec: "SDM 2, VERR/VERW",
    forms: [form],
    untested: UNTESTED,
    meaning(o, source) {
      o.setFlags({ z: o.call(VERIFY, o.get(source), write) });
    },
  });

export const VERR = verify("verr", "0F 00 /4 Ew", 0);
export const VERW = verify("verw", "0F 00 /5 Ew", 1);

export const ARPL = instruction("arpl", {
  spec: "SDM 2, ARPL",
  forms: ["63 /r Ew,Gw ; i64"],
  untested: "not in 64-bit mode",
  meaning(o, target, source) {
    o.call(REQUIRE_PROTECTED);
    const rpl = o.get(source).and(3);
    o.update(target, (old) => {
      const raised = old.and(3).ltU(rpl);
      o.setFlags({ z: raised });
      return old.and(~3).or(rpl).when(raised, old);
    });
  },
});

export const DESCRIPTOR_TABLES: readonly Instruction[] = [
  LGDT,
  LIDT,
  SGDT,
  SIDT,
  LLDT,
  LTR,
  SLDT,
  STR,
  LAR,
  LSL,
  VERR,
  VERW,
  ARPL,
];
