/**
 * A viewer's pointer on the guest's. A tablet is told its place. A PS/2 mouse knows no places, only motion: the guest's
 * pointer follows the viewer's from wherever it is, and where the viewer's comes to an edge the guest's is pushed there
 * too, so that the two meet again.
 *
 * @spec RFC 6143 §7.5.5; "QEMU Pointer Motion Change" and "Extended Mouse Buttons" of the RFB community's description
 */
import { MouseButtons } from "../../device/i8042/ps2-mouse.ts";
import type { InputTarget } from "../input/guest-input.ts";

/** What stands for no motion in relative events. */
const STILL = 0x7fff;
/** The largest place on a tablet. */
const TABLET_EDGE = 0x7fff;
const Button = { left: 1, middle: 2, right: 4, wheelUp: 8, wheelDown: 16 } as const;

export class ViewerPointer {
  readonly #input: InputTarget;
  #last: { x: number; y: number } | undefined;
  #mask = 0;
  #pressed = 0;

  constructor(input: InputTarget) {
    this.#input = input;
  }

  /** `extra` has the buttons from the eighth on: back, forward. `size` is the picture's. */
  event(
    mask: number,
    extra: number,
    x: number,
    y: number,
    relative: boolean,
    size: { width: number; height: number },
  ): void {
    const pressed = mask & ~this.#mask;
    const wheel = (pressed & Button.wheelDown ? 1 : 0) - (pressed & Button.wheelUp ? 1 : 0);
    this.#mask = mask;
    if (!relative && this.#input.takesPlaces) {
      this.#last = { x, y };
      this.#input.place({ x: tabletPlace(x, size.width), y: tabletPlace(y, size.height), wheel });
    } else {
      const motion = relative ? { dx: x - STILL, dy: y - STILL } : this.#follow(x, y, size);
      if (motion.dx !== 0 || motion.dy !== 0 || wheel !== 0) this.#input.move({ ...motion, wheel });
    }
    const buttons = MouseButtons.pack({
      left: (mask & Button.left) !== 0,
      right: (mask & Button.right) !== 0,
      middle: (mask & Button.middle) !== 0,
      fourth: (extra & 1) !== 0,
      fifth: (extra & 2) !== 0,
    });
    if (buttons === this.#pressed) return;
    this.#pressed = buttons;
    this.#input.buttons(buttons);
  }

  release(): void {
    if (this.#pressed !== 0) this.#input.buttons(0);
    this.#pressed = 0;
  }

  #follow(x: number, y: number, { width, height }: { width: number; height: number }): { dx: number; dy: number } {
    const last = this.#last ?? { x, y };
    this.#last = { x, y };
    return { dx: along(last.x, x, width), dy: along(last.y, y, height) };
  }
}

/** The place on a tablet for the middle of a pixel; the outermost pixels are its edges. */
function tabletPlace(pixel: number, length: number): number {
  if (pixel <= 0) return 0;
  if (pixel >= length - 1) return TABLET_EDGE;
  return Math.floor(((pixel + 0.5) * (TABLET_EDGE + 1)) / length);
}

function along(from: number, to: number, length: number): number {
  if (to !== from && to <= 0) return -length;
  if (to !== from && to >= length - 1) return length;
  return to - from;
}
