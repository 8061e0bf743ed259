/**
 * The sending half of a connection that the peer has asked for: SYN, bytes, FIN; what is sent when, and when again.
 *
 * @spec RFC 9293 §3.8.1 (retransmission), §3.8.6.1 (zero windows), §3.8.6.2.1 (silly windows), §3.10.7.4 (acknowledgments);
 *   RFC 6298; RFC 5681
 *
 * Not modelled: Nagle's algorithm, as who writes to the host's socket has gathered bytes already; selective acknowledgments;
 * urgent data.
 */
import { nanoseconds } from "../../../bits/units.ts";
import type { Timer, TimeSource } from "../../../machine/device.ts";
import { Congestion } from "./congestion.ts";
import { RoundTrip } from "./round-trip.ts";
import { SendBuffer } from "./send-buffer.ts";
import { distance, isAfter, isBefore, plus, type Sequence } from "./sequence.ts";

/** How often something is sent again before the peer is given up. */
export const MOST_TRIES = 12;

export interface Outgoing {
  readonly sequence: Sequence;
  readonly syn?: boolean;
  readonly fin?: boolean;
  readonly psh?: boolean;
  readonly payload?: Uint8Array;
}

export interface TcpSenderConfig {
  /** The SYN's number. */
  readonly initial: Sequence;
  /** Most bytes of a segment's payload. */
  readonly largest: number;
  /** The window of the peer's SYN, in bytes. */
  readonly window: number;
  /** By how many bits windows of later segments are shifted. */
  readonly windowShift: number;
}

export interface TcpSenderWiring {
  readonly time: TimeSource;
  readonly transmit: (segment: Outgoing) => void;
  /** The peer does not answer any more. */
  readonly givenUp: () => void;
}

/** What an acknowledgment tells. */
export interface Acknowledgment {
  readonly sequence: Sequence;
  readonly acknowledgment: Sequence;
  /** As it is in the segment. */
  readonly window: number;
  /** Whether the segment has nothing in it. */
  readonly isEmpty: boolean;
}

export class TcpSender {
  readonly #config: TcpSenderConfig;
  readonly #wiring: TcpSenderWiring;
  readonly #buffer = new SendBuffer();
  readonly #timer: Timer;
  readonly #roundTrip = new RoundTrip();
  readonly #congestion: Congestion;
  /** The first number that is not acknowledged (SND.UNA). */
  #unacknowledged: Sequence;
  /** What is sent next (SND.NXT): goes back when something must be sent again. */
  #next: Sequence;
  /** Behind all that was ever sent. */
  #sent: Sequence;
  /** The number of the first byte in the buffer. */
  #start: Sequence;
  #window: number;
  #largestWindow: number;
  /** The segment that told the window (SND.WL1, SND.WL2). */
  #windowSequence: Sequence | undefined;
  #windowAcknowledgment: Sequence;
  #isFinished = false;
  /** What has its round trip timed: the number behind it, and when it was sent. */
  #timed: { readonly end: Sequence; readonly at: number } | undefined;
  #tries = 0;
  /** When the timer is to do something; it may be armed for earlier. */
  #deadline = 0;

  constructor(config: TcpSenderConfig, wiring: TcpSenderWiring) {
    this.#config = config;
    this.#wiring = wiring;
    const { initial, window } = config;
    this.#unacknowledged = initial;
    this.#next = initial;
    this.#sent = initial;
    this.#start = plus(initial, 1);
    this.#window = window;
    this.#largestWindow = window;
    this.#windowAcknowledgment = initial;
    this.#congestion = new Congestion(config.largest);
    this.#timer = wiring.time.createTimer("tcp", () => this.#fired());
  }

  /** Behind all that was sent. */
  get sent(): Sequence {
    return this.#sent;
  }

  /** Bytes that were written and not acknowledged. */
  get buffered(): number {
    return this.#buffer.length;
  }

  get isSynAcknowledged(): boolean {
    return this.#unacknowledged !== this.#config.initial;
  }

  /** Whether all was sent, with the FIN, and acknowledged. */
  get isFinAcknowledged(): boolean {
    return this.#isFinished && isAfter(this.#unacknowledged, this.#end);
  }

  /** The number of the FIN, once there is one. */
  get #end(): Sequence {
    return plus(this.#start, this.#buffer.length);
  }

  sendSyn(): void {
    const { initial } = this.#config;
    const isFirst = this.#sent === initial;
    this.#timed = isFirst ? { end: plus(initial, 1), at: this.#wiring.time.now() } : undefined;
    this.#next = plus(initial, 1);
    this.#sent = this.#next;
    this.#wiring.transmit({ sequence: initial, syn: true });
    this.#restartTimer();
  }

  /** Sends bytes, which must not change any more. */
  write(bytes: Uint8Array): void {
    this.#buffer.append(bytes);
    this.flush();
  }

  /** Nothing more is written: a FIN follows. */
  finish(): void {
    this.#isFinished = true;
    this.flush();
  }

  /** Takes an acknowledgment and a window; false where it acknowledges what was never sent. */
  acknowledge({ sequence, acknowledgment, window, isEmpty }: Acknowledgment): boolean {
    if (isAfter(acknowledgment, this.#sent)) return false;
    if (isBefore(acknowledgment, this.#unacknowledged)) return true;
    const shifted = window * 2 ** this.#config.windowShift;
    if (isAfter(acknowledgment, this.#unacknowledged)) this.#arrived(acknowledgment);
    else if (shifted === 0) this.#tries = 0;
    else if (isEmpty && shifted === this.#window && this.#underWay > 0) {
      if (this.#congestion.duplicate(this.#sent, this.#underWay)) this.#resend();
    }
    const isOlder =
      this.#windowSequence !== undefined &&
      (isBefore(sequence, this.#windowSequence) ||
        (sequence === this.#windowSequence && isBefore(acknowledgment, this.#windowAcknowledgment)));
    if (isOlder) return true;
    this.#windowSequence = sequence;
    this.#windowAcknowledgment = acknowledgment;
    if (this.#window === 0 && shifted > 0) this.#roundTrip.goesOn();
    this.#window = shifted;
    this.#largestWindow = Math.max(this.#largestWindow, shifted);
    return true;
  }

  /** Sends what may be sent. */
  flush(): void {
    if (!this.isSynAcknowledged) return;
    const wasIdle = this.#isIdle;
    while (this.#sendNext());
    if (!this.#isIdle && (wasIdle || this.#timer.deadline === undefined)) this.#restartTimer();
  }

  close(): void {
    this.#timer.cancel();
    this.#buffer.drop(this.#buffer.length);
  }

  /** Numbers that were sent and not acknowledged. */
  get #underWay(): number {
    return distance(this.#unacknowledged, this.#sent);
  }

  /** Whether something waits that was never sent. */
  get #hasMore(): boolean {
    const end = this.#end;
    return this.#isFinished ? !isAfter(this.#sent, end) : isBefore(this.#sent, end);
  }

  #arrived(acknowledgment: Sequence): void {
    const count = distance(this.#unacknowledged, acknowledgment);
    // SYN and FIN have numbers, and are not in the buffer.
    const bytes = Math.min(Math.max(distance(this.#start, acknowledgment), 0), this.#buffer.length);
    this.#buffer.drop(bytes);
    this.#start = plus(this.#start, bytes);
    this.#unacknowledged = acknowledgment;
    if (isBefore(this.#next, acknowledgment)) this.#next = acknowledgment;
    if (this.#timed !== undefined && !isBefore(acknowledgment, this.#timed.end)) {
      this.#roundTrip.measured(this.#wiring.time.now() - this.#timed.at);
      this.#timed = undefined;
    }
    this.#tries = 0;
    this.#roundTrip.goesOn();
    if (this.#congestion.arrived(count, acknowledgment)) this.#resend();
    this.#restartTimer();
  }

  /** Sends one segment, if one may be sent; whether it did. */
  #sendNext(): boolean {
    const rest = distance(this.#next, this.#end);
    // Also behind a FIN that was sent.
    if (rest < 0) return false;
    const usable = Math.min(this.#window, this.#congestion.window) - distance(this.#unacknowledged, this.#next);
    const length = Math.min(rest, this.#config.largest, usable);
    const fin = this.#isFinished && length === rest && length < usable;
    if (length <= 0 && !fin) return false;
    const isSilly = length < rest && length < this.#config.largest && length < this.#largestWindow / 2;
    if (isSilly && this.#next !== this.#unacknowledged) return false;
    this.#send(this.#next, length, fin);
    return true;
  }

  #send(sequence: Sequence, length: number, fin: boolean): void {
    const offset = distance(this.#start, sequence);
    const payload = this.#buffer.copy(offset, length);
    const end = plus(sequence, length + Number(fin));
    if (isAfter(end, this.#next)) this.#next = end;
    if (isAfter(end, this.#sent)) {
      this.#timed ??= { end, at: this.#wiring.time.now() };
      this.#sent = end;
    } else this.#timed = undefined;
    this.#wiring.transmit({ sequence, fin, psh: offset + length === this.#buffer.length && length > 0, payload });
  }

  /** Sends the first segment that is not acknowledged again. */
  #resend(): void {
    const rest = distance(this.#unacknowledged, this.#end);
    if (rest < 0) return;
    const length = Math.min(rest, this.#config.largest, this.#underWay);
    this.#send(this.#unacknowledged, length, this.#isFinished && length === rest && length < this.#underWay);
  }

  /** One byte, or the FIN, that the window has no room for, so that the peer tells when it has. */
  #probe(): void {
    const next = this.#next;
    const length = Math.min(this.#buffer.length, 1);
    this.#send(this.#unacknowledged, length, length === 0);
    this.#next = next;
    this.#timed = undefined;
  }

  /** Whether nothing waits for an acknowledgment, nor for a window. */
  get #isIdle(): boolean {
    return this.#underWay === 0 && !(this.#hasMore && this.#window === 0);
  }

  #restartTimer(): void {
    this.#deadline = this.#wiring.time.now() + this.#roundTrip.timeout;
    if (this.#timer.deadline === undefined || this.#timer.deadline > this.#deadline) {
      this.#timer.arm(nanoseconds(this.#deadline));
    }
  }

  #fired(): void {
    if (this.#isIdle) return;
    // Most are acknowledged in time: the timer is not armed anew for each.
    if (this.#wiring.time.now() < this.#deadline) {
      this.#timer.arm(nanoseconds(this.#deadline));
      return;
    }
    if (++this.#tries > MOST_TRIES) {
      this.#wiring.givenUp();
      return;
    }
    this.#roundTrip.timedOut();
    this.#timed = undefined;
    if (!this.isSynAcknowledged) {
      this.sendSyn();
      return;
    }
    this.#next = this.#unacknowledged;
    if (this.#window === 0) this.#probe();
    else {
      this.#congestion.timedOut(this.#underWay);
      this.flush();
    }
    this.#restartTimer();
  }
}
