/** The parts of a file by which its kind is recognised. */
export interface Sample {
  /** Bytes of the whole file. */
  size: number;
  /** Its first bytes. */
  head: Uint8Array;
  /** Its last bytes. */
  tail: Uint8Array;
}

/** Whether the characters of `magic`, as bytes, stand at `at`. */
export function holds(bytes: Uint8Array, at: number, magic: string): boolean {
  for (let i = 0; i < magic.length; i++) if (bytes[at + i] !== magic.charCodeAt(i)) return false;
  return true;
}

/** Little-endian; bytes that are not there count as 0. */
export const u16At = (bytes: Uint8Array, at: number): number => (bytes[at] ?? 0) + (bytes[at + 1] ?? 0) * 256;

/** Little-endian; bytes that are not there count as 0. */
export const u32At = (bytes: Uint8Array, at: number): number => u16At(bytes, at) + u16At(bytes, at + 2) * 65536;
