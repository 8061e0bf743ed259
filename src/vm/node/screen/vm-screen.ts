/** A virtual machine's screen, keyboard and mouse in the library. */
import { setTimeout as delay } from "node:timers/promises";
import { MouseButtons } from "../../../device/i8042/ps2-mouse.ts";
import { chord } from "../../input/chord.ts";
import { type Layout, typedText } from "../../input/layouts.ts";
import { encodePng } from "./png.ts";
import type { ScreenPort } from "./screen-port.ts";

/** How often a screen is looked at for a text, in milliseconds. */
const LOOK_EVERY = 100;
/** How long a mouse button is held for a click: longer than a guest's mouse takes for a report. */
const CLICK = 60;
const MS = 1e6;

/** A text did not come; `screen` is what was on the screen last. */
export class ScreenTextError extends Error {
  override readonly name = "ScreenTextError";
  readonly screen: string;
  constructor(message: string, screen: string) {
    super(`${message}; the screen shows:\n${screen}`);
    this.screen = screen;
  }
}

export class VmDisplay {
  readonly #port: ScreenPort;

  constructor(port: ScreenPort) {
    this.#port = port;
  }

  /** The picture's size in pixels, now. */
  size(): Promise<{ width: number; height: number }> {
    return this.#port.ask({ ask: "size" });
  }

  /** What is on the screen, as a PNG file. */
  async screenshot(): Promise<Uint8Array> {
    return encodePng(await this.#port.ask({ ask: "picture" }));
  }

  /**
   * The text on the screen, a string a row; undefined in a graphics mode in which none can be read. In graphics modes
   * it is read off the picture, in the fonts of PC firmware.
   */
  text(): Promise<readonly string[] | undefined> {
    return this.#port.ask({ ask: "text" });
  }

  /**
   * Waits until the screen shows `pattern`, in rows that end with line feeds and have no spaces at their ends.
   * @throws ScreenTextError after `timeout` milliseconds, 60,000 unless told.
   */
  async waitForText(
    pattern: string | RegExp,
    { timeout = 60_000 }: { timeout?: number } = {},
  ): Promise<{ match: string; groups: readonly (string | undefined)[]; screen: string }> {
    const end = performance.now() + timeout;
    for (;;) {
      const screen = ((await this.text()) ?? []).map((row) => row.trimEnd()).join("\n");
      const found = find(pattern, screen);
      if (found) return { ...found, screen };
      if (performance.now() >= end) throw new ScreenTextError(`${pattern} was not there within ${timeout} ms`, screen);
      await delay(LOOK_EVERY);
    }
  }
}

function find(pattern: string | RegExp, text: string) {
  // Lines of the screen have no blanks at their ends, which a prompt may end with.
  if (typeof pattern === "string") {
    return text.includes(pattern.replace(/ +$/gm, "")) ? { match: pattern, groups: [] } : undefined;
  }
  const match = new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, "")).exec(text);
  return match ? { match: match[0], groups: match.slice(1) } : undefined;
}

export interface TypingOptions {
  /** Milliseconds of guest time from one change of a key to the next; 20 unless given. */
  readonly pace?: number;
  /** Milliseconds in which the guest must have taken a key; 60,000 unless given. */
  readonly timeout?: number;
}

export class VmKeyboard {
  readonly #port: ScreenPort;

  constructor(port: ScreenPort) {
    this.#port = port;
  }

  /**
   * Types text on the keyboard of a guest that has this layout; resolves when the last key has been sent to the guest.
   * @throws TypingError where a character is on no key of the layout.
   */
  async type(text: string, { layout = "us", ...options }: TypingOptions & { layout?: Layout } = {}): Promise<void> {
    await this.#send(typedText(text, layout), options);
  }

  /** Presses keys together, such as "ctrl-alt-delete", "f2" or "ret". @throws TypingError where one is no key. */
  async press(keys: string, options: TypingOptions = {}): Promise<void> {
    await this.#send(chord(keys), options);
  }

  async #send(changes: ReturnType<typeof chord>, { pace, timeout = 60_000 }: TypingOptions): Promise<void> {
    await this.#port.ask({
      ask: "type",
      changes,
      patience: timeout,
      ...(pace === undefined ? {} : { pace: pace * MS }),
    });
  }
}

const BUTTONS = {
  left: MouseButtons.mask.left,
  right: MouseButtons.mask.right,
  middle: MouseButtons.mask.middle,
  back: MouseButtons.mask.fourth,
  forward: MouseButtons.mask.fifth,
} as const;
export type MouseButton = keyof typeof BUTTONS;

/** A PS/2 mouse, which moves from where it is, and a USB tablet, where the machine has one; buttons are those of what moved last. */
export class VmMouse {
  readonly #port: ScreenPort;
  #pressed = 0;

  constructor(port: ScreenPort) {
    this.#port = port;
  }

  /** Moves right and down by so many counts, and turns the wheel by notches towards the user. */
  async move(dx: number, dy: number, wheel = 0): Promise<void> {
    await this.#port.ask({ ask: "move", dx, dy, wheel });
  }

  /**
   * Puts the pointer in a place, 0 to 32767 from the left and the top of the screen, and turns the wheel by notches towards
   * the user. Rejects where the guest does not use a tablet.
   */
  async moveTo(x: number, y: number, wheel = 0): Promise<void> {
    await this.#port.ask({ ask: "place", x, y, wheel });
  }

  async press(button: MouseButton = "left"): Promise<void> {
    this.#pressed |= BUTTONS[button];
    await this.#port.ask({ ask: "buttons", pressed: this.#pressed });
  }

  async release(button: MouseButton = "left"): Promise<void> {
    this.#pressed &= ~BUTTONS[button];
    await this.#port.ask({ ask: "buttons", pressed: this.#pressed });
  }

  async click(button: MouseButton = "left"): Promise<void> {
    await this.press(button);
    await delay(CLICK);
    await this.release(button);
  }
}
