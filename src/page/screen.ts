/** The guest's screen, by noVNC. */
import RFB from "@novnc/novnc";

/** Milliseconds until it connects again. */
const AGAIN = 1000;

export class Screen {
  readonly #view: HTMLElement;
  readonly #address: string;
  readonly #tell: (status: string) => void;
  #rfb: RFB;

  constructor(view: HTMLElement, address: string, tell: (status: string) => void) {
    this.#view = view;
    this.#address = address;
    this.#tell = tell;
    this.#rfb = this.#connect();
  }

  #connect(): RFB {
    const rfb = new RFB(this.#view, this.#address, { shared: true });
    rfb.scaleViewport = true;
    rfb.background = "#000";
    rfb.addEventListener("connect", () => {
      this.#tell("connected");
      rfb.focus();
    });
    rfb.addEventListener("disconnect", () => {
      this.#tell("not connected: the machine has ended, or does not answer");
      setTimeout(() => {
        this.#rfb = this.#connect();
      }, AGAIN);
    });
    return rfb;
  }

  focus(): void {
    this.#rfb.focus();
  }

  sendCtrlAltDel(): void {
    this.#rfb.sendCtrlAltDel();
    this.focus();
  }
}
