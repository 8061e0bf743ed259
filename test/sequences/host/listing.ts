/** A sequence and the state that it starts from as text. */
import { decode } from "../../../src/cpu/decode/decoder.ts";
import { disassemble } from "../../../src/isa/disassemble.ts";
import { generalName } from "../../../src/isa/register-names.ts";
import { FIELD, FX, PLACE } from "../../conformance/record.ts";
import { assembleUnits, type HostSequence } from "./sequence.ts";

export function listing(sequence: HostSequence, input: DataView): string[] {
  const { bits, start } = sequence;
  const { image, end } = assembleUnits(sequence);
  const hex = (number: bigint | number) => number.toString(16);
  const names = Array.from({ length: bits === 64 ? 16 : 8 }, (_, i) => generalName(i, bits, true));
  const registers = names.map((name, i) => `${name}=${hex(input.getBigUint64(FIELD.gpr + 8 * i, true))}`);
  const lines = [
    `flags=${hex(input.getUint32(FIELD.rflags, true))} mxcsr=${hex(input.getUint32(FIELD.fx + FX.mxcsr, true))}`,
    registers.slice(0, 8).join(" "),
    registers.slice(8).join(" "),
  ];
  for (let at = start; at <= end; ) {
    const position = at - PLACE.code;
    const decoded = decode(image, position, image.length, { long: bits === 64, code32: bits === 32 }, () => true);
    const length = typeof decoded === "string" ? 1 : decoded.length;
    const bytes = Buffer.from(image.subarray(position, position + length)).toString("hex");
    const text = typeof decoded === "string" ? `(${decoded})` : disassemble(decoded, BigInt(at));
    lines.push(`${hex(at)}  ${bytes.padEnd(20)}  ${text}`);
    at += length;
  }
  return lines.filter((line) => line !== "").map((line) => `  ${line}`);
}
