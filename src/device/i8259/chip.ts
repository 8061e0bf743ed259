/**
 * One 8259A: priority resolver, command words and status reads. The cascade is in i8259.ts.
 *
 * @spec Intel 8259A datasheet (231468-003), "Programming the 8259A"
 */
import { bits } from "../../bits/fields.ts";

/** Initialization Command Word 1, and the bits that tell the command words apart. */
export const Icw1 = bits({ ic4: 0, sngl: 1, adi: 2, ltim: 3, icw1: 4 });
export const Icw4 = bits({ upm: 0, aeoi: 1, ms: 2, buf: 3, sfnm: 4 });
export const Ocw2 = bits({ level: [0, 2], command: [5, 7] });
export const Ocw3 = bits({ ris: 0, rr: 1, poll: 2, ocw3: 3, smm: 5, esmm: 6 });

/** Ocw2 commands: R, SL, EOI (bits 7 to 5). */
const Command = {
  clearRotateInAutoEoi: 0b000,
  nonSpecificEoi: 0b001,
  specificEoi: 0b011,
  setRotateInAutoEoi: 0b100,
  rotateOnNonSpecificEoi: 0b101,
  setPriority: 0b110,
  rotateOnSpecificEoi: 0b111,
} as const;

export interface ChipState {
  /** Levels of the IR inputs, a bit each. */
  ir: number;
  irr: number;
  isr: number;
  imr: number;
  /** Edge/level control register: 1 for level-triggered. */
  elcr: number;
  /** Bits 7 to 3 of the vectors (ICW2). */
  vectorBase: number;
  /** Which ICW the data port takes next, 0 when initialization is over. */
  nextIcw: 0 | 2 | 3 | 4;
  icw4Needed: boolean;
  single: boolean;
  autoEoi: boolean;
  rotateInAutoEoi: boolean;
  specialFullyNested: boolean;
  specialMask: boolean;
  /** The next read is a poll. */
  poll: boolean;
  /** The command port reads as ISR, not IRR. */
  readIsr: boolean;
  /** The IR input of lowest priority. */
  lowest: number;
}

export const powerOnChip = (): ChipState => ({
  ir: 0,
  irr: 0,
  isr: 0,
  imr: 0xff,
  elcr: 0,
  vectorBase: 0,
  nextIcw: 0,
  icw4Needed: false,
  single: false,
  autoEoi: false,
  rotateInAutoEoi: false,
  specialFullyNested: false,
  specialMask: false,
  poll: false,
  readIsr: false,
  lowest: 7,
});

/** No request, no level in service. */
export const NONE = -1;

/**
 * Sets an IR input. A request lasts only as long as its input is high, in edge mode too: a device that
 * lets go before the acknowledge makes a default IR7 ("Edge and Level Triggered Modes").
 */
export function setInput(chip: ChipState, level: number, high: boolean): void {
  const bit = 1 << level;
  if (high === ((chip.ir & bit) !== 0)) return;
  if (high) {
    chip.ir |= bit;
    chip.irr |= bit;
  } else {
    chip.ir &= ~bit;
    chip.irr &= ~bit;
  }
}

/** The set bit of `levels` that has the highest priority, as a distance from it: 0 is the highest. */
function priority(chip: ChipState, levels: number): number {
  if (levels === 0) return 8;
  const rotated = ((levels << 8) | levels) >>> (chip.lowest + 1);
  return 31 - Math.clz32(rotated & -rotated);
}

const levelOf = (chip: ChipState, distance: number): number => (chip.lowest + 1 + distance) & 7;

/**
 * The IR level that the chip asks service for, or `NONE`. `cascadeLevel` is the input that a slave is
 * on: in special fully nested mode it is not locked out while it is itself in service.
 */
export function request(chip: ChipState, cascadeLevel = NONE): number {
  const wanted = priority(chip, chip.irr & ~chip.imr);
  if (wanted === 8) return NONE;
  const level = levelOf(chip, wanted);
  const serving = priority(chip, chip.specialMask ? chip.isr & ~chip.imr : chip.isr);
  if (wanted < serving) return level;
  return wanted === serving && chip.specialFullyNested && level === cascadeLevel ? level : NONE;
}

/** The acknowledge of `level`: the edge latch is spent, the level is in service (or over at once, with AEOI). */
export function accept(chip: ChipState, level: number): void {
  const bit = 1 << level;
  if ((chip.elcr & bit) === 0) chip.irr &= ~bit;
  if (!chip.autoEoi) chip.isr |= bit;
  else if (chip.rotateInAutoEoi) chip.lowest = level;
}

/** Ends the service of `level` (an EOI). */
function endOfInterrupt(chip: ChipState, level: number, rotate: boolean): void {
  chip.isr &= ~(1 << level);
  if (rotate) chip.lowest = level;
}

/** In special mask mode a masked level's ISR bit is out of a non-specific EOI's reach ("Special Mask Mode"). */
function nonSpecificEoi(chip: ChipState, rotate: boolean): void {
  const serving = priority(chip, chip.specialMask ? chip.isr & ~chip.imr : chip.isr);
  if (serving < 8) endOfInterrupt(chip, levelOf(chip, serving), rotate);
}

function writeIcw1(chip: ChipState, value: number): void {
  const icw1 = Icw1(value);
  // The edge sense circuit is reset: an edge-triggered input must go low and high again to be seen.
  chip.irr = chip.ir & chip.elcr;
  chip.isr = 0;
  chip.imr = 0;
  chip.lowest = 7;
  chip.specialMask = false;
  chip.readIsr = false;
  chip.poll = false;
  chip.autoEoi = false;
  chip.rotateInAutoEoi = false;
  chip.specialFullyNested = false;
  chip.icw4Needed = icw1.ic4;
  chip.single = icw1.sngl;
  chip.nextIcw = 2;
}

function writeOcw2(chip: ChipState, value: number): void {
  const { command, level } = Ocw2(value);
  switch (command) {
    case Command.clearRotateInAutoEoi:
      chip.rotateInAutoEoi = false;
      break;
    case Command.setRotateInAutoEoi:
      chip.rotateInAutoEoi = true;
      break;
    case Command.nonSpecificEoi:
      nonSpecificEoi(chip, false);
      break;
    case Command.rotateOnNonSpecificEoi:
      nonSpecificEoi(chip, true);
      break;
    case Command.specificEoi:
      endOfInterrupt(chip, level, false);
      break;
    case Command.rotateOnSpecificEoi:
      endOfInterrupt(chip, level, true);
      break;
    case Command.setPriority:
      chip.lowest = level;
      break;
  }
}

function writeOcw3(chip: ChipState, value: number): void {
  const ocw3 = Ocw3(value);
  if (ocw3.esmm) chip.specialMask = ocw3.smm;
  if (ocw3.poll) chip.poll = true;
  else if (ocw3.rr) chip.readIsr = ocw3.ris;
}

/** A write with A0 = 0: ICW1, OCW2 or OCW3. */
export function writeCommand(chip: ChipState, value: number): void {
  if (value & Icw1.mask.icw1) writeIcw1(chip, value);
  else if (value & Ocw3.mask.ocw3) writeOcw3(chip, value);
  else writeOcw2(chip, value);
}

/** A write with A0 = 1: ICW2 to ICW4 during initialization, OCW1 (the mask) after it. */
export function writeData(chip: ChipState, value: number): void {
  switch (chip.nextIcw) {
    case 0:
      chip.imr = value;
      break;
    case 2:
      chip.vectorBase = value & 0xf8;
      chip.nextIcw = chip.single ? (chip.icw4Needed ? 4 : 0) : 3;
      break;
    case 3:
      chip.nextIcw = chip.icw4Needed ? 4 : 0;
      break;
    case 4: {
      const icw4 = Icw4(value);
      chip.autoEoi = icw4.aeoi;
      chip.specialFullyNested = icw4.sfnm;
      chip.nextIcw = 0;
      break;
    }
  }
}
