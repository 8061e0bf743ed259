/**
 * Sockets of the host that guests' ports have, for datagrams, which tell nobody when they are the last: closed when they have
 * not been used for a while, or when others need the room.
 *
 * @spec RFC 4787 §4.3 (two minutes at the least, refreshed by what goes out)
 */
import { nanoseconds } from "../../bits/units.ts";
import type { Timer, TimeSource } from "../../machine/device.ts";

/** Most sockets. */
export const MOST_FLOWS = 256;
/** Nanoseconds without use after which a socket is closed. */
export const FLOW_IDLE_TIME = 180e9;

interface Flow<Socket> {
  readonly socket: Socket;
  lastUse: number;
}

export class Flows<Socket extends { close(): void }> {
  readonly #time: TimeSource;
  readonly #timer: Timer;
  /** By the guest's address and port. Who was used last is last. */
  readonly #flows = new Map<string, Flow<Socket>>();

  constructor(time: TimeSource) {
    this.#time = time;
    this.#timer = time.createTimer("datagrams", () => this.#closeIdle());
  }

  get size(): number {
    return this.#flows.size;
  }

  /** The socket of a guest's port, for something that goes out now. */
  use(key: string, open: () => Socket): Socket {
    const flow = this.#flows.get(key) ?? { socket: open(), lastUse: 0 };
    flow.lastUse = this.#time.now();
    this.#flows.delete(key);
    this.#flows.set(key, flow);
    if (this.#flows.size > MOST_FLOWS) this.#closeFirst();
    if (this.#timer.deadline === undefined) this.#timer.arm(nanoseconds(flow.lastUse + FLOW_IDLE_TIME));
    return flow.socket;
  }

  close(): void {
    while (this.#flows.size > 0) this.#closeFirst();
    this.#timer.cancel();
  }

  #closeIdle(): void {
    for (const { lastUse } of this.#flows.values()) {
      if (lastUse + FLOW_IDLE_TIME > this.#time.now()) {
        this.#timer.arm(nanoseconds(lastUse + FLOW_IDLE_TIME));
        return;
      }
      this.#closeFirst();
    }
  }

  #closeFirst(): void {
    for (const [key, { socket }] of this.#flows) {
      this.#flows.delete(key);
      socket.close();
      return;
    }
  }
}
