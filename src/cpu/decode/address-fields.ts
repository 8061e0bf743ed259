/**
 * Addresses of a kernel's code and data in instructions of 64-bit code: they are others each time it is started, where all
 * else in the instruction stays.
 */
import type { Decoded } from "./decoder.ts";

/** A displacement or an immediate: where it is in the instruction's bytes, and what it says, sign-extended. */
export interface AddressField {
  readonly at: number;
  readonly size: 4 | 8;
  readonly value: bigint;
}

export interface AddressFields {
  readonly displacement?: AddressField;
  readonly immediate?: AddressField;
}

const NONE: AddressFields = {};

/** Whether a kernel may have its code and data there. @spec Linux Documentation/arch/x86/x86_64/mm.rst */
const isAddress = (value: number): boolean => value >= -(2 ** 31) && value < -(2 ** 30);

/** The fields of an instruction that may be such addresses. */
export function addressFields({ memory, immediate, immediateAt, form, length, addressSize }: Decoded): AddressFields {
  const inMemory = memory !== undefined && !memory.ripRelative && isAddress(memory.displacement);
  const inImmediate = immediate < 0n && isAddress(Number(immediate));
  if ((!inMemory && !inImmediate) || addressSize !== 64) return NONE;
  const fields: { displacement?: AddressField; immediate?: AddressField } = {};
  // Some forms of POP count from somewhere else than their bytes say.
  if (inMemory && !form.attributes.has("sp+")) {
    fields.displacement = { at: immediateAt - 4, size: 4, value: BigInt(memory.displacement) };
  }
  const places = form.operands.map(({ place }) => place);
  const size = length - immediateAt;
  const isAlone = places.filter((place) => place === "immediate" || place === "moffs").length === 1;
  if (inImmediate && isAlone && (size === 4 || size === 8)) {
    fields.immediate = { at: immediateAt, size, value: immediate };
  }
  return fields;
}
