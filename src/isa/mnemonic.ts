/** Names of instructions whose name depends on a size: "cbw|cwde|cdqe", "movd|movq", "jcxz|jecxz|jrcxz". */
import type { Form } from "./instruction.ts";
import type { OperandSize } from "./semantics.ts";

/** A name of a form, and the size that it implies. */
export interface Spelling {
  readonly name: string;
  readonly operandSize: OperandSize | undefined;
  readonly addressSize: OperandSize | undefined;
}

/** The sizes that a list of names is for: the last ones where there are fewer than three and the last is for 64 bits. */
function sizesOf(names: readonly string[]): readonly OperandSize[] {
  if (names.length === 2) return names[1]?.endsWith("q") ? [32, 64] : [16, 32];
  return [16, 32, 64];
}

/** What a form is called, by operand or address size. */
export function spellings(form: Form): readonly Spelling[] {
  const names = form.instruction.name.split("|");
  const open = { operandSize: undefined, addressSize: undefined };
  if (names.length === 1) return [{ name: form.instruction.name, ...open }];
  const sizes = sizesOf(names);
  if (names[0]?.endsWith("cxz")) {
    return names.map((name, i) => ({ name, operandSize: undefined, addressSize: sizes[i] }));
  }
  // Operands of a fixed size decide the name by themselves.
  if (form.operands.length > 0 && form.operands.every(({ width }) => typeof width === "number")) {
    const width = Math.min(...form.operands.map(({ memoryWidth }) => Number(memoryWidth)));
    const at = (sizes as readonly number[]).indexOf(width);
    return [{ name: names[Math.max(at, 0)] as string, ...open }];
  }
  // Operands of 32 or 64 bits are of 32 where code has 16-bit operands, too.
  const wide = form.operands.some(({ width }) => width === "y");
  const sized = names.map((name, i) => {
    const size = sizes[i];
    return { name, operandSize: wide && size !== 64 ? undefined : size, addressSize: undefined };
  });
  // "pusha|pushad": the short name takes the size that code has, and a "w" tells 16 bits; "cbw|cwde" names sizes only.
  const [short = ""] = names;
  if (names[1] !== `${short}d`) return sized;
  return [{ name: `${short}w`, operandSize: 16, addressSize: undefined }, ...sized.slice(1), { name: short, ...open }];
}

/** The form's name at these sizes. */
export function mnemonic(form: Form, operandSize: OperandSize, addressSize: OperandSize): string {
  const all = spellings(form);
  const exact = all.find((spelling) => spelling.operandSize === operandSize || spelling.addressSize === addressSize);
  return (exact ?? all.find((spelling) => spelling.operandSize === undefined) ?? (all[0] as Spelling)).name;
}
