/** Which forms are tested in which mode, and why others are not. */
import { FORMS, INSTRUCTIONS } from "../../src/isa/index.ts";
import type { Form } from "../../src/isa/instruction.ts";
import type { Bits } from "./record.ts";

export interface Job {
  readonly form: Form;
  readonly bits: Bits;
}

/** A form in a mode as text. */
export function jobName({ form, bits }: Job): string {
  return `${form.instruction.name} (${form.text}), ${bits} bits`;
}

/** Why a form is not tested in code of this size; undefined where it is. What the host lacks is not known here. */
export function exclusion({ form, bits }: Job): string | undefined {
  const { instruction, attributes } = form;
  if (instruction.untested) return instruction.untested;
  if (attributes.has(bits === 64 ? "i64" : "o64")) return `not in ${bits}-bit code`;
  return undefined;
}

/** All forms in all modes whose name holds `text`. */
export function jobs(text = ""): Job[] {
  const all: Job[] = FORMS.flatMap((form) => [
    { form, bits: 64 },
    { form, bits: 32 },
    { form, bits: 16 },
  ]);
  return all.filter((job) => jobName(job).includes(text));
}

/** What reports add up: the manual's groups, as far as an instruction's unit and feature show them. */
export function groupOf({ form }: Job): string {
  const { unit, feature, privileged } = form.instruction;
  if (privileged) return "privileged (fault at CPL 3)";
  if (unit === "x87" || unit === "x87-nowait" || unit === "wait") return "x87";
  if (unit === "mmx" || unit === "emms") return "MMX";
  if (unit === "sse") return feature?.toUpperCase().replace("_", ".") ?? "SSE";
  if (form.vex || feature === "adx" || feature === "bmi1") return "BMI and ADX";
  return "general";
}

export const INSTRUCTION_COUNT = INSTRUCTIONS.length;
export const FORM_COUNT = FORMS.length;
