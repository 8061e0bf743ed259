/**
 * What each key of a US keyboard gives in the BIOS's buffer: scan code and character, by shift state.
 * @spec IBM PC/AT Technical Reference, "Keyboard encoding and usage"; PS/2 BIOS Interface Technical Reference, INT 16h
 */

/** Words of scan code and character; 0 for what gives none. */
export interface KeyWords {
  readonly plain: number;
  readonly shift: number;
  readonly control: number;
  readonly alt: number;
  /** What Caps Lock turns round. */
  readonly letter: boolean;
  /** On the numeric pad: Num Lock turns Shift round. */
  readonly pad: boolean;
}

const KEYS = new Map<number, KeyWords>();

function key(scan: number, words: Partial<KeyWords>): void {
  KEYS.set(scan, { plain: 0, shift: 0, control: 0, alt: 0, letter: false, pad: false, ...words });
}
const word = (scan: number, character: string | number) =>
  (scan << 8) | (typeof character === "number" ? character : character.charCodeAt(0));

/** Rows of characters from a scan code on, plain and shifted. */
function row(first: number, plain: string, shifted: string): void {
  for (const [i, character] of [...plain].entries()) {
    const scan = first + i;
    const letter = /[a-z]/.test(character);
    const code = character.charCodeAt(0);
    const control = letter
      ? word(scan, code - 0x60)
      : CONTROLS[character] !== undefined
        ? word(scan, CONTROLS[character])
        : 0;
    key(scan, {
      plain: word(scan, character),
      shift: word(scan, shifted[i] as string),
      control,
      alt: word(scan, 0),
      letter,
    });
  }
}
const CONTROLS: Readonly<Record<string, number>> = { "[": 0x1b, "\\": 0x1c, "]": 0x1d };

row(0x10, "qwertyuiop[]", "QWERTYUIOP{}");
row(0x1e, "asdfghjkl;'`", 'ASDFGHJKL:"~');
row(0x2b, "\\zxcvbnm,./", "|ZXCVBNM<>?");
row(0x56, "\\", "|");
// Digits have scan codes of their own with Alt.
for (const [i, digit] of [..."1234567890-="].entries()) {
  const scan = 2 + i;
  const control = digit === "2" ? 0x0300 : digit === "6" ? word(scan, 0x1e) : digit === "-" ? word(scan, 0x1f) : 0;
  const shift = word(scan, "!@#$%^&*()_+"[i] as string);
  key(scan, { plain: word(scan, digit), shift, control, alt: (0x78 + i) << 8 });
}
key(0x01, { plain: 0x011b, shift: 0x011b, control: 0x011b, alt: 0x0100 });
key(0x0e, { plain: 0x0e08, shift: 0x0e08, control: 0x0e7f, alt: 0x0e00 });
key(0x0f, { plain: 0x0f09, shift: 0x0f00, control: 0x9400, alt: 0xa500 });
key(0x1c, { plain: 0x1c0d, shift: 0x1c0d, control: 0x1c0a, alt: 0x1c00 });
key(0x39, { plain: 0x3920, shift: 0x3920, control: 0x3920, alt: 0x3920 });
for (let i = 0; i < 10; i++) {
  const scan = 0x3b + i;
  key(scan, { plain: scan << 8, shift: (0x54 + i) << 8, control: (0x5e + i) << 8, alt: (0x68 + i) << 8 });
}
for (const i of [0, 1]) {
  const scan = 0x57 + i;
  const at = (first: number) => (first + i) << 8;
  key(scan, { plain: at(0x85), shift: at(0x87), control: at(0x89), alt: at(0x8b) });
}
key(0x37, { plain: 0x372a, shift: 0x372a, control: 0x9600, alt: 0x3700 });
key(0x4a, { plain: 0x4a2d, shift: 0x4a2d, control: 0x8e00, alt: 0x4a00 });
key(0x4e, { plain: 0x4e2b, shift: 0x4e2b, control: 0x9000, alt: 0x4e00 });
const PAD: readonly [scan: number, digit: string, control: number][] = [
  [0x47, "7", 0x77],
  [0x48, "8", 0x8d],
  [0x49, "9", 0x84],
  [0x4b, "4", 0x73],
  [0x4c, "5", 0x8f],
  [0x4d, "6", 0x74],
  [0x4f, "1", 0x75],
  [0x50, "2", 0x91],
  [0x51, "3", 0x76],
  [0x52, "0", 0x92],
  [0x53, ".", 0x93],
];
for (const [scan, digit, control] of PAD) {
  key(scan, { plain: scan << 8, shift: word(scan, digit), control: control << 8, pad: true });
}

/** The grey keys, which send E0 first. */
const EXTENDED = new Map<number, KeyWords>();
for (const [scan, , control] of PAD) {
  const plain = (scan << 8) | 0xe0;
  const alt = scan === 0x4c ? 0 : (scan + 0x50) << 8;
  EXTENDED.set(scan, { plain, shift: plain, control: (control << 8) | 0xe0, alt, letter: false, pad: false });
}
EXTENDED.set(0x1c, { plain: 0xe00d, shift: 0xe00d, control: 0xe00a, alt: 0xa600, letter: false, pad: false });
EXTENDED.set(0x35, { plain: 0xe02f, shift: 0xe02f, control: 0x9500, alt: 0xa400, letter: false, pad: false });

export const keyWords = (scan: number, extended: boolean): KeyWords | undefined =>
  extended ? EXTENDED.get(scan) : KEYS.get(scan);

const BY_CHARACTER = new Map<number, number>();
for (const { plain, shift, control } of KEYS.values()) {
  for (const each of [control, shift, plain]) if ((each & 0xff) !== 0) BY_CHARACTER.set(each & 0xff, each);
}
BY_CHARACTER.set(0x0d, 0x1c0d);
BY_CHARACTER.set(0x0a, 0x1c0a);
BY_CHARACTER.set(0x08, 0x0e08);
BY_CHARACTER.set(0x7f, 0x0e08);
BY_CHARACTER.set(0x09, 0x0f09);
BY_CHARACTER.set(0x1b, 0x011b);

/** The word for a character typed on a terminal. */
export const wordOfCharacter = (character: number): number => BY_CHARACTER.get(character) ?? character;
