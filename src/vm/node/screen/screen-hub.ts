/**
 * All viewers of one machine's screen, however they are connected. Lives in the machine's thread, whose event loop has
 * its turns between slices of guest time: a picture is never drawn while the guest runs.
 */
import { performance } from "node:perf_hooks";
import type { DisplaySource } from "../../../machine/display.ts";
import type { InputTarget } from "../../input/guest-input.ts";
import { type PasswordCheck, type RfbConnection, RfbSession } from "../../rfb/session.ts";
import { Frame } from "../../screen/frame.ts";
import { ZlibDeflater } from "./zlib-deflater.ts";

export interface ScreenSettings {
  readonly display: DisplaySource;
  readonly input: InputTarget;
  readonly name: string;
}

/** A viewer's connection: bytes of the viewer go to the session that `open` returns. */
export type ViewerLink = Omit<RfbConnection, "wantsUpdate">;

/** Milliseconds between two pictures. */
const PERIOD = 1000 / 30;
/** Viewers at once, also those that have not shown a password yet. */
const MOST_VIEWERS = 16;

export class ScreenHub {
  readonly #settings: ScreenSettings;
  readonly #frame: Frame;
  readonly #sessions = new Set<RfbSession>();
  #timer: NodeJS.Timeout | undefined;
  /** When the next picture is due. */
  #dueAt = 0;

  constructor(settings: ScreenSettings) {
    this.#settings = settings;
    this.#frame = new Frame(settings.display);
  }

  get viewers(): number {
    return this.#sessions.size;
  }

  /** A viewer has connected; undefined where there are too many. `close` of this hub is not told to the link. */
  open(link: ViewerLink, password?: PasswordCheck): RfbSession | undefined {
    if (this.#sessions.size >= MOST_VIEWERS) return undefined;
    const session: RfbSession = new RfbSession(
      {
        frame: this.#frame,
        input: this.#settings.input,
        name: this.#settings.name,
        deflater: () => new ZlibDeflater(),
        ...(password ? { password } : {}),
      },
      {
        send: (bytes) => link.send(bytes),
        get waiting() {
          return link.waiting;
        },
        close: (why) => link.close(why),
        wantsUpdate: () => this.#schedule(),
      },
    );
    this.#sessions.add(session);
    return session;
  }

  /** A viewer is gone. */
  closed(session: RfbSession): void {
    if (this.#sessions.delete(session)) session.close();
  }

  /** The machine has ended. */
  close(): void {
    clearTimeout(this.#timer);
    for (const session of this.#sessions) this.closed(session);
  }

  #schedule(): void {
    if (this.#timer !== undefined) return;
    const wait = Math.max(0, this.#dueAt - performance.now());
    this.#timer = setTimeout(() => this.#tick(), wait);
    this.#timer.unref();
  }

  #tick(): void {
    this.#timer = undefined;
    const now = performance.now();
    this.#dueAt = nextDue(this.#dueAt, now);
    this.#frame.refresh();
    for (const session of this.#sessions) void session.update();
    if ([...this.#sessions].some((session) => session.isWatching)) this.#schedule();
  }
}

/** When a picture is due after one that was due at `due` and drawn at `now`: being a little late does not add up. */
export function nextDue(due: number, now: number): number {
  const isOnTime = now < due + PERIOD;
  return (isOnTime ? due : now) + PERIOD;
}
