/** What `src/isa` defines, as rows, and the rows as a text table and as docs/instructions.md. */
import { CPU_MODELS } from "../src/cpu/system/models.ts";
import { INSTRUCTIONS } from "../src/isa/index.ts";
import type { Feature, Form, Instruction } from "../src/isa/instruction.ts";
import { Generator } from "../test/conformance/generate/generator.ts";
import { Random } from "../test/conformance/generate/values.ts";
import { exclusion } from "../test/conformance/plan.ts";
import type { Bits } from "../test/conformance/record.ts";

export interface FormRow {
  readonly text: string;
  /** Sizes of code in which the form is compared with a real processor. */
  readonly compared: readonly Bits[];
}

export interface InstructionRow {
  readonly name: string;
  readonly spec: string;
  readonly feature: Feature;
  readonly forms: readonly FormRow[];
  /** Names of flags, such as "OF AF". */
  readonly undefinedFlags: string;
  readonly privileged: boolean;
  /** Why no form is compared, where the definition says. */
  readonly untested: string | undefined;
}

const MODES: readonly Bits[] = [16, 32, 64];
const FLAG_NAMES: readonly (readonly [letter: string, name: string])[] = [
  ["o", "OF"],
  ["s", "SF"],
  ["z", "ZF"],
  ["a", "AF"],
  ["p", "PF"],
  ["c", "CF"],
];

function flagNames(letters: string): string {
  return FLAG_NAMES.filter(([letter]) => letters.includes(letter))
    .map(([, name]) => name)
    .join(" ");
}

/** Every instruction in the order of the set. */
export function instructionRows(): InstructionRow[] {
  // The seed decides operands, not which forms can be encoded.
  const generators = MODES.map((bits) => new Generator(bits, new Random(1)));
  const compared = (form: Form): Bits[] =>
    generators
      .filter(({ bits }) => exclusion({ form, bits }) === undefined)
      .filter((generator) => generator.operandSizes(form).length > 0)
      .map(({ bits }) => bits);
  return INSTRUCTIONS.map((instruction: Instruction) => ({
    name: instruction.name.replaceAll("|", "/"),
    spec: instruction.spec,
    feature: instruction.feature ?? "base",
    forms: instruction.parsed.map((form) => ({ text: form.text, compared: compared(form) })),
    undefinedFlags: flagNames(instruction.undefined ?? ""),
    privileged: instruction.privileged ?? false,
    untested: instruction.untested,
  }));
}

/** "16, 32 and 64". */
function list(numbers: readonly number[]): string {
  const last = numbers.at(-1);
  return numbers.length > 1 ? `${numbers.slice(0, -1).join(", ")} and ${last}` : String(last);
}

/** The sizes of code in which any form is compared, or why none is. */
function comparison({ forms, privileged, untested }: InstructionRow): string {
  const modes = MODES.filter((bits) => forms.some(({ compared }) => compared.includes(bits)));
  if (modes.length === 0) return `no: ${untested ?? "no encoding"}`;
  return `${list(modes)} bits${privileged ? ", the fault" : ""}`;
}

interface Counts {
  readonly instructions: number;
  readonly forms: number;
  readonly comparedInstructions: number;
  readonly comparedForms: number;
}

export const isCompared = ({ compared }: FormRow): boolean => compared.length > 0;

export function count(rows: readonly InstructionRow[]): Counts {
  const forms = rows.flatMap((row) => row.forms);
  return {
    instructions: rows.length,
    forms: forms.length,
    comparedInstructions: rows.filter((row) => row.forms.some(isCompared)).length,
    comparedForms: forms.filter(isCompared).length,
  };
}

export function totals(rows: readonly InstructionRow[]): string {
  const { instructions, forms, comparedInstructions, comparedForms } = count(rows);
  return `${instructions} instructions in ${forms} forms; ${comparedInstructions} instructions in ${comparedForms} forms are compared with a real processor`;
}

/** A line for each form; `rows` may be a part of the set. */
export function textTable(rows: readonly InstructionRow[]): string {
  const cells = rows.flatMap((row) =>
    row.forms.map(({ text }, i) =>
      i === 0 ? [row.name, text, row.feature, row.undefinedFlags || "-", comparison(row)] : ["", text, "", "", ""],
    ),
  );
  const table = [["NAME", "FORM", "FEATURE", "UNDEFINED", "COMPARED WITH A PROCESSOR"], ...cells];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((line) => (line[column] as string).length)));
  const lines = table.map((line) => line.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  "));
  return `${lines.map((line) => line.trimEnd()).join("\n")}\n\n${totals(rows)}\n`;
}

const INTRODUCTION = `# Instructions

<!-- Written by \`npm run isa -- --markdown > docs/instructions.md\`; a test holds it against the definitions. -->

What the processor executes, as \`src/isa/\` defines it. \`npm run isa\` prints the same table in a terminal,
\`npm run isa -- shl bt\` the lines of some instructions.

- **Form** is an encoding in the notation of the manual's opcode tables, with operands as in SDM 2D, appendix A
  (\`src/isa/instruction.ts\` and \`src/isa/operand.ts\` have all of it). Behind a semicolon: \`i64\` is not there in
  64-bit mode, \`o64\` only there, \`d64\` and \`f64\` have 64-bit operands there by default or always.
- **Undefined** are flags that the manual leaves open; they are not compared.
- **Compared** says in which sizes of code \`test/conformance/\` executes random tests of the instruction both here
  and on the host's own processor, at privilege level 3, and compares registers, flags, memory and exceptions; else
  why it does not. Of a privileged instruction, that is only the fault. The tests beside \`src/cpu/system/\` run most
  of those that are not compared.
- A section is what CPUID announces together; "base" is on every processor. Models are those of \`bunk run --cpu\`.
`;

type Alignment = "left" | "right";

/** A table in Markdown, its columns as wide as their cells: so the formatter leaves it. */
function markdownTable(head: readonly string[], alignment: readonly Alignment[], rows: readonly string[][]): string {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => (row[i] as string).length)));
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const padded = (cells: readonly string[]) =>
    line(cells.map((cell, i) => (alignment[i] === "right" ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))));
  const rule = widths.map((width, i) => (alignment[i] === "right" ? `${"-".repeat(width - 1)}:` : "-".repeat(width)));
  return `${[padded(head), line(rule), ...rows.map(padded)].join("\n")}\n`;
}

/** The names of processor models that have the feature. */
function modelsWith(feature: Feature): string {
  return CPU_MODELS.filter((model) => model.has(feature))
    .map(({ name }) => name)
    .join(", ");
}

/** docs/instructions.md. */
export function markdown(rows: readonly InstructionRow[]): string {
  const byFeature = [...Map.groupBy(rows, ({ feature }) => feature)];
  const overview = byFeature.map(([feature, group]) => {
    const counts = count(group);
    const numbers = [counts.instructions, counts.forms, counts.comparedForms].map(String);
    return [`[${feature}](#${feature})`, ...numbers, modelsWith(feature) || "none"];
  });
  const sections = byFeature.map(([feature, group]) => {
    const lines = group.flatMap((row) =>
      row.forms.map(({ text }, i) =>
        i === 0 ? [row.name, `\`${text}\``, row.undefinedFlags, comparison(row)] : ["", `\`${text}\``, "", ""],
      ),
    );
    const head = ["instruction", "form", "undefined", "compared"];
    return `## ${feature}\n\n${markdownTable(head, ["left", "left", "left", "left"], lines)}`;
  });
  const head = ["feature", "instructions", "forms", "forms compared", "models"];
  return [
    INTRODUCTION,
    `${totals(rows)}.\n`,
    markdownTable(head, ["left", "right", "right", "right", "left"], overview),
    ...sections,
  ].join("\n");
}
