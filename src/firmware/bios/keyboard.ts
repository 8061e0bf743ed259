/**
 * Keyboard: INT 9, which puts scan codes of set 1 into the buffer at 40:1E as keys, and INT 16h, which gives them out.
 * @spec IBM PC/AT Technical Reference, BIOS listing "KEYBOARD_INT_1" and "KEYBOARD_IO_1"; PS/2 BIOS Interface
 * Technical Reference, INT 09h and INT 16h
 *
 * Not modelled: other layouts than the US one, typematic rate (INT 16h AH=03 is accepted), the lights.
 */
import type { BiosCall, Outcome } from "./call.ts";
import { Bda } from "./data-area.ts";
import { keyWords } from "./keys.ts";

const Shift = { right: 0x01, left: 0x02, control: 0x04, alt: 0x08, scroll: 0x10, num: 0x20, caps: 0x40, insert: 0x80 };
const Shift2 = { leftControl: 0x01, leftAlt: 0x02, pause: 0x08, scroll: 0x10, num: 0x20, caps: 0x40, insert: 0x80 };
/** 40:96: what came before, and the right-hand shift keys. */
const Status = { e1: 0x01, e0: 0x02, rightControl: 0x04, rightAlt: 0x08, enhanced: 0x10 };
const SCAN = { control: 0x1d, leftShift: 0x2a, rightShift: 0x36, alt: 0x38, caps: 0x3a, num: 0x45, scroll: 0x46 };
const SCAN_INSERT = 0x52;
const SCAN_DELETE = 0x53;
const SCAN_SYSREQ = 0x54;
const BREAK = 0x80;
/** Keys that are looked at in one call: a guest may have made the buffer any size. */
const MOST_KEYS = 64;
/** 40:1A and its like are offsets in segment 40h. */
const SEGMENT_40 = 0x400;

export interface KeyboardActions {
  /** Ctrl-Alt-Del. */
  reset(): void;
  /** Characters from elsewhere that count as typed, as words of scan code and character; undefined for none. */
  typed(call: BiosCall): number | undefined;
}

export class Keyboard {
  readonly #actions: KeyboardActions;

  constructor(actions: KeyboardActions) {
    this.#actions = actions;
  }

  install(call: BiosCall): void {
    call.setU16(Bda.keyHead, 0x1e);
    call.setU16(Bda.keyTail, 0x1e);
    call.setU16(Bda.keyBufferStart, 0x1e);
    call.setU16(Bda.keyBufferEnd, 0x3e);
    call.setU16(Bda.shiftFlags, 0);
    call.setU8(Bda.altInput, 0);
    call.setU8(Bda.keyboardStatus, Status.enhanced);
  }

  /** A scan code, in AL. With carry the stub waits for the end of a pause. */
  interrupt(call: BiosCall): boolean {
    const code = call.al;
    const status = call.u8(Bda.keyboardStatus);
    if (code === 0xe0 || code === 0xe1) {
      call.setU8(Bda.keyboardStatus, status | (code === 0xe0 ? Status.e0 : Status.e1));
      return false;
    }
    const extended = (status & Status.e0) !== 0;
    // Pause sends E1 1D 45 and then their breaks.
    if (status & Status.e1) {
      if ((code & ~BREAK) === SCAN.num) call.setU8(Bda.keyboardStatus, status & ~Status.e1);
      return code === SCAN.num && this.#pause(call);
    }
    if (extended) call.setU8(Bda.keyboardStatus, status & ~Status.e0);
    // Answers of the keyboard to commands are no keys.
    if (code === 0xfa || code === 0xfe || code === 0xee || code === 0xff || code === 0x00) return false;
    const down = (code & BREAK) === 0;
    const scan = code & ~BREAK;
    if (this.#shiftKey(call, scan, extended, down)) return false;
    const flags2 = call.u8(Bda.shiftFlags2);
    if (!down) {
      if (scan === SCAN_INSERT) call.setU8(Bda.shiftFlags2, flags2 & ~Shift2.insert);
      return false;
    }
    if (flags2 & Shift2.pause) {
      call.setU8(Bda.shiftFlags2, flags2 & ~Shift2.pause);
      return false;
    }
    this.#key(call, scan, extended);
    return false;
  }

  /** Whether the pause goes on. */
  pauses(call: BiosCall): boolean {
    return (call.u8(Bda.shiftFlags2) & Shift2.pause) !== 0;
  }

  #pause(call: BiosCall): boolean {
    call.setU8(Bda.shiftFlags2, call.u8(Bda.shiftFlags2) | Shift2.pause);
    return true;
  }

  /** Follows shift and lock keys; whether this is one. */
  #shiftKey(call: BiosCall, scan: number, extended: boolean, down: boolean): boolean {
    const set = (at: number, bit: number, on: boolean) => {
      const old = call.u8(at);
      call.setU8(at, on ? old | bit : old & ~bit);
    };
    switch (scan) {
      case SCAN.leftShift:
      case SCAN.rightShift:
        // E0 2A and E0 36 are put around grey keys.
        if (!extended) set(Bda.shiftFlags, scan === SCAN.leftShift ? Shift.left : Shift.right, down);
        return true;
      case SCAN.control:
      case SCAN.alt: {
        const control = scan === SCAN.control;
        if (extended) set(Bda.keyboardStatus, control ? Status.rightControl : Status.rightAlt, down);
        else set(Bda.shiftFlags2, control ? Shift2.leftControl : Shift2.leftAlt, down);
        const left = call.u8(Bda.shiftFlags2) & (control ? Shift2.leftControl : Shift2.leftAlt);
        const right = call.u8(Bda.keyboardStatus) & (control ? Status.rightControl : Status.rightAlt);
        set(Bda.shiftFlags, control ? Shift.control : Shift.alt, (left | right) !== 0);
        if (!control && !down) this.#endAltInput(call);
        return true;
      }
      case SCAN.caps:
      case SCAN.num:
      case SCAN.scroll: {
        if (extended && scan === SCAN.scroll) return down ? this.#breakKey(call) : true;
        const flags = call.u8(Bda.shiftFlags);
        if (scan === SCAN.scroll && flags & Shift.control) return down ? this.#breakKey(call) : true;
        const bit = scan === SCAN.caps ? Shift.caps : scan === SCAN.num ? Shift.num : Shift.scroll;
        const held = (call.u8(Bda.shiftFlags2) & bit) !== 0;
        set(Bda.shiftFlags2, bit, down);
        if (down && !held) call.setU8(Bda.shiftFlags, flags ^ bit);
        return true;
      }
      case SCAN_SYSREQ:
        return true;
      default:
        return false;
    }
  }

  #breakKey(call: BiosCall): boolean {
    call.setU8(Bda.breakFlag, 0x80);
    const start = call.u16(Bda.keyBufferStart);
    call.setU16(Bda.keyHead, start);
    call.setU16(Bda.keyTail, start);
    this.put(call, 0);
    return true;
  }

  #key(call: BiosCall, scan: number, extended: boolean): void {
    const flags = call.u8(Bda.shiftFlags);
    const control = (flags & Shift.control) !== 0;
    const alt = (flags & Shift.alt) !== 0;
    if (control && alt && scan === SCAN_DELETE) {
      this.#actions.reset();
      return;
    }
    const words = keyWords(scan, extended);
    if (words === undefined) return;
    if (alt && words.pad && !extended) {
      this.#altDigit(call, scan);
      return;
    }
    if (scan === SCAN_INSERT && !control && !alt) {
      const flags2 = call.u8(Bda.shiftFlags2);
      if ((flags2 & Shift2.insert) === 0) call.setU8(Bda.shiftFlags, flags ^ Shift.insert);
      call.setU8(Bda.shiftFlags2, flags2 | Shift2.insert);
    }
    let shift = (flags & (Shift.left | Shift.right)) !== 0;
    if ((words.letter && flags & Shift.caps) || (words.pad && flags & Shift.num)) shift = !shift;
    const word = alt ? words.alt : control ? words.control : shift ? words.shift : words.plain;
    if (word !== 0) this.put(call, word);
  }

  /** Alt and digits of the pad make a character by its number. */
  #altDigit(call: BiosCall, scan: number): void {
    const digit = [0x52, 0x4f, 0x50, 0x51, 0x4b, 0x4c, 0x4d, 0x47, 0x48, 0x49].indexOf(scan);
    if (digit >= 0) call.setU8(Bda.altInput, call.u8(Bda.altInput) * 10 + digit);
  }

  #endAltInput(call: BiosCall): void {
    const character = call.u8(Bda.altInput);
    call.setU8(Bda.altInput, 0);
    if (character !== 0) this.put(call, character);
  }

  /** Where the buffer lies and ends: a guest may have moved it. */
  #buffer(call: BiosCall): { start: number; end: number } {
    const start = call.u16(Bda.keyBufferStart);
    const end = call.u16(Bda.keyBufferEnd);
    return start === 0 && end === 0 ? { start: 0x1e, end: 0x3e } : { start, end };
  }

  /** Puts a key in the buffer; false where it is full. */
  put(call: BiosCall, word: number): boolean {
    const { start, end } = this.#buffer(call);
    const tail = call.u16(Bda.keyTail);
    const next = tail + 2 >= end ? start : tail + 2;
    if (next === call.u16(Bda.keyHead)) return false;
    call.setU16(SEGMENT_40 + tail, word);
    call.setU16(Bda.keyTail, next);
    return true;
  }

  #hasRoom(call: BiosCall): boolean {
    const { start, end } = this.#buffer(call);
    const tail = call.u16(Bda.keyTail);
    return (tail + 2 >= end ? start : tail + 2) !== call.u16(Bda.keyHead);
  }

  /** The next key, which stays in the buffer unless `take`. */
  next(call: BiosCall, take: boolean): number | undefined {
    // What is typed elsewhere waits there while the buffer is full.
    while (this.#hasRoom(call)) {
      const typed = this.#actions.typed(call);
      if (typed === undefined) break;
      this.put(call, typed);
    }
    const head = call.u16(Bda.keyHead);
    if (head === call.u16(Bda.keyTail)) return undefined;
    const word = call.u16(SEGMENT_40 + head);
    if (take) {
      const { start, end } = this.#buffer(call);
      call.setU16(Bda.keyHead, head + 2 >= end ? start : head + 2);
    }
    return word;
  }

  /** INT 16h. */
  service(call: BiosCall): Outcome {
    const enhanced = (call.ah & 0x10) !== 0;
    switch (call.ah) {
      case 0x00:
      case 0x10: {
        for (let looked = 0; looked < MOST_KEYS; looked++) {
          const word = this.next(call, true);
          if (word === undefined) break;
          const given = enhanced ? word : plainWord(word);
          if (given === undefined) continue;
          call.ax = given;
          return undefined;
        }
        return "again";
      }
      case 0x01:
      case 0x11: {
        call.zero = true;
        for (let looked = 0; looked < MOST_KEYS; looked++) {
          const word = this.next(call, false);
          if (word === undefined) return undefined;
          const given = enhanced ? word : plainWord(word);
          if (given !== undefined) {
            call.ax = given;
            call.zero = false;
            return undefined;
          }
          this.next(call, true);
        }
        return undefined;
      }
      case 0x02:
        call.al = call.u8(Bda.shiftFlags);
        return undefined;
      case 0x12: {
        const flags2 = call.u8(Bda.shiftFlags2);
        const right = call.u8(Bda.keyboardStatus) & (Status.rightControl | Status.rightAlt);
        call.al = call.u8(Bda.shiftFlags);
        call.ah = (flags2 & 0x73) | right | (flags2 & 0x04 ? 0x80 : 0);
        return undefined;
      }
      case 0x05:
        call.al = this.put(call, call.cx) ? 0 : 1;
        return undefined;
      case 0x09:
        // Typematic rate can be set; the functions of the enhanced keyboard are there.
        call.al = 0x20;
        return undefined;
      case 0x0a:
        call.bx = 0x41ab;
        return undefined;
      case 0x92:
        call.ah = 0x80;
        return undefined;
      case 0xa2:
        return undefined;
      default:
        return undefined;
    }
  }
}

/** The key as a keyboard of 83 keys would have given it; undefined where it had no such key. */
function plainWord(word: number): number | undefined {
  const scan = word >> 8;
  const character = word & 0xff;
  if (scan === 0xe0) return (character === 0x2f ? 0x3500 : 0x1c00) | character;
  if (scan > 0x84) return undefined;
  if (character === 0xe0 && scan !== 0) return word & 0xff00;
  return word;
}
