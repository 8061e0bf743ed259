/** Instructions that ran, as text. */
import { disassemble } from "../../isa/disassemble.ts";
import { decode, MAX_LENGTH } from "../decode/decoder.ts";
import { CodeWalk, pagingMode } from "../mmu/code-walk.ts";
import type { Processor } from "../processor.ts";
import { CONTEXT, hostAddress } from "../state.ts";

/** Lines at the most: of a longer path, the end. */
const LINES = 400;

/** Up to `length` bytes of code at a linear address: fewer where the next page is not there. */
export function codeAt({ registers }: Processor, linear: bigint, length: number): Uint8Array {
  const walk = new CodeWalk(registers.bytes.buffer);
  const paging = pagingMode(registers);
  const bytes: number[] = [];
  while (bytes.length < length) {
    const at = linear + BigInt(bytes.length);
    const page = walk.translate(at & ~0xfffn, paging);
    if (page === undefined) break;
    const first = hostAddress(page) + Number(at & 0xfffn);
    bytes.push(...registers.bytes.subarray(first, Math.min(first + length - bytes.length, hostAddress(page) + 4096)));
  }
  return Uint8Array.from(bytes);
}

/** The instructions at offsets in the code segment, of which the low 32 bits are given. */
export function listing(processor: Processor, path: readonly number[]): string[] {
  const { registers } = processor;
  const context = registers.get32("context");
  const mode = { long: (context & CONTEXT.long) !== 0, code32: (context & CONTEXT.code32) !== 0 };
  const ip = registers.get64("ip");
  const linear = processor.linearIp;
  return path.slice(-LINES).map((low) => {
    // None is farther away than that.
    const distance = BigInt.asIntN(32, BigInt(low) - ip);
    const offset = mode.long ? BigInt.asUintN(64, ip + distance) : BigInt(low);
    const at = mode.long ? offset : (linear + distance) & 0xffff_ffffn;
    const code = codeAt(processor, at, MAX_LENGTH);
    const decoded = code.length === 0 ? "not mapped" : decode(code, 0, code.length, mode, () => true);
    const text = typeof decoded === "string" ? `(${decoded})` : disassemble(decoded, offset);
    return `${offset.toString(16)}  ${text}`;
  });
}
