/** Does what a machine is asked to, whoever asks: the control socket, or the page. */
import process from "node:process";
import type { GuestInput } from "../../vm/input/guest-input.ts";
import type { FloppyDiskOptions } from "../../vm/node/floppies.ts";
import { NO_SCREEN } from "../../vm/node/screen/screen-port.ts";
import { typeKeys } from "../../vm/node/screen/typing.ts";
import type { ScreenReader } from "../../vm/screen/screen-reader.ts";
import { type ControlReply, type ControlRequest, parseRequest } from "./protocol.ts";

/** Milliseconds in which a guest must have taken a key. */
const PATIENCE = 10_000;

/** What changes media. Names of the host's files come from whoever asks: not for pages. */
export interface MediaControls {
  changeFloppy(drive: number, disk: FloppyDiskOptions | undefined): Promise<void>;
}

export class MachineControls {
  readonly name: string;
  readonly #screen: ScreenReader | undefined;
  readonly #input: GuestInput;
  readonly #media: MediaControls | undefined;

  constructor(name: string, input: GuestInput, screen: ScreenReader | undefined, media?: MediaControls) {
    this.name = name;
    this.#screen = screen;
    this.#input = input;
    this.#media = media;
  }

  /** Answers one line of the protocol. */
  async answer(line: string): Promise<ControlReply> {
    try {
      return await this.#perform(parseRequest(line));
    } catch (error) {
      return { ok: false, error: (error as Error).message };
    }
  }

  /** The picture as a PNG file. Rejects where there is no screen. */
  async screenshot(): Promise<Uint8Array> {
    if (this.#screen === undefined) throw new Error(NO_SCREEN);
    const { encodePng } = await import("../../vm/node/screen/png.ts");
    return encodePng(this.#screen.picture());
  }

  async #perform(request: ControlRequest): Promise<ControlReply> {
    switch (request.verb) {
      case "status":
        return { ok: true, name: this.name, pid: process.pid };
      case "screenshot":
        return { ok: true, png: Buffer.from(await this.screenshot()).toString("base64") };
      case "keys":
      case "type":
        await typeKeys(this.#input, request.changes, { patience: PATIENCE });
        return { ok: true };
      case "floppy":
        if (this.#media === undefined) throw new Error("disks cannot be changed from here");
        await this.#media.changeFloppy(request.drive, request.disk);
        return { ok: true };
      case "mouse": {
        const { dx, dy, wheel, buttons } = request;
        this.#input.move({ dx, dy, wheel });
        this.#input.buttons(buttons);
        return { ok: true };
      }
    }
  }
}
