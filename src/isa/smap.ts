/** CLAC and STAC, which open and close supervisor access to user pages. */
import { declareFunction } from "./functions.ts";
import { type Instruction, instruction } from "./instruction.ts";

/** Brings what supervisors may access in line with EFLAGS.AC. */
const SUPERVISOR_ACCESS_CHANGED = declareFunction("supervisorAccessChanged", {
  in: "wasm",
  params: [],
  changesAccess: true,
});
const ALIGNMENT_CHECK = 1 << 18;

const alignmentCheck = (name: string, form: string, set: boolean): Instruction =>
  instruction(name, {
    spec: `SDM 2, ${name.toUpperCase()}`,
    forms: [form],
    feature: "smap",
    meaning(o) {
      // #UD, not #GP, outside of CPL 0.
      o.raiseIf(o.state("cpl"), "UD");
      const before = o.state("eflagsSystem");
      o.setState("eflagsSystem", set ? before.or(ALIGNMENT_CHECK) : before.and(~ALIGNMENT_CHECK));
      o.call(SUPERVISOR_ACCESS_CHANGED);
    },
  });

export const CLAC = alignmentCheck("clac", "NP 0F 01 CA", false);
export const STAC = alignmentCheck("stac", "NP 0F 01 CB", true);

export const SMAP: readonly Instruction[] = [CLAC, STAC];
