/**
 * A connection that a peer asks for: its states, from the SYN to the end.
 *
 * @spec RFC 9293 §3.3.2, §3.5, §3.6, §3.10; RFC 5961 §3, §4 (resets and SYNs that may be forged); RFC 7323 §2 (window scale)
 *
 * Not modelled: asking for a connection, and so simultaneous opens; urgent data, which is data as all other is; keep-alives.
 * Acknowledgments are less frequent than RFC 5681 §4.2 wants them, as each costs a guest more than it gains.
 */
import { nanoseconds } from "../../../bits/units.ts";
import type { Timer, TimeSource } from "../../../machine/device.ts";
import type { TcpSegment } from "../../wire/tcp.ts";
import { makeTcpOptions, parseTcpOptions } from "../../wire/tcp-options.ts";
import { TcpReceiver } from "./receiver.ts";
import type { OutgoingSegment } from "./segments.ts";
import { type Outgoing, TcpSender } from "./sender.ts";
import { distance, plus, type Sequence, sequence } from "./sequence.ts";

/** Most bytes of a segment's payload that one frame takes. */
export const LARGEST_SEGMENT = 1460;
/** What a peer takes that does not say it, and the least that one may say. @spec RFC 9293 §3.7.1 */
const UNSAID_SEGMENT = 536;
const SMALLEST_SEGMENT = 64;
/** Windows up to 1 MiB. */
const WINDOW_SHIFT = 4;
/** Nanoseconds that an acknowledgment waits for more segments, and bytes after which it does not. */
export const ACKNOWLEDGMENT_DELAY = 500_000;
const BYTES_TO_ACKNOWLEDGE = 8 * LARGEST_SEGMENT;
/** Nanoseconds of TIME-WAIT: twice the longest time that a segment may be under way, which is not long on one cable. */
export const TIME_WAIT = 10e9;

export type TcpState =
  | "syn-received"
  | "established"
  | "fin-wait-1"
  | "fin-wait-2"
  | "close-wait"
  | "closing"
  | "last-ack"
  | "time-wait"
  | "closed";

/** How a connection ended. */
export type TcpEnd = "finished" | "reset" | "timed-out";

export interface TcpWiring {
  readonly time: TimeSource;
  readonly transmit: (segment: OutgoingSegment) => void;
  /** Bytes that `data` may get now. */
  readonly room: () => number;
  /** Bytes of the peer's, which may change after the call. */
  readonly data: (bytes: Uint8Array) => void;
  /** The peer sends no more. */
  readonly finished: () => void;
  /** Some of what was written was acknowledged: `buffered` is less. */
  readonly acknowledged: () => void;
  /** The connection is closed: nothing more is told, or sent. */
  readonly closed: (how: TcpEnd) => void;
}

export class TcpConnection {
  readonly #wiring: TcpWiring;
  readonly #sender: TcpSender;
  readonly #receiver: TcpReceiver;
  readonly #isScaled: boolean;
  /** For acknowledgments that wait, and for the end of TIME-WAIT. */
  readonly #timer: Timer;
  #state: TcpState = "syn-received";
  /** What the peer was last told to have been received. */
  #told: Sequence;

  /** Answers a peer's SYN. `initial` is the number of the own one. */
  constructor(syn: TcpSegment, initial: Sequence, wiring: TcpWiring) {
    this.#wiring = wiring;
    const { maximumSegmentSize = UNSAID_SEGMENT, windowShift } = parseTcpOptions(syn.options);
    this.#isScaled = windowShift !== undefined;
    const largest = Math.min(Math.max(maximumSegmentSize, SMALLEST_SEGMENT), LARGEST_SEGMENT);
    const { time, room, data } = wiring;
    const first = plus(sequence(syn.sequence), 1);
    this.#told = first;
    this.#receiver = new TcpReceiver(
      { first, shift: this.#isScaled ? WINDOW_SHIFT : 0, worthTelling: 2 * LARGEST_SEGMENT },
      { room, deliver: data },
    );
    this.#sender = new TcpSender(
      { initial, largest, window: syn.window, windowShift: windowShift ?? 0 },
      { time, transmit: (segment) => this.#transmit(segment), givenUp: () => this.#close("timed-out") },
    );
    this.#timer = time.createTimer("tcp", () => this.#fired());
    this.#sender.sendSyn();
  }

  get state(): TcpState {
    return this.#state;
  }

  /** Bytes that were written and not acknowledged. */
  get buffered(): number {
    return this.#sender.buffered;
  }

  /** Whether a SYN asks for a new connection between the same ends, which this one need not be kept for. */
  isReplacedBy({ sequence: number, flags }: TcpSegment): boolean {
    const isNewer = distance(this.#receiver.next, sequence(number)) >= 0;
    return this.#state === "time-wait" && flags.syn && !flags.ack && !flags.rst && isNewer;
  }

  receive(segment: TcpSegment): void {
    if (this.#state === "closed") return;
    const { flags, payload, window } = segment;
    const incoming = { sequence: sequence(segment.sequence), syn: flags.syn, fin: flags.fin, payload };
    if (!this.#receiver.accepts(incoming)) {
      if (!flags.rst) this.#answer();
      return;
    }
    if (flags.rst) {
      if (incoming.sequence === this.#receiver.next) this.#close("reset");
      else this.#acknowledge();
      return;
    }
    if (flags.syn) {
      this.#acknowledge();
      return;
    }
    if (!flags.ack) return;
    const acknowledgment = sequence(segment.acknowledgment);
    const isEmpty = payload.length === 0 && !flags.fin;
    const before = this.#sender.buffered;
    if (!this.#sender.acknowledge({ sequence: incoming.sequence, acknowledgment, window, isEmpty })) {
      if (this.#sender.isSynAcknowledged) this.#acknowledge();
      else this.#wiring.transmit({ sequence: acknowledgment, flags: { rst: true } });
      return;
    }
    if (!this.#sender.isSynAcknowledged) return;
    if (this.#state === "syn-received") this.#state = "established";
    this.#finAcknowledged();
    // Calls of the wiring's may close the connection.
    if (this.#sender.buffered < before) this.#wiring.acknowledged();
    if (!this.#isClosed) this.#take(incoming);
    if (!this.#isClosed) this.#sender.flush();
  }

  /** Sends bytes, which must not change any more. Not after `finish`. */
  write(bytes: Uint8Array): void {
    if (!this.#isClosed) this.#sender.write(bytes);
  }

  /** Sends no more once all that was written has been sent. */
  finish(): void {
    if (this.#state === "syn-received" || this.#state === "established") this.#state = "fin-wait-1";
    else if (this.#state === "close-wait") this.#state = "last-ack";
    else return;
    this.#sender.finish();
  }

  /** Resets the connection. */
  abort(): void {
    if (this.#isClosed) return;
    this.#wiring.transmit({
      sequence: this.#sender.sent,
      acknowledgment: this.#receiver.next,
      flags: { rst: true, ack: true },
    });
    this.drop();
  }

  /** Forgets the connection without a word. */
  drop(): void {
    this.#state = "closed";
    this.#timer.cancel();
    this.#sender.close();
  }

  /** There is more room for data: the peer may have to be told. */
  roomAgain(): void {
    if (!this.#isClosed && this.#state !== "time-wait" && this.#receiver.isWorthTelling) this.#acknowledge();
  }

  get #isClosed(): boolean {
    return this.#state === "closed";
  }

  #finAcknowledged(): void {
    if (!this.#sender.isFinAcknowledged) return;
    if (this.#state === "fin-wait-1") this.#state = "fin-wait-2";
    else if (this.#state === "closing") this.#wait();
    else if (this.#state === "last-ack") this.#close("finished");
  }

  #take(incoming: { sequence: Sequence; syn: boolean; fin: boolean; payload: Uint8Array }): void {
    if (incoming.payload.length === 0 && !incoming.fin) return;
    const before = this.#receiver.next;
    this.#receiver.take(incoming);
    if (this.#isClosed) return;
    const isFinished = this.#receiver.isFinished && this.#receiver.next !== before;
    if (isFinished) this.#peerFinished();
    if (this.#isClosed) return;
    const waiting = distance(this.#told, this.#receiver.next);
    // At once where the peer may have to send again, or waits for it.
    if (isFinished || waiting === 0 || this.#receiver.hasGap || waiting >= BYTES_TO_ACKNOWLEDGE) this.#acknowledge();
    else if (this.#timer.deadline === undefined) {
      this.#timer.arm(nanoseconds(this.#wiring.time.now() + ACKNOWLEDGMENT_DELAY));
    }
  }

  #peerFinished(): void {
    if (this.#state === "established") this.#state = "close-wait";
    else if (this.#state === "fin-wait-1") this.#state = "closing";
    else if (this.#state === "fin-wait-2") this.#wait();
    this.#wiring.finished();
  }

  /** Waits for segments that may still be under way. */
  #wait(): void {
    this.#state = "time-wait";
    this.#sender.close();
    this.#timer.arm(nanoseconds(this.#wiring.time.now() + TIME_WAIT));
  }

  #fired(): void {
    if (this.#state === "time-wait") this.#close("finished");
    else if (distance(this.#told, this.#receiver.next) > 0) this.#acknowledge();
  }

  #close(how: TcpEnd): void {
    this.drop();
    this.#wiring.closed(how);
  }

  /** What is not acceptable shows that the peer has not heard. */
  #answer(): void {
    if (!this.#sender.isSynAcknowledged) this.#sender.sendSyn();
    else if (this.#state === "time-wait") {
      this.#timer.arm(nanoseconds(this.#wiring.time.now() + TIME_WAIT));
      this.#acknowledge();
    } else this.#acknowledge();
  }

  #acknowledge(): void {
    this.#transmit({ sequence: this.#sender.sent });
  }

  #transmit({ sequence: number, syn = false, fin = false, psh = false, payload }: Outgoing): void {
    this.#told = this.#receiver.next;
    if (this.#state !== "time-wait") this.#timer.cancel();
    const options = syn
      ? makeTcpOptions({
          maximumSegmentSize: LARGEST_SEGMENT,
          ...(this.#isScaled ? { windowShift: WINDOW_SHIFT } : {}),
        })
      : undefined;
    this.#wiring.transmit({
      sequence: number,
      acknowledgment: this.#receiver.next,
      flags: { ack: true, syn, fin, psh },
      window: this.#receiver.announce(this.#isScaled && !syn),
      ...(options ? { options } : {}),
      ...(payload ? { payload } : {}),
    });
  }
}
