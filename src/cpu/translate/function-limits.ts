/** What hosts let a function be. @spec WebAssembly JavaScript Interface, "Implementation-defined Limits" */
import { ByteReader } from "../../wasm/byte-reader.ts";

const MOST_BYTES = 7_654_321;
/** Parameters count, too. */
const MOST_LOCALS = 50_000;
const PARAMETERS = 16;

/** Whether no host need take a function with this encoded body. */
export function exceedsLimits(body: Uint8Array): boolean {
  if (body.length > MOST_BYTES) return true;
  const reader = new ByteReader(body);
  const counts = reader.list(() => {
    const count = reader.unsigned();
    reader.type();
    return count;
  });
  return counts.reduce((sum, count) => sum + count, PARAMETERS) > MOST_LOCALS;
}
