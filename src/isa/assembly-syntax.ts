/** Syntax of assembler operands and expressions, in the manner of NASM and of the manuals. */
import { type NamedRegister, namedRegister } from "./register-names.ts";
import type { OperandSize } from "./semantics.ts";

/** What is wrong with a line of assembly. */
export class AssemblyError extends Error {}

/** Value of a symbol; throws AssemblyError where there is none. */
export type Lookup = (symbol: string) => bigint;

export interface Expression {
  evaluate(lookup: Lookup): bigint;
  /** Depends on symbols, whose values may change while instructions find their lengths. */
  readonly symbolic: boolean;
}

export interface MemoryReference {
  readonly kind: "memory";
  /** Bits, where a size keyword gives them; of a far pointer, those of the offset. */
  readonly size: number | undefined;
  readonly far: boolean;
  readonly base: number | undefined;
  readonly index: number | undefined;
  readonly scale: 1 | 2 | 4 | 8;
  readonly displacement: Expression | undefined;
  /** The displacement is the target's address ("rel x"), or counts from the next instruction ("rip+x"). */
  readonly relative: "target" | "distance" | undefined;
  readonly segment: number | undefined;
  /** As the registers in the address have it. */
  readonly addressSize: OperandSize | undefined;
}
export type ParsedOperand =
  | { readonly kind: "register"; readonly register: NamedRegister }
  | MemoryReference
  | {
      readonly kind: "immediate";
      readonly value: Expression;
      readonly size: number | undefined;
      readonly short: boolean;
    }
  | { readonly kind: "far"; readonly selector: Expression; readonly offset: Expression };

const TOKEN =
  /\s*(st\(\d\)|0x[0-9a-f_]+|0b[01_]+|\d[\d_]*|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[a-z_.@$?][\w.@$?]*|<<|>>|[-+*(),:[\]|~])/iy;

/** Splits a line into tokens; comments (from ";" on) are left out. */
export function tokenize(line: string): string[] {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  for (;;) {
    const start = TOKEN.lastIndex;
    const rest = line.slice(start).trimStart();
    if (rest === "" || rest.startsWith(";")) return tokens;
    const match = TOKEN.exec(line);
    if (!match) throw new AssemblyError(`cannot read "${rest}"`);
    tokens.push(match[1] as string);
  }
}

const SIZES: Record<string, number> = {
  byte: 8,
  word: 16,
  dword: 32,
  fword: 48,
  qword: 64,
  tbyte: 80,
  tword: 80,
  oword: 128,
  xmmword: 128,
};

/** The characters of a quoted token. */
export function quoted(token: string): string | undefined {
  const quote = token[0];
  if (quote !== "'" && quote !== '"') return undefined;
  return token.slice(1, -1).replace(/\\(.)/g, (_all, c: string) => ({ n: "\n", r: "\r", t: "\t", "0": "\0" })[c] ?? c);
}

const constant = (value: bigint): Expression => ({ evaluate: () => value, symbolic: false });
const combined = (a: Expression, b: Expression, compute: (a: bigint, b: bigint) => bigint): Expression => ({
  evaluate: (lookup) => compute(a.evaluate(lookup), b.evaluate(lookup)),
  symbolic: a.symbolic || b.symbolic,
});

/** Reads operands and expressions from the tokens of one line. */
export class OperandReader {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  get done(): boolean {
    return this.#at >= this.#tokens.length;
  }

  /** Tokens not read yet. */
  get left(): number {
    return this.#tokens.length - this.#at;
  }

  #peek(): string {
    return (this.#tokens[this.#at] ?? "").toLowerCase();
  }

  take(token: string): boolean {
    if (this.#peek() !== token) return false;
    this.#at++;
    return true;
  }

  expect(token: string): void {
    if (!this.take(token))
      throw new AssemblyError(`"${token}" is expected, not "${this.#tokens[this.#at] ?? "the end"}"`);
  }

  /** The next token as it stands. */
  next(): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw new AssemblyError("the line ends too early");
    return token;
  }

  peekText(): string | undefined {
    return quoted(this.#tokens[this.#at] ?? "");
  }

  /** sum [| sum ...] */
  expression(): Expression {
    let value = this.#sum();
    while (this.take("|")) value = combined(value, this.#sum(), (a, b) => a | b);
    return value;
  }

  #sum(): Expression {
    let value = this.#product();
    for (;;) {
      if (this.take("+")) value = combined(value, this.#product(), (a, b) => a + b);
      else if (this.take("-")) value = combined(value, this.#product(), (a, b) => a - b);
      else return value;
    }
  }

  #product(): Expression {
    let value = this.#factor();
    for (;;) {
      if (this.take("*")) value = combined(value, this.#factor(), (a, b) => a * b);
      else if (this.take("<<")) value = combined(value, this.#factor(), (a, b) => a << b);
      else if (this.take(">>")) value = combined(value, this.#factor(), (a, b) => a >> b);
      else return value;
    }
  }

  #factor(): Expression {
    if (this.take("-")) return combined(constant(0n), this.#factor(), (a, b) => a - b);
    if (this.take("+")) return this.#factor();
    if (this.take("~")) return combined(constant(-1n), this.#factor(), (a, b) => a ^ b);
    if (this.take("(")) {
      const value = this.expression();
      this.expect(")");
      return value;
    }
    const token = this.next();
    if (/^\d/.test(token)) return constant(BigInt(token.replaceAll("_", "").toLowerCase()));
    const text = quoted(token);
    if (text !== undefined) {
      return constant([...text].reduceRight((value, c) => (value << 8n) | BigInt(c.charCodeAt(0) & 0xff), 0n));
    }
    if (!/^[a-z_.@$?]/i.test(token)) throw new AssemblyError(`"${token}" is no value`);
    return { evaluate: (lookup) => lookup(token), symbolic: true };
  }

  operand(): ParsedOperand {
    let size: number | undefined;
    let far = false;
    let short = false;
    for (;;) {
      const word = this.#peek();
      if (SIZES[word] !== undefined) size = SIZES[word];
      else if (word === "far") far = true;
      else if (word === "short") short = true;
      else if (word !== "ptr" && word !== "near") break;
      this.#at++;
    }
    const register = namedRegister(this.#peek());
    if (register?.file === "segment" && this.#tokens[this.#at + 1] === ":") {
      this.#at += 2;
      return this.#memory(size, far, register.number);
    }
    if (register) {
      this.#at++;
      return { kind: "register", register };
    }
    if (this.#peek() === "[") return this.#memory(size, far, undefined);
    const value = this.expression();
    if (this.take(":")) return { kind: "far", selector: value, offset: this.expression() };
    return { kind: "immediate", value, size, short };
  }

  /** "[" [segment ":"] ["rel"] terms "]" */
  #memory(size: number | undefined, far: boolean, outer: number | undefined): MemoryReference {
    this.expect("[");
    let segment = outer;
    const first = namedRegister(this.#peek());
    if (first?.file === "segment") {
      segment = first.number;
      this.#at++;
      this.expect(":");
    }
    let relative: MemoryReference["relative"] = this.take("rel") ? "target" : undefined;
    let base: NamedRegister | undefined;
    let index: NamedRegister | undefined;
    let scale = 1;
    let displacement: Expression | undefined;
    let negative = false;
    let relativeSize: OperandSize | undefined;
    do {
      const scaled = this.#scaledRegister();
      if (scaled === "rip" || scaled === "eip") {
        relative = "distance";
        relativeSize = scaled === "rip" ? 64 : 32;
      } else if (scaled) {
        if (negative) throw new AssemblyError("a register cannot be subtracted");
        if (scaled.scale === undefined && !base) base = scaled.register;
        else if (!index) [index, scale] = [scaled.register, scaled.scale ?? 1];
        else if (scaled.scale === undefined || base) throw new AssemblyError("too many registers in an address");
      } else {
        const term = this.#product();
        const sum = displacement ?? constant(0n);
        displacement = combined(sum, term, negative ? (a, b) => a - b : (a, b) => a + b);
      }
      negative = this.#peek() === "-";
    } while (this.take("+") || this.take("-"));
    this.expect("]");
    // RSP cannot be an index; without a scale the two may change places.
    if (index && scale === 1 && index.number === 4 && base) [base, index] = [index, base];
    if (![1, 2, 4, 8].includes(scale)) throw new AssemblyError("the scale is 1, 2, 4 or 8");
    const widths = [base, index].filter((register) => register !== undefined).map(({ width }) => width);
    if (new Set(widths).size > 1) throw new AssemblyError("registers of an address differ in size");
    return {
      kind: "memory",
      size,
      far,
      base: base?.number,
      index: index?.number,
      scale: scale as 1 | 2 | 4 | 8,
      displacement,
      relative,
      segment,
      addressSize: relativeSize ?? (widths[0] as OperandSize | undefined),
    };
  }

  /** A register, "register*scale" or "scale*register" at the present place, if there is one. */
  #scaledRegister(): { register: NamedRegister; scale: number | undefined } | "rip" | "eip" | undefined {
    const token = this.#peek();
    if (token === "rip" || token === "eip") {
      this.#at++;
      return token;
    }
    const register = namedRegister(token);
    if (register) {
      if (register.file !== "general" || register.width === 8)
        throw new AssemblyError(`${token} cannot be in an address`);
      this.#at++;
      return { register, scale: this.take("*") ? Number(this.next()) : undefined };
    }
    const after = namedRegister((this.#tokens[this.#at + 2] ?? "").toLowerCase());
    if (/^[1248]$/.test(token) && this.#tokens[this.#at + 1] === "*" && after?.file === "general") {
      this.#at += 3;
      return { register: after, scale: Number(token) };
    }
    return undefined;
  }
}
