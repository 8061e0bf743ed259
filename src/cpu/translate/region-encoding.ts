/** A kept region as bytes: its head, which is what tells it and its code, and its body, which is its function. */
import type { ByteReader } from "../../wasm/byte-reader.ts";
import { ByteWriter } from "../../wasm/bytes.ts";
import type { EncodedFunction } from "../../wasm/emitter.ts";
import type { Callee } from "../../wasm/function.ts";
import type { ModuleBuilder } from "../../wasm/module.ts";
import { TYPE_CODE, type ValueType } from "../../wasm/opcodes.ts";
import type { CodeConstant, CodeReader, CodeRun, PlacedCode, ReadCode } from "./code-reader.ts";
import type { StoredRegion } from "./region-store.ts";

export interface RegionIdentity {
  /** `codeKey` of the block that it begins with. */
  readonly key: number;
  /** Name of the processor model. */
  readonly model: string;
  /** What decoding depended on (state.ts, BLOCK_CONTEXT). */
  readonly context: number;
  /** Where in its page it begins, and with which byte. */
  readonly offset: number;
  readonly first: number;
}

interface Made {
  readonly instructions: number;
  readonly nodes: readonly number[];
  readonly code: readonly Pick<ReadCode, "distance" | "runs">[];
}

type ConstantPlace = Omit<CodeConstant, "value">;

/** The region as bytes; undefined where its function calls others of its module. */
export function encodeRegion(
  identity: RegionIdentity,
  made: Made,
  constants: readonly ConstantPlace[],
  body: EncodedFunction,
): Pick<StoredRegion, "head" | "body"> | undefined {
  const writer = new ByteWriter(4096);
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
  return { head: encodeHead(identity, made, constants), body: writer.view().slice() };
}

function encodeHead(identity: RegionIdentity, made: Made, constants: readonly ConstantPlace[]): Uint8Array {
  const writer = new ByteWriter(1024);
  writer.unsigned(identity.key);
  writer.name(identity.model);
  writer.unsigned(identity.context);
  writer.unsigned(identity.offset);
  writer.byte(identity.first);
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
  writer.unsigned(constants.length);
  for (const { distance, offset, size } of constants) {
    writer.signed(distance);
    writer.unsigned(offset);
    writer.byte(size);
  }
  writer.unsigned(made.instructions);
  writer.unsigned(made.nodes.length);
  for (const node of made.nodes) writer.signed(node);
  return writer.view().slice();
}

export function readIdentity(bytes: ByteReader): RegionIdentity {
  const key = bytes.unsigned();
  const model = bytes.name();
  return { key, model, context: bytes.unsigned(), offset: bytes.unsigned(), first: bytes.byte() };
}

function readCode(bytes: ByteReader): Pick<ReadCode, "distance" | "runs">[] {
  const run = (): CodeRun => ({ offset: bytes.unsigned(), bytes: bytes.take(bytes.unsigned()) });
  return bytes.list(() => ({ distance: bytes.signed32(), runs: bytes.list(run) }));
}

function readConstants(bytes: ByteReader): ConstantPlace[] {
  return bytes.list(() => ({
    distance: bytes.signed32(),
    offset: bytes.unsigned(),
    size: bytes.byte() === 8 ? 8 : 4,
  }));
}

/** The code of a region as it lies here, if that region is the wanted one. */
export function matchHead(head: ByteReader, wanted: RegionIdentity, reader: CodeReader): PlacedCode | undefined {
  const { model, context, offset } = readIdentity(head);
  if (model !== wanted.model || context !== wanted.context || offset !== wanted.offset) return undefined;
  return reader.match(readCode(head), readConstants(head));
}

/** What the head ends with: the number of guest instructions, and the distances at which nodes begin. */
export function readSize(bytes: ByteReader): { readonly instructions: number; readonly nodes: readonly number[] } {
  return { instructions: bytes.unsigned(), nodes: bytes.list(() => bytes.signed32()) };
}

/** The function, for a module whose types begin with the same ones (`codeModule`). */
export type BodyFor = (module: ModuleBuilder) => EncodedFunction;

export function readBody(bytes: ByteReader): BodyFor {
  const body = bytes.take(bytes.unsigned());
  const hints = bytes.list(() => bytes.unsigned()).map((hint) => ({ at: hint >>> 1, likely: (hint & 1) !== 0 }));
  const types = (): ValueType[] => bytes.list(() => bytes.type());
  const callees = bytes.list(() => ({
    source: { module: bytes.name(), name: bytes.name() },
    signature: { params: types(), results: types() },
  }));
  const calls = bytes.list(() => ({ at: bytes.unsigned(), callee: bytes.unsigned() }));
  return (module) => {
    const imported = callees.map(({ source, signature }) =>
      module.importFunction(source.module, source.name, signature),
    );
    const sites = calls.map(({ at, callee }) => ({ at, callee: imported[callee] as Callee }));
    return { bytes: body, hints, marks: [], calls: sites };
  };
}
