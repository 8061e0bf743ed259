/**
 * A viewer's keys on the guest's keyboard: by scan code where the viewer tells it, which fits every layout, else by
 * keysym as on a US keyboard.
 *
 * @spec RFC 6143 §7.5.4; "QEMU Extended Key Event Message" of the RFB community's protocol description
 */
import { Leds } from "../../device/i8042/ps2-keyboard.ts";
import type { InputTarget } from "../input/guest-input.ts";
import { keyByKeysym, keyBySet1 } from "../input/key-names.ts";
import { strokeOf } from "../input/layouts.ts";

const SHIFTS = ["ShiftLeft", "ShiftRight"];
/** Keysyms from here on are Unicode characters. */
const UNICODE = 0x100_0000;
const LAST_LATIN1 = 0xff;
/** Keys that a viewer may hold at once; nobody has more fingers. */
const MOST_HELD = 64;

export class ViewerKeys {
  readonly #input: InputTarget;
  /** Keys that are down, by what pressed them: a keysym, or the negative of a scan code. */
  readonly #held = new Map<number, string>();

  constructor(input: InputTarget) {
    this.#input = input;
  }

  scanCode(scanCode: number, keysym: number, down: boolean): void {
    const code = keyBySet1(scanCode);
    if (code === undefined) this.keysym(keysym, down);
    else this.#key(-scanCode, code, down);
  }

  keysym(keysym: number, down: boolean): void {
    const code = keyByKeysym(keysym);
    if (code !== undefined) {
      this.#key(keysym, code, down);
      return;
    }
    const character = characterOf(keysym);
    const stroke = character === undefined ? undefined : strokeOf(character, "us");
    if (character === undefined || stroke === undefined) return;
    // The viewer's layout may need other shift keys for the character than the guest's.
    const isLetter = character.toLowerCase() !== character.toUpperCase();
    const isCaps = isLetter && (this.#input.leds & Leds.mask.capsLock) !== 0;
    const needsShift = (stroke.hold !== undefined) !== isCaps;
    const shifts = [...this.#held.values()].filter((held) => SHIFTS.includes(held));
    if (!down || needsShift === shifts.length > 0) {
      this.#key(keysym, stroke.key, down);
    } else if (needsShift) {
      this.#input.key("ShiftLeft", true);
      this.#key(keysym, stroke.key, down);
      this.#input.key("ShiftLeft", false);
    } else {
      for (const shift of shifts) this.#input.key(shift, false);
      this.#key(keysym, stroke.key, down);
      for (const shift of shifts) this.#input.key(shift, true);
    }
  }

  /** The viewer is gone: nothing stays held. */
  release(): void {
    for (const code of this.#held.values()) this.#input.key(code, false);
    this.#held.clear();
  }

  #key(by: number, code: string, down: boolean): void {
    if (down) {
      if (this.#held.size >= MOST_HELD && !this.#held.has(by)) return;
      this.#held.set(by, code);
      this.#input.key(code, true);
      return;
    }
    // What went down comes up, whatever the keysym means by now.
    const held = this.#held.get(by);
    this.#held.delete(by);
    this.#input.key(held ?? code, false);
  }
}

function characterOf(keysym: number): string | undefined {
  if (keysym >= 0x20 && keysym <= LAST_LATIN1) return String.fromCharCode(keysym);
  const point = keysym - UNICODE;
  return point > LAST_LATIN1 && point <= 0x10_ffff ? String.fromCodePoint(point) : undefined;
}
