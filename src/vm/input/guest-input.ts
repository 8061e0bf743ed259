/**
 * A machine's keyboard and mouse, as the host's programs use them: keys wait here until the guest's keyboard has room,
 * and typed text comes at a pace that a guest can follow.
 */
import { nanoseconds } from "../../bits/units.ts";
import type { Ps2Keyboard } from "../../device/i8042/ps2-keyboard.ts";
import type { Ps2Mouse } from "../../device/i8042/ps2-mouse.ts";
import { KEYS } from "../../device/i8042/scan-codes.ts";
import type { UsbTablet } from "../../device/usb-tablet/usb-tablet.ts";
import type { Timer, TimeSource } from "../../machine/device.ts";

/** A key, by its `KeyboardEvent.code`, goes down or up. */
export interface KeyChange {
  readonly code: string;
  readonly down: boolean;
}

/** What viewers and programs use. */
export interface InputTarget {
  /** A person presses or releases a key; repeats are further presses. */
  key(code: string, down: boolean): void;
  /** The mouse moves: counts to the right and down, notches towards the user. */
  move(motion: { dx?: number; dy?: number; wheel?: number }): void;
  /** Whether the guest uses a pointer that can be put in a place: `place` is for that, `move` for all others. */
  readonly takesPlaces: boolean;
  /** The pointer is at a place, 0 to 32767 from the left and the top; the wheel was turned by notches towards the user. */
  place(place: { x: number; y: number; wheel?: number }): void;
  /** The mouse buttons that are down now: MouseButtons of ps2-mouse.ts. */
  buttons(pressed: number): void;
  /** The lights as the guest set them: Leds of ps2-keyboard.ts. */
  readonly leds: number;
}

/** Guest time between two changes of typed keys: what a BIOS with room for 15 keys and its reader keep up with. */
export const PACE = 20e6;
/** Changes that wait at the most; presses get half, so that releases always have room. */
const CAPACITY = 2048;
/** Typed changes that wait at the most: some 100,000 characters. */
const TYPED_CAPACITY = 400_000;

export interface GuestInputWiring {
  readonly keyboard: Ps2Keyboard;
  readonly mouse: Ps2Mouse;
  readonly tablet?: UsbTablet;
  readonly time: TimeSource;
  /** There is something to do for the run loop. */
  readonly wake: () => void;
}

/** Keys on their way. */
export interface Typing {
  /** True when the keyboard has sent all of them (but for releases when the machine ends), false where the machine ended or it was cancelled before. */
  readonly done: Promise<boolean>;
  /** Changes that the guest has not been sent yet. */
  readonly left: number;
  /** Types no more, and lets go of what is down. */
  cancel(): void;
}

interface Queued {
  readonly changes: readonly KeyChange[];
  next: number;
  readonly pace: number;
  readonly settle: (typed: boolean) => void;
}

export class GuestInput implements InputTarget {
  readonly #keyboard: Ps2Keyboard;
  readonly #mouse: Ps2Mouse;
  readonly #tablet: UsbTablet | undefined;
  readonly #time: TimeSource;
  readonly #wake: () => void;
  readonly #timer: Timer;
  #pressed: KeyChange[] = [];
  #typing: Queued[] = [];
  #typedWaiting = 0;
  #notBefore = 0;
  #ended = false;
  /** The pointer was put in a place, and not moved since: a click is meant to be there. */
  #isPlaced = false;

  constructor({ keyboard, mouse, tablet, time, wake }: GuestInputWiring) {
    this.#keyboard = keyboard;
    this.#mouse = mouse;
    this.#tablet = tablet;
    this.#time = time;
    this.#wake = wake;
    this.#timer = time.createTimer("typing", () => this.pump());
  }

  get leds(): number {
    return this.#keyboard.state.leds;
  }

  key(code: string, down: boolean): void {
    if (!KEYS.has(code) || this.#pressed.length >= (down ? CAPACITY / 2 : CAPACITY)) return;
    this.#pressed.push({ code, down });
    this.#wake();
  }

  move(motion: { dx?: number; dy?: number; wheel?: number }): void {
    this.#isPlaced = false;
    this.#mouse.move(motion);
    this.#wake();
  }

  get takesPlaces(): boolean {
    return this.#tablet?.isInUse === true;
  }

  place(place: { x: number; y: number; wheel?: number }): void {
    this.#isPlaced = true;
    this.#tablet?.move(place);
    this.#wake();
  }

  buttons(pressed: number): void {
    const isOnTablet = this.takesPlaces && this.#isPlaced;
    // The other one must not keep a button down that was pressed on it before.
    this.#tablet?.buttons(isOnTablet ? pressed : 0);
    this.#mouse.buttons(isOnTablet ? 0 : pressed);
    this.#wake();
  }

  /**
   * Types keys one after the other, `pace` nanoseconds of guest time between two changes, and each when the guest has
   * read the one before. Throws RangeError where too much waits already.
   */
  type(changes: readonly KeyChange[], pace: number = PACE): Typing {
    if (this.#typedWaiting + changes.length > TYPED_CAPACITY) {
      throw new RangeError("too much text waits to be typed; wait for it, or send it another way");
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const queued: Queued = { changes, next: 0, pace, settle: resolve };
    if (this.#ended || changes.length === 0) resolve(!this.#ended);
    else {
      this.#typedWaiting += changes.length;
      this.#typing.push(queued);
      this.#wake();
    }
    return {
      done: promise,
      get left() {
        return changes.length - queued.next;
      },
      cancel: () => this.#cancel(queued),
    };
  }

  #cancel(queued: Queued): void {
    if (!this.#typing.includes(queued)) return;
    this.#typing = this.#typing.filter((other) => other !== queued);
    this.#typedWaiting -= queued.changes.length - queued.next;
    const down = new Set<string>();
    for (const change of queued.changes.slice(0, queued.next)) {
      if (change.down) down.add(change.code);
      else down.delete(change.code);
    }
    for (const code of down) this.key(code, false);
    queued.settle(false);
  }

  /** Hands over what the keyboard takes; called between slices of guest time. */
  pump(): void {
    while (this.#pressed.length > 0) {
      const { code, down } = this.#pressed[0] as KeyChange;
      // What is pressed on a keyboard that the guest has switched off is lost; what is held up only waits.
      if (!this.#keyboard.key(code, down) && this.#keyboard.state.enabled) return;
      this.#pressed.shift();
    }
    this.#pumpTyped();
  }

  #pumpTyped(): void {
    const typing = this.#typing[0];
    if (typing === undefined) return;
    const { enabled, scanCodes } = this.#keyboard.state;
    if (!enabled || scanCodes.length > 0) return;
    const now = this.#time.now();
    if (now < this.#notBefore) {
      this.#timer.arm(nanoseconds(this.#notBefore));
      return;
    }
    const { code, down } = typing.changes[typing.next] as KeyChange;
    if (!this.#keyboard.key(code, down)) return;
    typing.next++;
    this.#typedWaiting--;
    this.#notBefore = now + typing.pace;
    this.#timer.arm(nanoseconds(this.#notBefore));
    if (typing.next < typing.changes.length) return;
    this.#typing.shift();
    typing.settle(true);
  }

  /** The machine has ended; a key that it ended on need not be let go of to be typed. */
  end(): void {
    this.#ended = true;
    this.#timer.cancel();
    for (const { changes, next, settle } of this.#typing) settle(!changes.slice(next).some(({ down }) => down));
    this.#typing = [];
  }
}
