/**
 * The receiving half of a connection: which segments are acceptable, bytes in their order, the window.
 *
 * @spec RFC 9293 §3.4 (acceptable segments), §3.8.6.2.2 (silly windows), §3.10.7.4
 */
import { Reassembly } from "./reassembly.ts";
import { distance, isAfter, isBefore, plus, type Sequence } from "./sequence.ts";

/** A segment as this half sees it. */
export interface Incoming {
  readonly sequence: Sequence;
  readonly syn: boolean;
  readonly fin: boolean;
  readonly payload: Uint8Array;
}

export interface TcpReceiverWiring {
  /** Bytes that whoever gets the data has room for now. */
  readonly room: () => number;
  /** Gets the bytes in their order; they may change after the call. */
  readonly deliver: (bytes: Uint8Array) => void;
}

export class TcpReceiver {
  readonly #wiring: TcpReceiverWiring;
  /** By how many bits the windows that the peer is told are shifted. */
  readonly #shift: number;
  /** A window that grows by less is not told by itself. */
  readonly #worthTelling: number;
  readonly #early = new Reassembly();
  /** The number that is waited for (RCV.NXT). */
  #next: Sequence;
  /** Behind the window as the peer was told; it never goes back. */
  #edge: Sequence;
  /** The number of the peer's FIN, once it is known. */
  #end: Sequence | undefined;

  constructor(
    { first, shift, worthTelling }: { first: Sequence; shift: number; worthTelling: number },
    wiring: TcpReceiverWiring,
  ) {
    this.#wiring = wiring;
    this.#shift = shift;
    this.#worthTelling = worthTelling;
    this.#next = first;
    this.#edge = first;
  }

  get next(): Sequence {
    return this.#next;
  }

  /** Whether all was received, with the FIN. */
  get isFinished(): boolean {
    return this.#end !== undefined && isAfter(this.#next, this.#end);
  }

  /** Whether bytes are missing before others that came. */
  get hasGap(): boolean {
    return !this.#early.isEmpty;
  }

  /** The window as the next segment's header tells it; `isScaled`: but for a SYN's. */
  announce(isScaled: boolean): number {
    const shift = isScaled ? this.#shift : 0;
    const most = 0xffff * 2 ** shift;
    const room = Math.min(Math.max(this.#wiring.room(), 0), most);
    const edge = plus(this.#next, (room >>> shift) << shift);
    // A window that opens by a few bytes only would be filled by small segments.
    if (distance(this.#edge, edge) >= Math.min(this.#worthTelling, most)) this.#edge = edge;
    return Math.max(distance(this.#next, this.#edge), 0) >>> shift;
  }

  /** Whether the peer should be told of a window that has grown. */
  get isWorthTelling(): boolean {
    const growth = distance(this.#edge, plus(this.#next, Math.max(this.#wiring.room(), 0)));
    return growth >= this.#worthTelling;
  }

  accepts({ sequence, syn, fin, payload }: Incoming): boolean {
    const length = payload.length + Number(syn) + Number(fin);
    const window = distance(this.#next, this.#edge);
    const start = distance(this.#next, sequence);
    if (length === 0) return start === 0 || (start > 0 && start < window);
    const end = start + length - 1;
    return window > 0 && ((start >= 0 && start < window) || (end >= 0 && end < window));
  }

  /** Takes the bytes and the FIN of an acceptable segment. */
  take({ sequence, fin, payload }: Incoming): void {
    if (this.isFinished) return;
    if (fin) this.#end ??= plus(sequence, payload.length);
    const known = Math.max(distance(sequence, this.#next), 0);
    const start = plus(sequence, known);
    const bytes = payload.subarray(known, Math.max(distance(sequence, this.#edge), 0));
    if (start === this.#next) {
      this.#deliver(bytes);
      for (let held = this.#early.take(this.#next); held; held = this.#early.take(this.#next)) this.#deliver(held);
    } else if (bytes.length > 0 && !isBefore(start, this.#next)) this.#early.add(start, bytes);
    if (this.#next === this.#end) this.#next = plus(this.#next, 1);
  }

  #deliver(bytes: Uint8Array): void {
    // Bytes behind a FIN are a peer's nonsense.
    const left = this.#end === undefined ? bytes.length : Math.max(distance(this.#next, this.#end), 0);
    const data = bytes.subarray(0, left);
    if (data.length === 0) return;
    this.#next = plus(this.#next, data.length);
    this.#wiring.deliver(data);
  }
}
