/**
 * Modules as this folder makes them, as text: functions one by one, instructions by their names in the text format.
 * Sections and instructions that `ModuleBuilder` does not write are refused. @spec WebAssembly Core 3.0, "Binary Format"
 */
import { ByteReader } from "./byte-reader.ts";
import { opcodesByCode, type ValueType } from "./opcodes.ts";

export interface ModuleFunction {
  /** From the name section, or its number. */
  readonly name: string;
  /** The body as `FunctionBuilder.finish` gave it, with the declarations of its local variables. */
  readonly body: Uint8Array;
}

export interface ReadModule {
  /** Names of imported functions, and of the module's own behind them: what calls go to. */
  readonly names: readonly string[];
  /** The module's own functions. */
  readonly functions: readonly ModuleFunction[];
}

export interface Instruction {
  /** Where in the body it begins. */
  readonly at: number;
  readonly text: string;
  /** How many blocks it is in. */
  readonly depth: number;
}

const IMPORT = { function: 0, table: 1, memory: 2 } as const;
const SECTION = { custom: 0, import: 2, code: 10 } as const;
const HEADER_BYTES = 8;
const FUNCTION_NAMES = 1;

/** @throws RangeError for what is no such module. */
export function readModule(bytes: Uint8Array): ReadModule {
  const reader = new ByteReader(bytes);
  reader.take(HEADER_BYTES);
  let imported: string[] = [];
  let bodies: Uint8Array[] = [];
  const given = new Map<number, string>();
  while (!reader.isAtEnd) {
    const id = reader.byte();
    const section = new ByteReader(reader.take(reader.unsigned()));
    if (id === SECTION.import) imported = section.list(() => readImport(section)).flat();
    if (id === SECTION.code) bodies = section.list(() => section.take(section.unsigned()));
    if (id === SECTION.custom && section.name() === "name") readNames(section, given);
  }
  const names = [...imported, ...bodies.map((_, i) => `function ${i}`)].map((name, i) => given.get(i) ?? name);
  return { names, functions: bodies.map((body, i) => ({ name: names[imported.length + i] as string, body })) };
}

/** The name of an imported function; nothing for other imports. */
function readImport(section: ByteReader): string[] {
  section.name();
  const name = section.name();
  switch (section.byte()) {
    case IMPORT.function:
      section.unsigned();
      return [name];
    case IMPORT.table:
      // A reference to functions of one type.
      section.byte();
      section.signed32();
      break;
    case IMPORT.memory:
      break;
    default:
      throw new RangeError(`${name} is imported as something unknown`);
  }
  const hasMaximum = section.byte() & 1;
  section.unsigned();
  if (hasMaximum) section.unsigned();
  return [];
}

function readNames(section: ByteReader, names: Map<number, string>): void {
  if (section.byte() !== FUNCTION_NAMES) return;
  section.unsigned();
  section.list(() => names.set(section.unsigned(), section.name()));
}

/** Types of a body's local variables, parameters left out. */
export function localsOf(body: Uint8Array): ValueType[] {
  const reader = new ByteReader(body);
  return reader
    .list(() => ({ count: reader.unsigned(), type: reader.type() }))
    .flatMap(({ count, type }) => Array<ValueType>(count).fill(type));
}

type Text = (reader: ByteReader, names: readonly string[]) => string;
const withIndex =
  (name: string): Text =>
  (reader) =>
    `${name} ${reader.unsigned()}`;
const withCallee =
  (name: string): Text =>
  (reader, names) => {
    const index = reader.unsigned();
    return `${name} $${names[index] ?? index}`;
  };
const block =
  (name: string): Text =>
  (reader) => {
    reader.byte();
    return name;
  };
const plain =
  (name: string): Text =>
  () =>
    name;
const numberText = (value: bigint) => {
  const magnitude = value < 0n ? -value : value;
  return magnitude < 1000n ? `${value}` : `${value < 0n ? "-" : ""}0x${magnitude.toString(16)}`;
};

/** Instructions that are not in opcodes.ts, by their opcodes. */
const OTHERS: Readonly<Record<string, Text>> = {
  "0": plain("unreachable"),
  "2": block("block"),
  "3": block("loop"),
  "4": block("if"),
  "5": plain("else"),
  "11": plain("end"),
  "12": withIndex("br"),
  "13": withIndex("br_if"),
  "14": (reader) => `br_table ${[...reader.list(() => reader.unsigned()), reader.unsigned()].join(" ")}`,
  "15": plain("return"),
  "16": withCallee("call"),
  "18": withCallee("return_call"),
  "19": (reader) => `return_call_indirect (type ${reader.unsigned()}) ${reader.unsigned()}`,
  "26": plain("drop"),
  "27": plain("select"),
  "32": withIndex("local.get"),
  "33": withIndex("local.set"),
  "34": withIndex("local.tee"),
  "35": withIndex("global.get"),
  "65": (reader) => `i32.const ${numberText(reader.signed())}`,
  "66": (reader) => `i64.const ${numberText(reader.signed())}`,
  "67": (reader) => `f32.const ${reader.f32()}`,
  "68": (reader) => `f64.const ${reader.f64()}`,
  "252,10": (reader) => `memory.copy ${reader.byte()} ${reader.byte()}`,
  "252,11": (reader) => `memory.fill ${reader.byte()}`,
  "253,12": (reader) => `v128.const i8x16 ${[...reader.take(16)].join(" ")}`,
  "253,13": (reader) => `i8x16.shuffle ${[...reader.take(16)].join(" ")}`,
};
const PREFIXES = new Set([0xfc, 0xfd, 0xfe]);
const OPCODES = opcodesByCode();

/** The instructions of a function's body. @throws RangeError for one that is unknown. */
export function disassembleBody(body: Uint8Array, names: readonly string[]): Instruction[] {
  const reader = new ByteReader(body);
  reader.list(() => [reader.unsigned(), reader.byte()]);
  const instructions: Instruction[] = [];
  let depth = 0;
  while (!reader.isAtEnd) {
    const { at } = reader;
    const text = instructionText(reader, names);
    if (text === "else" || text === "end") depth--;
    instructions.push({ at, text, depth: Math.max(depth, 0) });
    if (text === "else" || text === "block" || text === "loop" || text === "if") depth++;
  }
  return instructions;
}

function instructionText(reader: ByteReader, names: readonly string[]): string {
  const { at } = reader;
  const first = reader.byte();
  if (PREFIXES.has(first)) reader.unsigned();
  const code = reader.bytes.subarray(at, reader.at).join();
  const known = OPCODES.get(code);
  if (known === undefined) {
    const other = OTHERS[code];
    if (other === undefined) throw new RangeError(`the instruction ${code} at ${at} is unknown`);
    return other(reader, names);
  }
  switch (known.immediates) {
    case "none":
      return known.name;
    case "lane":
      return `${known.name} ${reader.byte()}`;
    case "memory": {
      reader.unsigned();
      const offset = reader.unsigned();
      return offset === 0 ? known.name : `${known.name} offset=${numberText(BigInt(offset))}`;
    }
  }
}
