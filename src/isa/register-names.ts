/** Assembler names of registers, by file, width and number. */

const LEGACY = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"];
const LOW_BYTES = ["al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"];
/** 8-bit registers 4–7 of an instruction without a REX prefix. */
const HIGH_BYTES = ["ah", "ch", "dh", "bh"];
export const SEGMENT_NAMES = ["es", "cs", "ss", "ds", "fs", "gs"] as const;

export interface NamedRegister {
  readonly file: "general" | "segment" | "control" | "debug" | "xmm" | "mmx" | "st";
  readonly number: number;
  readonly width: number;
  /** AH, CH, DH, BH: bits 8–15 of registers 0–3, encoded as 4–7 where there is no REX prefix. */
  readonly high: boolean;
}

/** Name of a general register; 8-bit registers 4–7 are AH to BH unless the instruction has a REX prefix. */
export function generalName(number: number, width: number, rex: boolean): string {
  if (width === 8 && !rex && number >= 4 && number < 8) return HIGH_BYTES[number - 4] as string;
  if (number >= 8) return `r${number}${width === 8 ? "b" : width === 16 ? "w" : width === 32 ? "d" : ""}`;
  const legacy = LEGACY[number] as string;
  if (width === 8) return LOW_BYTES[number] as string;
  return width === 16 ? legacy : (width === 32 ? "e" : "r") + legacy;
}

const NAMED = new Map<string, NamedRegister>();

for (const width of [8, 16, 32, 64]) {
  for (let number = 0; number < 16; number++) {
    NAMED.set(generalName(number, width, true), { file: "general", number, width, high: false });
  }
}
HIGH_BYTES.forEach((name, i) => {
  NAMED.set(name, { file: "general", number: i + 4, width: 8, high: true });
});
SEGMENT_NAMES.forEach((name, number) => {
  NAMED.set(name, { file: "segment", number, width: 16, high: false });
});
for (let number = 0; number < 16; number++) {
  NAMED.set(`cr${number}`, { file: "control", number, width: 64, high: false });
  NAMED.set(`dr${number}`, { file: "debug", number, width: 64, high: false });
  NAMED.set(`xmm${number}`, { file: "xmm", number, width: 128, high: false });
}
for (let number = 0; number < 8; number++) {
  NAMED.set(`mm${number}`, { file: "mmx", number, width: 64, high: false });
  NAMED.set(`st(${number})`, { file: "st", number, width: 80, high: false });
  NAMED.set(`st${number}`, { file: "st", number, width: 80, high: false });
}
NAMED.set("st", { file: "st", number: 0, width: 80, high: false });

/** The register that `name` (lower case) stands for. */
export function namedRegister(name: string): NamedRegister | undefined {
  return NAMED.get(name);
}
