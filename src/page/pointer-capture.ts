/**
 * Gives the mouse to the guest until Escape is pressed long: motion then goes to its PS/2 mouse as it is, and not as
 * places of a pointer, which such a mouse does not know.
 */
import type { Control } from "./control.ts";

/** The browser's buttons, in the order of its `buttons`, as the machine's mouse has them. */
const BUTTONS = 0x1f;

export class PointerCapture {
  readonly #view: HTMLElement;
  readonly #control: Control;
  #motion = { dx: 0, dy: 0, wheel: 0 };
  #buttons = 0;

  constructor(view: HTMLElement, control: Control) {
    this.#view = view;
    this.#control = control;
    view.addEventListener("mousemove", (event) => {
      this.#motion.dx += event.movementX;
      this.#motion.dy += event.movementY;
      this.#take(event);
    });
    for (const kind of ["mousedown", "mouseup"] as const) view.addEventListener(kind, (event) => this.#take(event));
    view.addEventListener("wheel", (event) => {
      this.#motion.wheel += Math.sign(event.deltaY);
      this.#take(event);
    });
    document.addEventListener("pointerlockchange", () => {
      if (this.#isActive || this.#buttons === 0) return;
      this.#buttons = 0;
      this.#send();
    });
  }

  /** Escape ends it. */
  start(): void {
    void this.#view.requestPointerLock();
  }

  get #isActive(): boolean {
    return document.pointerLockElement === this.#view;
  }

  #take(event: MouseEvent): void {
    if (!this.#isActive) {
      this.#motion = { dx: 0, dy: 0, wheel: 0 };
      return;
    }
    event.preventDefault();
    // The browser counts left, right, middle, back, forward too.
    const buttons = event.buttons & BUTTONS;
    const isClick = buttons !== this.#buttons;
    this.#buttons = buttons;
    if (isClick || !this.#control.isBusy) this.#send();
  }

  #send(): void {
    const { dx, dy, wheel } = this.#motion;
    this.#motion = { dx: 0, dy: 0, wheel: 0 };
    this.#control.ask({ verb: "mouse", dx: Math.round(dx), dy: Math.round(dy), wheel, buttons: this.#buttons }).then(
      () => {
        // What came meanwhile.
        if (this.#motion.dx !== 0 || this.#motion.dy !== 0 || this.#motion.wheel !== 0) this.#send();
      },
      () => {},
    );
  }
}
