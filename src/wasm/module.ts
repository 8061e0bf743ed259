/** Building a WebAssembly module. @spec WebAssembly Core 3.0, "Binary Format: Modules" */
import { ByteWriter, patchIndex } from "./bytes.ts";
import type { EncodedFunction } from "./emitter.ts";
import { type Callee, FunctionBuilder, type Signature } from "./function.ts";
import { TYPE_CODE, type ValueType } from "./opcodes.ts";

export interface MemoryImport {
  readonly module: string;
  readonly name: string;
  /** Pages of 64 KiB. */
  readonly initial: number;
  readonly maximum: number;
  readonly shared: boolean;
}

interface Import {
  readonly module: string;
  readonly name: string;
  readonly encode: (writer: ByteWriter) => void;
}

export function signature(params: readonly ValueType[], results: readonly ValueType[] = []): Signature {
  return { params, results };
}

/** The type of references to functions of the type with index `type`. */
function putFunctionReference(writer: ByteWriter, type: number): void {
  writer.byte(0x64);
  writer.signed(type);
}

/** An expression: the reference to a function. */
function putReference(writer: ByteWriter, { index }: Callee): void {
  writer.byte(0xd2);
  writer.unsigned(index);
  writer.byte(0x0b);
}

/** What builds a function's body, or the body as it was encoded for another module. */
export type FunctionBody = ((f: FunctionBuilder) => void) | EncodedFunction;

export class ModuleBuilder {
  readonly #types: string[] = [];
  readonly #typeBytes: Uint8Array[] = [];
  readonly #imports: Import[] = [];
  readonly #imported = new Map<string, Callee>();
  readonly #functions: {
    callee: Callee;
    body: FunctionBody;
    name: string | undefined;
    encoded: ((body: EncodedFunction) => void) | undefined;
  }[] = [];
  readonly #exports: { name: string; callee: Callee }[] = [];
  readonly #elements: { at: number; functions: readonly Callee[] }[] = [];
  /** Index of the type of table 0's entries. */
  #tableType = 0;
  #table: { readonly name: string; readonly entries: number; readonly filler: Callee } | undefined;

  #typeIndex = ({ params, results }: Signature): number => {
    const key = `${params.join()}>${results.join()}`;
    const known = this.#types.indexOf(key);
    if (known >= 0) return known;
    const writer = new ByteWriter(16);
    writer.byte(0x60);
    for (const list of [params, results]) {
      writer.unsigned(list.length);
      for (const type of list) writer.byte(TYPE_CODE[type]);
    }
    this.#types.push(key);
    this.#typeBytes.push(writer.view());
    return this.#types.length - 1;
  };

  /** Gives a type the next index, unless it has one. */
  declareType(type: Signature): void {
    this.#typeIndex(type);
  }

  /** Imports a function, once however often it is asked for; also while bodies are being built. */
  importFunction(module: string, name: string, type: Signature): Callee {
    const known = this.#imported.get(`${module}.${name}`);
    if (known) return known;
    const typeIndex = this.#typeIndex(type);
    this.#imports.push({
      module,
      name,
      encode: (writer) => {
        writer.byte(0);
        writer.unsigned(typeIndex);
      },
    });
    const callee = { index: this.#imported.size, signature: type, source: { module, name } };
    this.#imported.set(`${module}.${name}`, callee);
    return callee;
  }

  importMemory({ module, name, initial, maximum, shared }: MemoryImport): void {
    this.#imports.push({
      module,
      name,
      encode: (writer) => {
        writer.byte(2);
        writer.byte(shared ? 3 : 1);
        writer.unsigned(initial);
        writer.unsigned(maximum);
      },
    });
  }

  /**
   * Imports the function table, table 0 of the module. All its entries are functions of the type `element`, so that calls
   * need not look at that.
   */
  importTable(module: string, name: string, element: Signature, minimum: number): void {
    const type = this.#typeIndex(element);
    this.#tableType = type;
    this.#imports.push({
      module,
      name,
      encode: (writer) => {
        writer.byte(1);
        putFunctionReference(writer, type);
        writer.byte(0);
        writer.unsigned(minimum);
      },
    });
  }

  /** Defines and exports such a table of so many entries, each of which is `filler` at first. */
  exportTable(name: string, entries: number, filler: Callee): void {
    this.#tableType = this.#typeIndex(filler.signature);
    this.#table = { name, entries, filler };
  }

  /**
   * Declares a function; its body is built when the module is, so that functions may call each other. `encoded` is told
   * what became of the body, which can then be the body of functions of other modules that have the same types in the
   * same order.
   */
  function(
    type: Signature,
    body: FunctionBody,
    options: { export?: string; name?: string; encoded?: (body: EncodedFunction) => void } = {},
  ): Callee {
    const callee = { index: -1, signature: type };
    this.#typeIndex(type);
    const { name = options.export, encoded } = options;
    this.#functions.push({ callee, body, name, encoded });
    if (options.export !== undefined) this.#exports.push({ name: options.export, callee });
    return callee;
  }

  /** Puts functions into table 0 from entry `at` on when the module is instantiated. */
  elements(at: number, functions: readonly Callee[]): void {
    this.#elements.push({ at, functions });
  }

  /** The module's bytes. */
  build(): Uint8Array<ArrayBuffer> {
    // One after the other, so that only one of the graphs that they are encoded from is in memory.
    const bodies = this.#functions.map(({ callee, body }) => {
      if (typeof body !== "function") return body;
      const builder = new FunctionBuilder(callee.signature, this.#typeIndex);
      body(builder);
      return builder.finish();
    });
    // Bodies may have imported functions, which come first in the index space.
    this.#functions.forEach(({ callee }, i) => {
      callee.index = this.#imported.size + i;
    });
    for (const { bytes, calls } of bodies) for (const { at, callee } of calls) patchIndex(bytes, at, callee.index);
    this.#functions.forEach(({ encoded }, i) => void encoded?.(bodies[i] as EncodedFunction));
    const out = new ByteWriter(1024);
    out.bytes([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
    const section = (id: number, count: number, encode: (writer: ByteWriter) => void) => {
      if (count === 0) return;
      const writer = new ByteWriter(1024);
      writer.unsigned(count);
      encode(writer);
      out.byte(id);
      out.unsigned(writer.length);
      out.bytes(writer.view());
    };
    section(1, this.#typeBytes.length, (writer) => {
      for (const type of this.#typeBytes) writer.bytes(type);
    });
    section(2, this.#imports.length, (writer) => {
      for (const { module, name, encode } of this.#imports) {
        writer.name(module);
        writer.name(name);
        encode(writer);
      }
    });
    section(3, this.#functions.length, (writer) => {
      for (const { callee } of this.#functions) writer.unsigned(this.#typeIndex(callee.signature));
    });
    const table = this.#table;
    section(4, table ? 1 : 0, (writer) => {
      if (!table) return;
      writer.bytes([0x40, 0x00]);
      putFunctionReference(writer, this.#tableType);
      writer.byte(0);
      writer.unsigned(table.entries);
      putReference(writer, table.filler);
    });
    section(7, this.#exports.length + (table ? 1 : 0), (writer) => {
      if (table) {
        writer.name(table.name);
        writer.byte(1);
        writer.unsigned(0);
      }
      for (const { name, callee } of this.#exports) {
        writer.name(name);
        writer.byte(0);
        writer.unsigned(callee.index);
      }
    });
    section(9, this.#elements.length, (writer) => {
      for (const { at, functions } of this.#elements) {
        // Active, with a table and a type.
        writer.unsigned(6);
        writer.unsigned(0);
        writer.byte(0x41);
        writer.signed(at);
        writer.byte(0x0b);
        putFunctionReference(writer, this.#tableType);
        writer.unsigned(functions.length);
        for (const callee of functions) putReference(writer, callee);
      }
    });
    this.#branchHints(out, bodies);
    section(10, bodies.length, (writer) => {
      for (const { bytes } of bodies) {
        writer.unsigned(bytes.length);
        writer.bytes(bytes);
      }
    });
    this.#names(out);
    return out.view();
  }

  /** The custom section of conditions that nearly always go one way. @spec WebAssembly branch hinting proposal */
  #branchHints(out: ByteWriter, bodies: readonly EncodedFunction[]): void {
    const hinted = bodies.flatMap(({ hints }, i) => (hints.length > 0 ? [{ hints, i }] : []));
    if (hinted.length === 0) return;
    const section = new ByteWriter(256);
    section.name("metadata.code.branch_hint");
    section.unsigned(hinted.length);
    for (const { hints, i } of hinted) {
      section.unsigned(this.#imported.size + i);
      section.unsigned(hints.length);
      for (const { at, likely } of hints) {
        section.unsigned(at);
        section.unsigned(1);
        section.byte(likely ? 1 : 0);
      }
    }
    out.byte(0);
    out.unsigned(section.length);
    out.bytes(section.view());
  }

  /** The custom section that profilers and stack traces take function names from. */
  #names(out: ByteWriter): void {
    const named = this.#functions.filter(({ name }) => name !== undefined);
    if (named.length === 0) return;
    const map = new ByteWriter(256);
    map.unsigned(named.length);
    for (const { callee, name } of named) {
      map.unsigned(callee.index);
      map.name(name as string);
    }
    const section = new ByteWriter(map.length + 16);
    section.name("name");
    section.byte(1);
    section.unsigned(map.length);
    section.bytes(map.view());
    out.byte(0);
    out.unsigned(section.length);
    out.bytes(section.view());
  }
}
