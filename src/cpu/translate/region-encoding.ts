/** A kept region as bytes: what tells it, its code, and its function, in this order, as one after the other is needed. */
import type { ByteReader } from "../../wasm/byte-reader.ts";
import { ByteWriter } from "../../wasm/bytes.ts";
import type { EncodedFunction } from "../../wasm/emitter.ts";
import type { Callee } from "../../wasm/function.ts";
import type { ModuleBuilder } from "../../wasm/module.ts";
import { TYPE_CODE, type ValueType } from "../../wasm/opcodes.ts";
import type { CodeRun, ReadCode } from "./code-reader.ts";

export interface RegionIdentity {
  /** `codeKey` of the block that it begins with. */
  readonly key: number;
  /** Name of the processor model. */
  readonly model: string;
  /** What decoding depended on (state.ts, BLOCK_CONTEXT). */
  readonly context: number;
  /** Where in its page it begins. */
  readonly offset: number;
}

interface Made {
  readonly instructions: number;
  readonly nodes: readonly number[];
  readonly code: readonly Pick<ReadCode, "distance" | "runs">[];
}

/** The region's bytes; undefined where its function calls others of its module. */
export function encodeRegion(identity: RegionIdentity, made: Made, body: EncodedFunction): Uint8Array | undefined {
  const writer = new ByteWriter(4096);
  writer.unsigned(identity.key);
  writer.name(identity.model);
  writer.unsigned(identity.context);
  writer.unsigned(identity.offset);
  writer.unsigned(made.code.length);
  for (const { distance, runs } of made.code) {
    writer.signed(distance);
    writer.unsigned(runs.length);
    for (const { offset, bytes } of runs) {
      writer.unsigned(offset);
      writer.unsigned(bytes.length);
      writer.bytes(bytes);
    }
  }
  writer.unsigned(made.instructions);
  writer.unsigned(made.nodes.length);
  for (const node of made.nodes) writer.signed(node);
  writer.unsigned(body.bytes.length);
  writer.bytes(body.bytes);
  writer.unsigned(body.hints.length);
  for (const { at, likely } of body.hints) writer.unsigned(at * 2 + (likely ? 1 : 0));
  const callees = [...new Set(body.calls.map(({ callee }) => callee))];
  writer.unsigned(callees.length);
  for (const { source, signature } of callees) {
    if (source === undefined) return undefined;
    writer.name(source.module);
    writer.name(source.name);
    for (const types of [signature.params, signature.results]) {
      writer.unsigned(types.length);
      for (const type of types) writer.byte(TYPE_CODE[type]);
    }
  }
  writer.unsigned(body.calls.length);
  for (const { at, callee } of body.calls) {
    writer.unsigned(at);
    writer.unsigned(callees.indexOf(callee));
  }
  return writer.view().slice();
}

export function readIdentity(bytes: ByteReader): RegionIdentity {
  const key = bytes.unsigned();
  const model = bytes.name();
  return { key, model, context: bytes.unsigned(), offset: bytes.unsigned() };
}

export function readCode(bytes: ByteReader): Pick<ReadCode, "distance" | "runs">[] {
  // Copies: a view would take all that it is a part of along to another thread.
  const run = (): CodeRun => ({ offset: bytes.unsigned(), bytes: new Uint8Array(bytes.take(bytes.unsigned())) });
  return bytes.list(() => ({ distance: bytes.signed32(), runs: bytes.list(run) }));
}

export interface KeptBody {
  readonly instructions: number;
  readonly nodes: readonly number[];
  bodyFor(module: ModuleBuilder): EncodedFunction;
}

export function readBody(bytes: ByteReader): KeptBody {
  const instructions = bytes.unsigned();
  const nodes = bytes.list(() => bytes.signed32());
  const body = bytes.take(bytes.unsigned());
  const hints = bytes.list(() => bytes.unsigned()).map((hint) => ({ at: hint >>> 1, likely: (hint & 1) !== 0 }));
  const types = (): ValueType[] => bytes.list(() => bytes.type());
  const callees = bytes.list(() => ({
    source: { module: bytes.name(), name: bytes.name() },
    signature: { params: types(), results: types() },
  }));
  const calls = bytes.list(() => ({ at: bytes.unsigned(), callee: bytes.unsigned() }));
  return {
    instructions,
    nodes,
    bodyFor(module) {
      const imported = callees.map(({ source, signature }) =>
        module.importFunction(source.module, source.name, signature),
      );
      const sites = calls.map(({ at, callee }) => ({ at, callee: imported[callee] as Callee }));
      return { bytes: body, hints, marks: [], calls: sites };
    },
  };
}
