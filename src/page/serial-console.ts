/** The guest's first serial port, by xterm.js. */
import { Terminal } from "@xterm/xterm";

/** As a guest takes a serial terminal to be, since nothing tells it otherwise. */
const COLUMNS = 80;
const ROWS = 25;

export class SerialConsole {
  readonly #terminal = new Terminal({ cols: COLUMNS, rows: ROWS, scrollback: 10_000 });

  constructor(view: HTMLElement, address: string) {
    this.#terminal.open(view);
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => this.#terminal.write(new Uint8Array(data as ArrayBuffer)));
    const send = (bytes: Uint8Array<ArrayBuffer>) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(bytes);
    };
    this.#terminal.onData((text) => send(new TextEncoder().encode(text)));
    this.#terminal.onBinary((text) => send(Uint8Array.from(text, (character) => character.charCodeAt(0))));
  }

  focus(): void {
    this.#terminal.focus();
  }
}
