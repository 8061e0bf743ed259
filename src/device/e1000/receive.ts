/**
 * The receiver: puts frames that the filter lets through into the buffers from the ring's head on.
 *
 * @spec 317453 §3.2 "Packet Reception"
 *
 * Not modelled: the packet buffer. A frame for which no descriptors are free is refused, and counted as missed, though its
 * sender may send it again. Frames of more than 1518 bytes are dropped.
 */
import { guestPhysical } from "../../bits/units.ts";
import { crc32 } from "../../disk/partition/layout.ts";
import type { GuestMemory } from "../../machine/device.ts";
import { ETHERNET_HEADER, LARGEST_FRAME } from "../../net/link.ts";
import { get16 } from "./offload.ts";
import { checkChecksums, RxStatus } from "./receive-checksums.ts";
import { type Acceptance, filterFrame, isTagged } from "./receive-filter.ts";
import { Ctrl, Icr, Rctl, Register, Statistic } from "./registers.ts";
import { DESCRIPTOR_SIZE, Ring } from "./ring.ts";
import type { E1000Registers } from "./state.ts";
import { count, countFrame, RECEIVED } from "./statistics.ts";

const SMALLEST_FRAME = 60;
const FCS = 4;
const TAG = 4;
const TAG_AT = 12;

export interface ReceiverWiring {
  readonly ram: GuestMemory;
  /** Whether there is a link, and the controller reaches memory. */
  isConnected(): boolean;
  /** Interrupt causes. */
  raise(causes: number): void;
  /** There is room again for whoever had a frame refused. */
  roomAgain(): void;
}

interface Arrival {
  /** What goes into the buffers. */
  readonly data: Uint8Array;
  readonly status: number;
  readonly errors: number;
  readonly special: number;
}

export class Receiver {
  readonly #state: E1000Registers;
  readonly #wiring: ReceiverWiring;
  /** A frame as it is stored, with its check sequence. */
  readonly #stored = new Uint8Array(LARGEST_FRAME + TAG + FCS);

  constructor(state: E1000Registers, wiring: ReceiverWiring) {
    this.#state = state;
    this.#wiring = wiring;
  }

  get #isListening(): boolean {
    return (this.#state.registers[Register.rctl / 4]! & Rctl.mask.en) !== 0 && this.#wiring.isConnected();
  }

  /** Returns false where the frame should be sent again once there is room. */
  receive(frame: Uint8Array): boolean {
    const { registers, receive } = this.#state;
    if (!this.#isListening || frame.length < ETHERNET_HEADER) return true;
    if (frame.length > LARGEST_FRAME + TAG) {
      count(registers, Statistic.roc);
      return true;
    }
    const padded = this.#pad(frame);
    const acceptance = filterFrame(registers, padded);
    if (acceptance === "refused") return true;
    const ring = Ring.of(registers, Register.rdbal);
    if (!ring) return true;
    const arrival = this.#arrive(padded, acceptance);
    const taken = this.#descriptorsFor(ring, arrival.data.length);
    if (taken === "none") {
      receive.refused = true;
      count(registers, Statistic.rnbc);
      count(registers, Statistic.mpc);
      this.#wiring.raise(Icr.rxo);
      return false;
    }
    if (taken === "unreachable") return true;
    countFrame(registers, RECEIVED, padded);
    this.#store(ring, taken, arrival);
    this.#wiring.raise(Icr.rxt0 | (this.#isRunningLow(ring) ? Icr.rxdmt0 : 0));
    return true;
  }

  /** Tells whoever had a frame refused, where the next would not be. */
  tellRoom(): void {
    const { registers, receive } = this.#state;
    if (!receive.refused) return;
    const ring = Ring.of(registers, Register.rdbal);
    if (this.#isListening && ring?.available === 0) return;
    receive.refused = false;
    this.#wiring.roomAgain();
  }

  #pad(frame: Uint8Array): Uint8Array {
    const length = Math.max(frame.length, SMALLEST_FRAME);
    this.#stored.set(frame);
    this.#stored.fill(0, frame.length, length);
    return this.#stored.subarray(0, length);
  }

  /** `frame` lies at the start of the store. */
  #arrive(frame: Uint8Array, acceptance: Acceptance): Arrival {
    const { registers } = this.#state;
    const isStripped = (registers[Register.rctl / 4]! & Rctl.mask.secrc) !== 0;
    let { length } = frame;
    if (!isStripped) {
      new DataView(this.#stored.buffer).setUint32(length, crc32(frame), true);
      length += FCS;
    }
    const status = acceptance === "inexact" ? RxStatus.pif : 0;
    const withTag = this.#stored.subarray(0, length);
    if ((registers[Register.ctrl / 4]! & Ctrl.mask.vme) === 0 || !isTagged(registers, frame)) {
      const { status: checked, errors } = checkChecksums(frame, registers[Register.rxcsum / 4]!);
      return { data: withTag, status: status | checked, errors, special: 0 };
    }
    const special = get16(frame, TAG_AT + 2);
    const data = withTag.slice(TAG);
    data.set(withTag.subarray(0, TAG_AT));
    return { data, status: status | RxStatus.vp | RxStatus.ixsm, errors: 0, special };
  }

  /** How many descriptors hold `length` bytes; those without a buffer hold none. "unreachable" where one is not in RAM. */
  #descriptorsFor(ring: Ring, length: number): number | "none" | "unreachable" {
    const { available } = ring;
    const size = this.#bufferSize;
    let left = length;
    for (let index = 0; index < available; index++) {
      const view = this.#descriptor(ring, index, "read");
      if (!view) return "unreachable";
      if (view.getUint32(0, true) !== 0 || view.getUint32(4, true) !== 0) left -= size;
      if (left <= 0) return index + 1;
    }
    return "none";
  }

  #descriptor(ring: Ring, ahead: number, access: "read" | "write"): DataView | undefined {
    const bytes = this.#wiring.ram.view(ring.address(ahead), DESCRIPTOR_SIZE, access);
    return bytes && new DataView(bytes.buffer, bytes.byteOffset, DESCRIPTOR_SIZE);
  }

  #store(ring: Ring, descriptors: number, { data, status, errors, special }: Arrival): void {
    const size = this.#bufferSize;
    let at = 0;
    for (let index = 0; index < descriptors; index++) {
      const isLast = index === descriptors - 1;
      const read = this.#descriptor(ring, index, "read");
      const address = read ? read.getUint32(0, true) + read.getUint32(4, true) * 2 ** 32 : 0;
      const part = address === 0 ? data.subarray(0, 0) : data.subarray(at, at + size);
      at += part.length;
      // What is no RAM takes its part, and keeps nothing of it.
      this.#wiring.ram.view(guestPhysical(address), part.length, "write")?.set(part);
      const view = this.#descriptor(ring, index, "write");
      if (!view) continue;
      view.setUint16(8, part.length, true);
      view.setUint16(10, 0, true);
      view.setUint8(12, RxStatus.dd | (isLast ? status | RxStatus.eop : 0));
      view.setUint8(13, isLast ? errors : 0);
      view.setUint16(14, isLast ? special : 0, true);
    }
    ring.advance(descriptors);
  }

  /** RCTL.RDMTS: a half, a quarter or an eighth of the ring is left. */
  #isRunningLow(ring: Ring): boolean {
    const rdmts = (this.#state.registers[Register.rctl / 4]! & Rctl.mask.rdmts) >>> 8;
    return ring.available <= ring.size >>> (Math.min(rdmts, 2) + 1);
  }

  /** Bytes, by RCTL.BSIZE and BSEX. */
  get #bufferSize(): number {
    const rctl = this.#state.registers[Register.rctl / 4]!;
    const bsize = (rctl & Rctl.mask.bsize) >>> 16;
    return (2048 >>> bsize) * ((rctl & Rctl.mask.bsex) !== 0 && bsize !== 0 ? 16 : 1);
  }
}
