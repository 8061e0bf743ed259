/**
 * The EEPROM beside the chip: 64 words on a Microwire bus, read at once by EERD, or bit by bit through EECD.
 *
 * @spec 317453 §5.6 "EEPROM Address Map", §13.4.3 EECD, §13.4.4 EERD; NM93C46, READ instruction
 *
 * Not modelled: writing and erasing. The part is write-protected: it takes these instructions and does nothing.
 */
import { Eecd, Eerd } from "./registers.ts";

const WORDS = 64;
const CHECKSUM = 0x3f;
/** What all words add up to. */
const CHECKSUM_TOTAL = 0xbaba;

/** Initialization Control Word 1: signature, full duplex, and that the IDs below are to be loaded. */
const CONTROL_1 = 0x4403;
const SUBSYSTEM = 0x0a;

/** A start bit, two of opcode, six of address. */
const INSTRUCTION_BITS = 9;
const OPCODE_READ = 0b110;

export interface EepromIdentity {
  /** The station's six bytes. */
  readonly address: Uint8Array;
  readonly vendor: number;
  readonly device: number;
  readonly subsystemVendor: number;
  readonly subsystem: number;
}

/** What the EEPROM holds. */
export function eepromWords({ address, vendor, device, subsystemVendor, subsystem }: EepromIdentity): Uint16Array {
  const words = new Uint16Array(WORDS);
  for (let i = 0; i < 3; i++) words[i] = (address[2 * i] ?? 0) | ((address[2 * i + 1] ?? 0) << 8);
  words.set([CONTROL_1, subsystem, subsystemVendor, device, vendor], SUBSYSTEM);
  words[CHECKSUM] = CHECKSUM_TOTAL - words.reduce((sum, word) => sum + word, 0);
  return words;
}

/** The bus between chip and EEPROM. */
export interface MicrowireState {
  /** SK, CS and DI as software set them, with what else EECD stores. */
  eecd: number;
  /** Of the instruction, from its start bit on. */
  bits: number;
  instruction: number;
  /** Bits that were shifted out for a read, with the leading zero; undefined while none is under way. */
  shifted: number | undefined;
}

export const microwireAfterReset = (): MicrowireState => ({
  eecd: Eecd.pack({ fwe: 1 }),
  bits: 0,
  instruction: 0,
  shifted: undefined,
});

const EECD_STORED = Eecd.mask.sk | Eecd.mask.cs | Eecd.mask.di | Eecd.mask.fwe | Eecd.mask.req;

/** EECD as it reads: access is granted as soon as it is asked for. */
export function readEecd(state: MicrowireState, words: Uint16Array): number {
  const { eecd } = state;
  return Eecd.with(eecd, { gnt: (eecd & Eecd.mask.req) !== 0, pres: true, dataOut: dataOut(state, words) });
}

/** DO: high where nothing is shifted out. */
function dataOut({ instruction, shifted }: MicrowireState, words: Uint16Array): boolean {
  if (shifted === undefined) return true;
  if (shifted === 0) return false;
  // The following words come without another instruction.
  const word = words[(instruction + Math.floor((shifted - 1) / 16)) % WORDS] as number;
  return ((word >>> (15 - ((shifted - 1) % 16))) & 1) !== 0;
}

export function writeEecd(state: MicrowireState, value: number): void {
  const risen = value & ~state.eecd;
  state.eecd = value & EECD_STORED;
  if ((value & Eecd.mask.cs) === 0 || (risen & Eecd.mask.cs) !== 0) {
    state.bits = 0;
    state.instruction = 0;
    state.shifted = undefined;
  }
  if ((value & Eecd.mask.cs) !== 0 && (risen & Eecd.mask.sk) !== 0) clock(state, (value & Eecd.mask.di) !== 0);
}

function clock(state: MicrowireState, dataIn: boolean): void {
  if (state.shifted !== undefined) {
    // Bounded, so that it stays a number that is exact: all words, and the leading zero.
    state.shifted = state.shifted === WORDS * 16 ? 1 : state.shifted + 1;
    return;
  }
  if (state.bits === INSTRUCTION_BITS || (state.bits === 0 && !dataIn)) return;
  state.instruction = (state.instruction << 1) | Number(dataIn);
  state.bits++;
  if (state.bits === INSTRUCTION_BITS && state.instruction >>> 6 === OPCODE_READ) {
    state.instruction &= WORDS - 1;
    state.shifted = 0;
  }
}

/** What EERD reads after `value` was written to it: the word, done at once. */
export function eerd(value: number, words: Uint16Array): number {
  const { start, addr } = Eerd(value);
  return Eerd.pack(start ? { addr, done: true, data: words[addr % WORDS]! } : { addr });
}
