/**
 * PS/2 keyboard with scan code sets 1, 2 and 3.
 *
 * @spec IBM Personal System/2 Hardware Interface Technical Reference, "Keyboard"
 *
 * Not modelled: typematic repeat (rate and delay are accepted; a host that repeats a key may inject its make
 * again), the shift codes that a real keyboard puts around the cursor keys while NumLock or Shift is on,
 * the time that a byte takes on the wire and that the self test takes.
 */
import { bits } from "../../bits/fields.ts";
import type { Device } from "../../machine/device.ts";
import { EXTENDED, KEYS, translate } from "./scan-codes.ts";

/** What the controller needs of a device on one of its ports. */
export interface Ps2Device {
  /** A byte from the host. */
  send(byte: number): void;
  /** The next byte for the host, taken out of the device's queue. */
  take(): number | undefined;
  /** Registers who is told that bytes came into an empty queue. */
  attach(dataReady: () => void): void;
}

export const Leds = bits({ scrollLock: 0, numLock: 1, capsLock: 2 });

const Command = {
  setLeds: 0xed,
  echo: 0xee,
  scanCodeSet: 0xf0,
  identify: 0xf2,
  typematic: 0xf3,
  enable: 0xf4,
  disable: 0xf5,
  setDefault: 0xf6,
  allTypematic: 0xf7,
  allMakeBreak: 0xf8,
  allMake: 0xf9,
  allTypematicMakeBreak: 0xfa,
  keyTypematic: 0xfb,
  keyMakeBreak: 0xfc,
  keyMake: 0xfd,
  resend: 0xfe,
  reset: 0xff,
} as const;

const ACK = 0xfa;
const RESEND = 0xfe;
const BAT_OK = 0xaa;
const ECHO = 0xee;
const ID = [0xab, 0x83];
const BREAK = 0xf0;
const SET1_BREAK = 0x80;

/** Bytes of scan codes that wait for the host. Makes may fill half: the rest is for breaks, so that no key sticks. */
export const QUEUE_LIMIT = 128;
const MAKE_LIMIT = QUEUE_LIMIT / 2;

/** Set 3 keys that are make/break by default: left Ctrl, Shift, CapsLock, left Alt, right Shift. */
const SET3_MAKE_BREAK_DEFAULT = [0x11, 0x12, 0x14, 0x19, 0x59];

const Modifier = { shift: 1, control: 2, alt: 4 } as const;
const MODIFIERS: Readonly<Record<string, number>> = {
  ShiftLeft: Modifier.shift,
  ShiftRight: Modifier.shift,
  ControlLeft: Modifier.control,
  ControlRight: Modifier.control,
  AltLeft: Modifier.alt,
  AltRight: Modifier.alt,
};

export interface Ps2KeyboardState {
  enabled: boolean;
  scanCodeSet: 1 | 2 | 3;
  /** Leds */
  leds: number;
  /** The command whose parameter comes next, 0 for none. */
  awaiting: number;
  /** Answers to commands; they go before scan codes. */
  replies: number[];
  scanCodes: number[];
  /** The byte sent last, for Resend. */
  last: number;
  /** Set 3: 1 for each code that is sent on release too. */
  makeBreak: Uint8Array;
  /** Names of the modifier keys that are down. */
  modifiersDown: string[];
}

export interface Ps2KeyboardWiring {
  /** The guest set the lights (Leds). */
  readonly onLeds?: (leds: number) => void;
}

function defaultMakeBreak(): Uint8Array {
  const makeBreak = new Uint8Array(256);
  for (const code of SET3_MAKE_BREAK_DEFAULT) makeBreak[code] = 1;
  return makeBreak;
}

const powerOn = (): Ps2KeyboardState => ({
  enabled: true,
  scanCodeSet: 2,
  leds: 0,
  awaiting: 0,
  replies: [],
  scanCodes: [],
  last: 0,
  makeBreak: defaultMakeBreak(),
  modifiersDown: [],
});

export class Ps2Keyboard implements Ps2Device, Device<Ps2KeyboardState> {
  readonly state: Ps2KeyboardState = powerOn();
  readonly #onLeds: ((leds: number) => void) | undefined;
  #dataReady: () => void = () => {};

  constructor({ onLeds }: Ps2KeyboardWiring = {}) {
    this.#onLeds = onLeds;
  }

  attach(dataReady: () => void): void {
    this.#dataReady = dataReady;
  }

  reset(): void {
    const { modifiersDown } = this.state;
    Object.assign(this.state, powerOn(), { modifiersDown });
    this.#onLeds?.(0);
  }

  restored(): void {
    this.#onLeds?.(this.state.leds);
  }

  /**
   * A key went down (or repeats) or up; `name` as in KeyboardEvent.code. False where the keyboard has no such key,
   * is disabled by the guest, or has no room: then the host may try again later.
   */
  key(name: string, down: boolean): boolean {
    const { state } = this;
    const codes = KEYS.get(name);
    if (codes === undefined) return false;
    if (name in MODIFIERS) {
      state.modifiersDown = state.modifiersDown.filter((held) => held !== name);
      if (down) state.modifiersDown.push(name);
    }
    if (!state.enabled) return false;
    const sequence = state.scanCodeSet === 3 ? this.#set3(codes.set3, down) : this.#set2(name, codes.set2, down);
    if (state.scanCodes.length + sequence.length > (down ? MAKE_LIMIT : QUEUE_LIMIT)) return false;
    state.scanCodes.push(...(state.scanCodeSet === 1 ? toSet1(sequence) : sequence));
    if (sequence.length > 0) this.#dataReady();
    return true;
  }

  take(): number | undefined {
    const { state } = this;
    const byte = state.replies.length > 0 ? state.replies.shift() : state.scanCodes.shift();
    if (byte !== undefined) state.last = byte;
    return byte;
  }

  send(byte: number): void {
    const { state } = this;
    // A command ends the answer to the one before it.
    state.replies = [];
    const awaiting = state.awaiting;
    state.awaiting = 0;
    if (awaiting === 0 || byte >= Command.setLeds) this.#command(byte);
    else this.#parameter(awaiting, byte);
    this.#dataReady();
  }

  #held(modifier: number): boolean {
    return this.state.modifiersDown.some((name) => MODIFIERS[name] === modifier);
  }

  #set2(name: string, code: number, down: boolean): number[] {
    if (name === "Pause") {
      // Has no break: the make carries it. With Ctrl it is the Break key.
      if (!down) return [];
      return this.#held(Modifier.control)
        ? [0xe0, 0x7e, 0xe0, BREAK, 0x7e]
        : [0xe1, 0x14, 0x77, 0xe1, BREAK, 0x14, BREAK, 0x77];
    }
    if (name === "PrintScreen") {
      if (this.#held(Modifier.alt)) return down ? [0x84] : [BREAK, 0x84];
      if (!this.#held(Modifier.shift) && !this.#held(Modifier.control))
        return down ? [0xe0, 0x12, 0xe0, 0x7c] : [0xe0, BREAK, 0x7c, 0xe0, BREAK, 0x12];
    }
    const sequence = code & EXTENDED ? [0xe0] : [];
    if (!down) sequence.push(BREAK);
    sequence.push(code & 0xff);
    return sequence;
  }

  #set3(code: number, down: boolean): number[] {
    if (code === 0) return [];
    if (down) return [code];
    return this.state.makeBreak[code] ? [BREAK, code] : [];
  }

  #reply(...bytes: number[]): void {
    this.state.replies.push(...bytes);
  }

  #setDefault(): void {
    const { state } = this;
    state.scanCodes = [];
    state.scanCodeSet = 2;
    state.makeBreak = defaultMakeBreak();
  }

  #command(byte: number): void {
    const { state } = this;
    switch (byte) {
      case Command.setLeds:
      case Command.scanCodeSet:
      case Command.typematic:
      case Command.keyTypematic:
      case Command.keyMakeBreak:
      case Command.keyMake:
        state.awaiting = byte;
        this.#reply(ACK);
        break;
      case Command.echo:
        this.#reply(ECHO);
        break;
      case Command.identify:
        this.#reply(ACK, ...ID);
        break;
      case Command.enable:
        state.scanCodes = [];
        state.enabled = true;
        this.#reply(ACK);
        break;
      case Command.disable:
        this.#setDefault();
        state.enabled = false;
        this.#reply(ACK);
        break;
      case Command.setDefault:
        this.#setDefault();
        this.#reply(ACK);
        break;
      case Command.allTypematic:
      case Command.allMake:
        state.makeBreak.fill(0);
        this.#reply(ACK);
        break;
      case Command.allMakeBreak:
      case Command.allTypematicMakeBreak:
        state.makeBreak.fill(1);
        this.#reply(ACK);
        break;
      case Command.resend:
        this.#reply(state.last);
        break;
      case Command.reset:
        this.reset();
        this.#reply(ACK, BAT_OK);
        break;
      default:
        this.#reply(RESEND);
    }
  }

  #parameter(command: number, byte: number): void {
    const { state } = this;
    switch (command) {
      case Command.setLeds:
        state.leds = byte & 7;
        this.#reply(ACK);
        this.#onLeds?.(state.leds);
        break;
      case Command.scanCodeSet:
        if (byte === 0) {
          this.#reply(ACK, state.scanCodeSet);
        } else if (byte === 1 || byte === 2 || byte === 3) {
          state.scanCodes = [];
          state.scanCodeSet = byte;
          this.#reply(ACK);
        } else {
          state.awaiting = command;
          this.#reply(RESEND);
        }
        break;
      case Command.typematic:
        this.#reply(ACK);
        break;
      case Command.keyTypematic:
      case Command.keyMakeBreak:
      case Command.keyMake:
        // Keys follow until the next command.
        state.makeBreak[byte] = command === Command.keyMakeBreak ? 1 : 0;
        state.awaiting = command;
        this.#reply(ACK);
        break;
    }
  }
}

/** A set 2 sequence as the keyboard itself sends it in set 1: codes translated, F0 made bit 7 of what follows. */
function toSet1(sequence: number[]): number[] {
  const result: number[] = [];
  let released = 0;
  for (const byte of sequence) {
    if (byte === BREAK) {
      released = SET1_BREAK;
    } else {
      result.push(translate(byte) | released);
      released = 0;
    }
  }
  return result;
}
