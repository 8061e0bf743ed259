/**
 * A connection of a guest's to the outside: two connections, the guest's with the gateway and the host's with whom the guest
 * means, and what passes between them. The guest's is answered once the host's is there.
 *
 * Neither side is read faster than the other takes it: the guest's window is what the host's socket has room for, and the
 * host's socket is left alone while enough waits for the guest.
 */
import type { TimeSource } from "../../machine/device.ts";
import type { ConnectFailure, Outside, OutsideConnection, OutsideTarget } from "../outside.ts";
import type { TcpSegment } from "../wire/tcp.ts";
import { TcpConnection } from "./tcp/connection.ts";
import type { OutgoingSegment } from "./tcp/segments.ts";
import { type Sequence, sequence } from "./tcp/sequence.ts";

export interface TcpBridgeWiring {
  readonly time: TimeSource;
  readonly outside: Outside;
  /** Sends a segment to the guest. */
  readonly transmit: (segment: OutgoingSegment) => void;
  /** Bytes that may wait, each way. */
  readonly limit: () => number;
  /** There was no connection to make. */
  readonly failed: (why: ConnectFailure) => void;
  /** The guest's connection is closed. */
  readonly guestClosed: () => void;
  /** Both are. */
  readonly closed: () => void;
}

/** Nanoseconds after which a sequence number counts on. @spec RFC 9293 §3.4.1 */
const SEQUENCE_STEP = 4000;

export class TcpBridge {
  readonly #wiring: TcpBridgeWiring;
  readonly #syn: TcpSegment;
  readonly #outside: OutsideConnection;
  #guest: TcpConnection | undefined;
  #isPaused = false;
  #isOutsideClosed = false;
  #isGuestClosed = false;

  /** Answers a guest's SYN, as soon as there is somebody to answer in whose name. */
  constructor(syn: TcpSegment, target: OutsideTarget, wiring: TcpBridgeWiring) {
    this.#wiring = wiring;
    this.#syn = { ...syn, options: syn.options.slice(), payload: new Uint8Array(0) };
    this.#outside = wiring.outside.connect(target, {
      connected: () => this.#connected(),
      failed: (why) => {
        this.#isOutsideClosed = true;
        this.#wiring.failed(why);
        this.#guestClosed();
      },
      data: (bytes) => this.#outsideData(bytes),
      drained: () => this.#guest?.roomAgain(),
      ended: () => this.#guest?.finish(),
      closed: (isReset) => {
        this.#isOutsideClosed = true;
        if (isReset && this.#guest) {
          this.#guest.abort();
          this.#guestClosed();
        } else if (this.#isGuestClosed) this.#wiring.closed();
      },
    });
  }

  /** Whether a SYN begins a new connection in the place of this one, which is over. */
  isReplacedBy(segment: TcpSegment): boolean {
    return this.#guest?.isReplacedBy(segment) === true;
  }

  /** Whether nothing can come of this connection any more: both sides have had all. */
  get isOver(): boolean {
    return this.#isOutsideClosed && this.#guest?.state === "time-wait";
  }

  receive(segment: TcpSegment): void {
    if (this.#guest) this.#guest.receive(segment);
    // The guest does not want to wait any more. All else it sends again.
    else if (segment.flags.rst && segment.sequence === sequence(this.#syn.sequence + 1)) this.drop();
  }

  /** Forgets the guest's connection, which is over; what it has sent still goes out. */
  release(): void {
    this.#guest?.drop();
    this.#guestClosed();
  }

  /** Ends both connections at once, without a word to the guest. */
  drop(): void {
    this.#guest?.drop();
    if (!this.#isOutsideClosed) this.#outside.destroy();
    this.#isOutsideClosed = true;
    this.#guestClosed();
  }

  #connected(): void {
    const { time, transmit, limit } = this.#wiring;
    this.#guest = new TcpConnection(this.#syn, this.#initial(), {
      time,
      transmit,
      room: () => limit() - this.#outside.backlog,
      data: (bytes) => this.#outside.write(bytes),
      finished: () => this.#outside.end(),
      acknowledged: () => this.#readOutside(),
      closed: (how) => {
        if (how === "finished") this.#guestClosed();
        else this.drop();
      },
    });
  }

  #initial(): Sequence {
    return sequence(Math.floor(this.#wiring.time.now() / SEQUENCE_STEP) % 2 ** 32);
  }

  #outsideData(bytes: Uint8Array): void {
    this.#guest?.write(bytes);
    if (this.#isPaused || (this.#guest?.buffered ?? 0) < this.#wiring.limit()) return;
    this.#isPaused = true;
    this.#outside.pause();
  }

  #readOutside(): void {
    if (!this.#isPaused || (this.#guest?.buffered ?? 0) > this.#wiring.limit() / 2) return;
    this.#isPaused = false;
    this.#outside.resume();
  }

  #guestClosed(): void {
    if (this.#isGuestClosed) return;
    this.#isGuestClosed = true;
    this.#wiring.guestClosed();
    if (this.#isOutsideClosed) this.#wiring.closed();
  }
}
