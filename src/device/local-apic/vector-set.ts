/** Sets of interrupt vectors as IRR, ISR and TMR hold them: 256 bits in eight 32-bit words. */

export function setVector(set: Uint32Array, vector: number, present: boolean): void {
  const word = vector >>> 5;
  const bit = 1 << (vector & 31);
  if (present) set[word]! |= bit;
  else set[word]! &= ~bit;
}

export function hasVector(set: Uint32Array, vector: number): boolean {
  return (set[vector >>> 5]! & (1 << (vector & 31))) !== 0;
}

/** The highest vector in the set, -1 if it is empty. */
export function highestVector(set: Uint32Array): number {
  for (let word = 7; word >= 0; word--) {
    const value = set[word]!;
    if (value !== 0) return word * 32 + 31 - Math.clz32(value);
  }
  return -1;
}
