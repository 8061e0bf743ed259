/**
 * A small assembler for tests and tools, in the manner of NASM: instructions, labels, db/dw/dd/dq, `equ`, `times`,
 * `align`, `bits`. Prefixes are words in front: lock, rep, repe, repne, segment names, o16/o32, a16/a32.
 *
 *     assemble("start: mov rax,[rbx+rcx*4+8]\n jnz start", { bits: 64, origin: 0x1000n })
 */
import {
  AssemblyError,
  type Expression,
  OperandReader,
  type ParsedOperand,
  quoted,
  tokenize,
} from "./assembly-syntax.ts";
import { type CodeBits, littleEndian } from "./encode.ts";
import { SEGMENT_NAMES } from "./register-names.ts";
import { isMnemonic, type Place, type Statement, selectForm } from "./select-form.ts";
import type { OperandSize } from "./semantics.ts";

export { AssemblyError } from "./assembly-syntax.ts";

export interface AssembleOptions {
  readonly bits: CodeBits;
  /** Address of the first byte. */
  readonly origin?: bigint;
  /** Values of further symbols. */
  readonly symbols?: Readonly<Record<string, bigint>>;
}

export interface Assembled {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Labels' addresses and values of `equ`. */
  readonly symbols: ReadonlyMap<string, bigint>;
}

/** What a line puts at its place. */
type Content = (place: Place) => ArrayLike<number>;

interface Line {
  readonly number: number;
  readonly text: string;
  readonly label: string | undefined;
  readonly equ: Expression | undefined;
  readonly bits: CodeBits;
  readonly content: Content | undefined;
}

const DATA: Record<string, number> = { db: 8, dw: 16, dd: 32, dq: 64 };
const SIZE_PREFIXES: Record<string, { operandSize?: OperandSize; addressSize?: OperandSize }> = {
  o16: { operandSize: 16 },
  o32: { operandSize: 32 },
  o64: { operandSize: 64 },
  a16: { addressSize: 16 },
  a32: { addressSize: 32 },
  a64: { addressSize: 64 },
};
const REPEAT_PREFIXES: Record<string, "repe" | "repne"> = {
  rep: "repe",
  repe: "repe",
  repz: "repe",
  repne: "repne",
  repnz: "repne",
};

function data(reader: OperandReader, width: number): Content {
  const items: Content[] = [];
  do {
    const text = reader.peekText();
    if (text !== undefined && width === 8) {
      reader.next();
      items.push(() => [...text].map((c) => c.charCodeAt(0) & 0xff));
    } else {
      const value = reader.expression();
      items.push(({ lookup }) => littleEndian(value.evaluate(lookup), width));
    }
  } while (reader.take(","));
  return (place) => items.flatMap((item) => Array.from(item(place)));
}

/** Prefixes, mnemonic and operands. */
function statement(tokens: string[]): Content {
  let lock = false;
  let repeat: Statement["repeat"];
  let segment: number | undefined;
  let sizes: { operandSize?: OperandSize; addressSize?: OperandSize } = {};
  let word = "";
  let at = 0;
  for (; at < tokens.length; at++) {
    word = (tokens[at] as string).toLowerCase();
    const segmentNumber = (SEGMENT_NAMES as readonly string[]).indexOf(word);
    if (word === "lock") lock = true;
    else if (REPEAT_PREFIXES[word]) repeat = REPEAT_PREFIXES[word];
    else if (SIZE_PREFIXES[word]) sizes = { ...sizes, ...SIZE_PREFIXES[word] };
    else if (segmentNumber >= 0) segment = segmentNumber;
    else break;
  }
  if (!isMnemonic(word)) throw new AssemblyError(`"${word}" is no instruction`);
  // Some names have their operand in them: "push es".
  const whole = tokens.slice(at).join(" ").toLowerCase();
  if (tokens.length > at + 1 && isMnemonic(whole)) {
    word = whole;
    at = tokens.length;
  }
  const reader = new OperandReader(tokens.slice(at + 1));
  const operands: ParsedOperand[] = [];
  while (!reader.done) {
    if (operands.length > 0) reader.expect(",");
    operands.push(reader.operand());
  }
  const parsed: Statement = {
    mnemonic: word,
    operands,
    lock,
    repeat,
    segment,
    operandSize: sizes.operandSize,
    addressSize: sizes.addressSize,
  };
  return (place) => selectForm(parsed, place);
}

/** A directive's or an instruction's content. */
function content(tokens: string[]): Content | undefined {
  const word = (tokens[0] ?? "").toLowerCase();
  if (word === "") return undefined;
  const reader = new OperandReader(tokens.slice(1));
  const width = DATA[word];
  if (width) return data(reader, width);
  if (word === "times") {
    const count = reader.expression();
    const repeated = content(tokens.slice(tokens.length - reader.left));
    return (place) => {
      const unit = Array.from(repeated?.({ ...place, minimum: 0 }) ?? []);
      return Array.from({ length: Number(count.evaluate(place.lookup)) }, () => unit).flat();
    };
  }
  if (word === "align") {
    const boundary = reader.expression();
    const fill = reader.take(",") ? reader.expression() : undefined;
    return ({ address, lookup }) => {
      const to = boundary.evaluate(lookup);
      const length = Number((to - (address % to)) % to);
      return new Uint8Array(length).fill(Number(fill?.evaluate(lookup) ?? 0x90n));
    };
  }
  return statement(tokens);
}

function parse(source: string, start: CodeBits): Line[] {
  let bits = start;
  return source.split("\n").map((text, i) => {
    const number = i + 1;
    return located(number, text, () => {
      let tokens = tokenize(text);
      let label: string | undefined;
      let equ: Expression | undefined;
      const [first = "", second = ""] = tokens;
      if (second === ":" && quoted(first) === undefined) {
        label = first;
        tokens = tokens.slice(2);
      } else if (second.toLowerCase() === "equ") {
        label = first;
        equ = new OperandReader(tokens.slice(2)).expression();
        tokens = [];
      } else if (first.toLowerCase() === "bits") {
        bits = Number(second) as CodeBits;
        if (![16, 32, 64].includes(bits)) throw new AssemblyError("bits are 16, 32 or 64");
        tokens = [];
      }
      return { number, text, label, equ, bits, content: content(tokens) };
    });
  });
}

/** Runs `work`; what is wrong gets the line's number and text. */
function located<T>(number: number, text: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof AssemblyError)) throw error;
    throw new AssemblyError(`line ${number}: ${error.message}: ${text.trim()}`);
  }
}

/** Passes in which jumps may grow before lengths must have settled. */
const PASSES = 64;

/** Assembles `source`; throws AssemblyError with the line's number and text. */
export function assemble(source: string, options: AssembleOptions): Assembled {
  const { bits, origin = 0n, symbols: given = {} } = options;
  const lines = parse(source, bits);
  const symbols = new Map<string, bigint>(Object.entries(given));
  const known = new Set([...symbols.keys(), ...lines.map(({ label }) => label).filter((label) => label !== undefined)]);
  const lengths = lines.map(() => 0);
  for (let pass = 0; pass < PASSES; pass++) {
    let settled = pass > 0;
    let address = origin;
    const output: number[] = [];
    lines.forEach(({ number, text, label, equ, bits, content }, i) => {
      located(number, text, () => {
        const here = address;
        const lookup = (name: string): bigint => {
          if (name === "$") return here;
          if (name === "$$") return origin;
          // On the first pass labels further on are taken to be near.
          if (!known.has(name)) throw new AssemblyError(`"${name}" is not defined`);
          return symbols.get(name) ?? here;
        };
        if (label !== undefined) {
          const value = equ ? equ.evaluate(lookup) : here;
          if (symbols.get(label) !== value) settled = false;
          symbols.set(label, value);
        }
        const bytes = content?.({ bits, address, lookup, minimum: lengths[i] as number }) ?? [];
        lengths[i] = bytes.length;
        for (let k = 0; k < bytes.length; k++) output.push(bytes[k] as number);
        address += BigInt(bytes.length);
      });
    });
    if (settled) return { bytes: Uint8Array.from(output), symbols };
  }
  throw new AssemblyError("instruction lengths do not settle");
}
