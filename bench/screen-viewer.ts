/** A viewer that asks for the next update as soon as it has one, as VNC's do, and counts. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { RfbClient } from "../src/vm/rfb/testing/rfb-client.ts";

const ZRLE = 16;
const DESKTOP_SIZE = -223;

export class ScreenViewer {
  readonly #socket: Socket;
  readonly #client: RfbClient;
  #updates = 0;
  #isClosed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#client = new RfbClient(socket);
  }

  /** Connects by the server's Unix socket; resolves when the whole picture has come. */
  static async open(path: string): Promise<ScreenViewer> {
    const socket = connect(path);
    await once(socket, "connect");
    const viewer = new ScreenViewer(socket);
    const client = viewer.#client;
    await client.open();
    client.setEncodings(ZRLE, DESKTOP_SIZE);
    client.request(false);
    await client.update();
    void viewer.#follow();
    return viewer;
  }

  async #follow(): Promise<void> {
    try {
      for (;;) {
        this.#client.request(true);
        await this.#client.update();
        this.#updates++;
      }
    } catch (error) {
      if (!this.#isClosed) throw error;
    }
  }

  /** So far. */
  get counts(): { readonly updates: number; readonly bytes: number } {
    return { updates: this.#updates, bytes: this.#client.bytes };
  }

  get size(): string {
    return `${this.#client.width}x${this.#client.height}`;
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }
}
