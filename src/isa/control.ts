/** Control registers, debug registers and model-specific registers. */
import { declareFunction } from "./functions.ts";
import { type Instruction, instruction } from "./instruction.ts";
import { RAX, RCX, RDX, type Semantics } from "./semantics.ts";
import type { Value } from "./value.ts";

/** (number) → control register, where it is none of CR0, CR2, CR3 and CR4. */
const READ_CONTROL = declareFunction("readControl", { in: "host", params: ["i32"], result: "i64", faults: true });
/** (number, value). */
const WRITE_CONTROL = declareFunction("writeControl", { in: "host", params: ["i32", "i64"], faults: true });
/**
 * (number, value) in any mode but IA-32e mode: whether CR0 has been written, where no bit but PE changes and there is no
 * paging: boot loaders go to real-address mode and back for each call of a BIOS.
 */
const SWITCH_PROTECTION = declareFunction("switchProtection", {
  in: "wasm",
  params: ["i32", "i32"],
  result: "i32",
  changesMode: true,
});
/** (number) → debug register. */
const READ_DEBUG = declareFunction("readDebug", { in: "host", params: ["i32"], result: "i64", faults: true });
/** (number, value). */
const WRITE_DEBUG = declareFunction("writeDebug", { in: "host", params: ["i32", "i64"], faults: true });
/** Clears CR0.TS. */
const CLEAR_TASK_SWITCHED = declareFunction("clearTaskSwitched", { in: "host", params: [] });
/** (machine status word): the low four bits of CR0, of which PE is only ever set. */
const LOAD_STATUS_WORD = declareFunction("loadStatusWord", { in: "host", params: ["i32"], faults: true });
/** (address) → model-specific register. */
const READ_MSR = declareFunction("readMsr", { in: "host", params: ["i32"], result: "i64", faults: true });
/** (address, value). */
const WRITE_MSR = declareFunction("writeMsr", { in: "host", params: ["i32", "i64"], faults: true });
/**
 * (unit: 0 x87, 1 x87 that does not wait, 2 MMX, 3 SSE, 4 WAIT): called where the unit's trap word is not zero;
 * raises the exception that CR0, CR4 and the x87 status word ask for.
 */
export const UNIT_TRAP = declareFunction("unitTrap", { in: "host", params: ["i32"], faults: true });

/** A bit for each control register that is read from the processor's state as it is. */
const KEPT_CONTROL = 0b11101;

const CR4_UMIP = 1 << 11;

const READS_SYSTEM = "reads system state";

/** The processor also takes a ModR/M byte here whose mod field is not 3; that encoding is not offered. */
export const MOV_FROM_CONTROL = instruction("mov", {
  spec: "SDM 2, MOV—Move to/from Control Registers",
  forms: ["0F 20 /r Rd,Cd ; i64", "0F 20 /r Rq,Cq ; o64"],
  undefined: "oszapc",
  privileged: true,
  meaning(o, dst, src) {
    const number = o.get(src);
    const put = (value: Value) => o.put(dst, dst.width === 64 ? value : value.wrap());
    const isKept = o.i32(KEPT_CONTROL).shrU(number).and(1);
    o.rarely(
      isKept.eqz(),
      () => put(o.call(READ_CONTROL, number)),
      () => {
        const upper = o.state("cr3").when(number.eq(3), o.state("cr4"));
        const lower = o.state("cr0").when(number.eqz(), o.state("cr2"));
        put(upper.when(number.gtU(2), lower));
      },
    );
  },
});

export const MOV_TO_CONTROL = instruction("mov", {
  spec: "SDM 2, MOV—Move to/from Control Registers",
  forms: ["0F 22 /r Cd,Rd ; i64", "0F 22 /r Cq,Rq ; o64"],
  undefined: "oszapc",
  privileged: true,
  ends: true,
  meaning(o, dst, src) {
    const [number, value] = [o.get(dst), o.get(src)];
    const byHost = () => {
      o.call(WRITE_CONTROL, number, value.extendU());
    };
    if (o.long) byHost();
    else o.rarely(o.call(SWITCH_PROTECTION, number, value).eqz(), byHost, () => {});
    o.endBlock();
  },
});

export const MOV_FROM_DEBUG = instruction("mov", {
  spec: "SDM 2, MOV—Move to/from Debug Registers",
  forms: ["0F 21 /r Rd,Dd ; i64", "0F 21 /r Rq,Dq ; o64"],
  undefined: "oszapc",
  privileged: true,
  meaning(o, dst, src) {
    const value = o.call(READ_DEBUG, o.get(src));
    o.put(dst, dst.width === 64 ? value : value.wrap());
  },
});

export const MOV_TO_DEBUG = instruction("mov", {
  spec: "SDM 2, MOV—Move to/from Debug Registers",
  forms: ["0F 23 /r Dd,Rd ; i64", "0F 23 /r Dq,Rq ; o64"],
  undefined: "oszapc",
  privileged: true,
  ends: true,
  meaning(o, dst, src) {
    o.call(WRITE_DEBUG, o.get(dst), o.get(src).extendU());
    o.endBlock();
  },
});

export const CLTS = instruction("clts", {
  spec: "SDM 2, CLTS",
  forms: ["0F 06"],
  privileged: true,
  ends: true,
  meaning(o) {
    o.call(CLEAR_TASK_SWITCHED);
    o.endBlock();
  },
});

export const LMSW = instruction("lmsw", {
  spec: "SDM 2, LMSW",
  forms: ["0F 01 /6 Ew"],
  privileged: true,
  ends: true,
  meaning(o, src) {
    o.call(LOAD_STATUS_WORD, o.get(src));
    o.endBlock();
  },
});

/** A register gets as much of CR0 as it has bits, as processors since the 486 do. */
export const SMSW = instruction("smsw", {
  spec: "SDM 2, SMSW",
  forms: ["0F 01 /4 Rv", "0F 01 /4 Mw"],
  untested: READS_SYSTEM,
  meaning(o, dst) {
    const prevented = o.state("cr4").wrap().and(CR4_UMIP).ne(0);
    o.raiseIf(prevented.and(o.state("cpl").ne(0)), "GP", 0);
    const value = o.state("cr0");
    o.put(dst, dst.width === 64 ? value : value.wrap());
  },
});

/** EDX:EAX as an i64. */
export function edxEax(o: Semantics): Value {
  return o.register(RAX, 32).extendU().or(o.register(RDX, 32).extendU().shl(32));
}

/** EDX:EAX from an i64; the upper halves of RAX and RDX become zero. */
export function setEdxEax(o: Semantics, value: Value): void {
  o.setRegister(RAX, 32, value.wrap());
  o.setRegister(RDX, 32, value.shrU(32).wrap());
}

export const RDMSR = instruction("rdmsr", {
  spec: "SDM 2, RDMSR",
  forms: ["0F 32"],
  feature: "msr",
  privileged: true,
  meaning(o) {
    setEdxEax(o, o.call(READ_MSR, o.register(RCX, 32)));
  },
});

export const WRMSR = instruction("wrmsr", {
  spec: "SDM 2, WRMSR",
  forms: ["0F 30"],
  feature: "msr",
  privileged: true,
  ends: true,
  meaning(o) {
    o.call(WRITE_MSR, o.register(RCX, 32), edxEax(o));
    o.endBlock();
  },
});

export const CONTROL: readonly Instruction[] = [
  MOV_FROM_CONTROL,
  MOV_TO_CONTROL,
  MOV_FROM_DEBUG,
  MOV_TO_DEBUG,
  CLTS,
  LMSW,
  SMSW,
  RDMSR,
  WRMSR,
];
