/** x87 control instructions. @spec SDM 1, 8.3.11 and 8.6 */
import { type Instruction, type InstructionSpec, instruction } from "./instruction.ts";
import type { Semantics } from "./semantics.ts";
import type { Value } from "./value.ts";
import { FPU_SET_CONTROL, FPU_SET_STATUS, fpuOf } from "./x87-functions.ts";

/** What FNINIT sets. @spec SDM 2, FINIT/FNINIT */
const INITIAL_CONTROL = 0x37f;
const ALL_EMPTY = 0xff;

/** The status word as programs see it, TOP included. */
export const statusWord = (o: Semantics): Value => o.state("fpuStatus").or(o.state("fpuTop").shl(11));

export function initialise(o: Semantics): void {
  o.call(FPU_SET_STATUS, fpuOf(o), 0);
  o.setState("fpuControl", INITIAL_CONTROL);
  o.setState("fpuTop", 0);
  o.setState("fpuTag", ALL_EMPTY);
  o.setState("fpuIp", 0);
  o.setState("fpuCs", 0);
  o.setState("fpuDp", 0);
  o.setState("fpuDs", 0);
  o.setState("fpuOpcode", 0);
}

const FNINIT: InstructionSpec = {
  spec: "SDM 2, FINIT/FNINIT",
  forms: ["DB E3"],
  feature: "fpu",
  unit: "x87-nowait",
  meaning: initialise,
};

const FNCLEX: InstructionSpec = {
  spec: "SDM 2, FCLEX/FNCLEX",
  forms: ["DB E2"],
  feature: "fpu",
  unit: "x87-nowait",
  meaning(o) {
    o.call(FPU_SET_STATUS, fpuOf(o), o.state("fpuStatus").and(~0x80ff));
  },
};

const FLDCW: InstructionSpec = {
  spec: "SDM 2, FLDCW",
  forms: ["D9 /5 Mw"],
  feature: "fpu",
  unit: "x87",
  meaning(o, src) {
    o.call(FPU_SET_CONTROL, fpuOf(o), o.get(src));
  },
};

const FNSTCW: InstructionSpec = {
  spec: "SDM 2, FSTCW/FNSTCW",
  forms: ["D9 /7 Mw"],
  feature: "fpu",
  unit: "x87-nowait",
  meaning: (o, dst) => o.put(dst, o.state("fpuControl")),
};

const FNSTSW: InstructionSpec = {
  spec: "SDM 2, FSTSW/FNSTSW",
  forms: ["DD /7 Mw", "DF E0 AX"],
  feature: "fpu",
  unit: "x87-nowait",
  meaning: (o, dst) => o.put(dst, statusWord(o)),
};

const FWAIT: InstructionSpec = {
  spec: "SDM 2, WAIT/FWAIT",
  forms: ["9B"],
  unit: "wait",
  meaning() {},
};

/** What the 8087 and 80287 needed and later processors ignore. @spec SDM 3B 23.18.10 */
const ignored = (name: string, modrm: string): Instruction =>
  instruction(name, {
    spec: "SDM 3B 23.18.10",
    forms: [`DB ${modrm}`],
    feature: "fpu",
    unit: "x87-nowait",
    meaning() {},
  });

export const X87_CONTROL: readonly Instruction[] = [
  instruction("fninit", FNINIT),
  instruction("fnclex", FNCLEX),
  instruction("fldcw", FLDCW),
  instruction("fnstcw", FNSTCW),
  instruction("fnstsw", FNSTSW),
  instruction("fwait", FWAIT),
  ignored("fneni", "E0"),
  ignored("fndisi", "E1"),
  ignored("fnsetpm", "E4"),
];
