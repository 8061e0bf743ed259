/**
 * The transmitter: takes packets from the ring's head and sends the frames that become of them.
 *
 * A packet is sent once all its descriptors are there, up to the one with EOP. Until its last frame is out the head stays
 * where it is: a ring that has had its turn, or whose frame another station had no room for, goes on there later. As on a
 * wire, stations that had room then hear that frame twice. A station that has none for long is not waited for again before
 * it says that it has: that frame and the next ones are lost for it.
 *
 * @spec 317453 §3.3 "Packet Transmission" to §3.6
 *
 * Not modelled: padding (TCTL.PSP: a frame's receiver pads it), frame check sequences of software's own (IFCS clear),
 * half duplex, TXD_LOW and the other thresholds of TXDCTL, jumbo frames: packets with larger frames than 1514 bytes are
 * dropped.
 */
import { bits } from "../../bits/fields.ts";
import { guestPhysical, nanoseconds } from "../../bits/units.ts";
import type { GuestMemory, Timer, TimeSource } from "../../machine/device.ts";
import { Scratch } from "../../machine/scratch.ts";
import { ETHERNET_HEADER, LARGEST_FRAME } from "../../net/link.ts";
import {
  type Insertions,
  insertChecksum,
  insertChecksums,
  insertTag,
  makeSegment,
  type OffloadContext,
  segmentCount,
} from "./offload.ts";
import { Ctrl, Icr, Register, Statistic, Tctl } from "./registers.ts";
import { DESCRIPTOR_SIZE, Ring } from "./ring.ts";
import type { E1000Registers, TransmitState } from "./state.ts";
import { count, countFrame, TRANSMITTED } from "./statistics.ts";

/** What is done in one go. */
const MOST_FRAMES = 512;
const MOST_DESCRIPTORS = 4096;
/** Nanoseconds until a ring that had its turn goes on. */
const TURN = 10_000;
/** Nanoseconds that a frame waits for stations without room. */
export const PATIENCE = 100_000_000;
/** Of one packet: what systems send has 64 KiB at the most. */
const MOST_PACKET_BYTES = 256 * 1024;
const MOST_PACKET_DESCRIPTORS = 512;

/** The second half of a descriptor, §3.3.3 to §3.3.7: its words. */
const Command = bits({ length: [0, 19], dtyp: [20, 23], eop: 24, ic: 26, rs: 27, rps: 28, dext: 29, vle: 30 });
/** IC's place in extended descriptors. */
const TSE = Command.mask.ic;
const LEGACY_LENGTH = 0xffff;
const Status = bits({ dd: 0, popts: [8, 15], css: [8, 15], special: [16, 31] });
const Popts = bits({ ixsm: 0, txsm: 1 });
const DTYP_CONTEXT = 0;
const DTYP_DATA = 1;
/** TUCMD has these where a data descriptor has EOP and IFCS. */
const TUCMD_TCP = 1 << 24;
const TUCMD_IP = 1 << 25;

interface Descriptor {
  /** Its four words. */
  readonly words: readonly [number, number, number, number];
  readonly kind: "legacy" | "data" | "context" | "unknown";
}

interface Packet {
  readonly descriptors: readonly Descriptor[];
  /** Bytes. */
  readonly length: number;
  /** Whether it ends with EOP. */
  readonly isWhole: boolean;
}

export interface TransmitterWiring {
  readonly ram: GuestMemory;
  readonly time: TimeSource;
  /** Whether the controller reaches memory. */
  isBusMaster(): boolean;
  /** Returns false where another station had no room. */
  send(frame: Uint8Array): boolean;
  /** Interrupt causes. */
  raise(causes: number): void;
}

export class Transmitter {
  readonly #state: E1000Registers;
  readonly #wiring: TransmitterWiring;
  readonly #timer: Timer;
  readonly #packet = new Scratch();
  readonly #frame = new Uint8Array(LARGEST_FRAME + 4);
  #isRunning = false;

  constructor(state: E1000Registers, wiring: TransmitterWiring) {
    this.#state = state;
    this.#wiring = wiring;
    this.#timer = wiring.time.createTimer("e1000 transmit", () => {
      const { transmit } = this.#state;
      if (transmit.waiting === "room") transmit.isImpatient = true;
      transmit.waiting = undefined;
      this.service();
    });
  }

  /** Drives its timer from the state. */
  restored(): void {
    const { waiting, resumeAt } = this.#state.transmit;
    if (waiting === undefined) this.#timer.cancel();
    else this.#timer.arm(nanoseconds(resumeAt));
  }

  /** The ring's head is elsewhere now: forgets how far the packet there was. */
  restart(): void {
    const { transmit } = this.#state;
    transmit.framesSent = 0;
    transmit.waiting = undefined;
    this.#timer.cancel();
  }

  /** A station that had no room has some. */
  roomAgain(): void {
    const { transmit } = this.#state;
    transmit.isImpatient = false;
    if (transmit.waiting !== "room") return;
    transmit.waiting = undefined;
    this.#timer.cancel();
    this.service();
  }

  /** Sends what is on the ring. */
  service(): void {
    const { registers } = this.#state;
    if (this.#isRunning || (registers[Register.tctl / 4]! & Tctl.mask.en) === 0 || !this.#wiring.isBusMaster()) return;
    const ring = Ring.of(registers, Register.tdbal);
    if (!ring) return;
    this.#isRunning = true;
    const causes = this.#run(ring);
    this.#isRunning = false;
    if (causes !== 0) this.#wiring.raise(causes);
  }

  #run(ring: Ring): number {
    const { transmit } = this.#state;
    const budget = { frames: MOST_FRAMES, descriptors: MOST_DESCRIPTORS };
    let causes = 0;
    while (transmit.waiting === undefined && ring.head !== ring.tail) {
      if (budget.descriptors <= 0) {
        this.#wait("turn", TURN);
        break;
      }
      const packet = this.#nextPacket(ring);
      if (!packet) break;
      const [first] = packet.descriptors;
      budget.descriptors -= packet.descriptors.length;
      if (first!.kind === "context") this.#takeContext(first!);
      else if (packet.isWhole && !this.#sendPacket(packet, budget)) break;
      causes |= this.#complete(ring, packet);
    }
    return causes;
  }

  #wait(what: NonNullable<TransmitState["waiting"]>, duration: number): void {
    const { transmit } = this.#state;
    transmit.waiting = what;
    transmit.resumeAt = this.#wiring.time.now() + duration;
    this.#timer.arm(nanoseconds(transmit.resumeAt));
  }

  /** Undefined where the packet is not all there yet, or the ring is not in RAM. */
  #nextPacket(ring: Ring): Packet | undefined {
    const descriptors: Descriptor[] = [];
    const most = Math.min(ring.available, MOST_PACKET_DESCRIPTORS);
    let length = 0;
    while (descriptors.length < most) {
      const descriptor = this.#descriptor(ring, descriptors.length);
      if (!descriptor) return undefined;
      descriptors.push(descriptor);
      const isContext = descriptor.kind === "context";
      if (isContext && descriptors.length === 1) return { descriptors, length, isWhole: true };
      if (isContext || descriptor.kind === "unknown") continue;
      length += lengthOf(descriptor);
      if ((descriptor.words[2] & Command.mask.eop) !== 0) return { descriptors, length, isWhole: true };
    }
    return most < MOST_PACKET_DESCRIPTORS ? undefined : { descriptors, length, isWhole: false };
  }

  #descriptor(ring: Ring, ahead: number): Descriptor | undefined {
    const bytes = this.#wiring.ram.view(ring.address(ahead), DESCRIPTOR_SIZE, "read");
    if (!bytes) return undefined;
    const view = new DataView(bytes.buffer, bytes.byteOffset, DESCRIPTOR_SIZE);
    const words = [0, 4, 8, 12].map((at) => view.getUint32(at, true)) as [number, number, number, number];
    if ((words[2] & Command.mask.dext) === 0) return { words, kind: "legacy" };
    const dtyp = (words[2] & Command.mask.dtyp) >>> 20;
    return { words, kind: dtyp === DTYP_DATA ? "data" : dtyp === DTYP_CONTEXT ? "context" : "unknown" };
  }

  /** §3.3.6 "TCP/IP Context Transmit Descriptor Layout". */
  #takeContext({ words: [ip, transport, command, status] }: Descriptor): void {
    const context: OffloadContext = {
      ipcss: ip & 0xff,
      ipcso: (ip >>> 8) & 0xff,
      ipcse: ip >>> 16,
      tucss: transport & 0xff,
      tucso: (transport >>> 8) & 0xff,
      tucse: transport >>> 16,
      tcp: (command & TUCMD_TCP) !== 0,
      ipv4: (command & TUCMD_IP) !== 0,
      hdrlen: (status >>> 8) & 0xff,
      mss: status >>> 16,
    };
    if ((command & TSE) !== 0) this.#state.transmit.segmentation = context;
    else this.#state.transmit.checksums = context;
  }

  /** Sends what is left of a packet. Returns false where the ring has to wait in its middle. */
  #sendPacket(packet: Packet, budget: { frames: number }): boolean {
    const { transmit, registers } = this.#state;
    const first = packet.descriptors.find(({ kind }) => kind === "legacy" || kind === "data")!;
    const isSegmented = first.kind === "data" && (first.words[2] & TSE) !== 0;
    const segmentation = isSegmented ? transmit.segmentation : undefined;
    const frames = frameCount(packet, isSegmented, segmentation);
    const bytes = frames > transmit.framesSent ? this.#gather(packet) : undefined;
    while (bytes && transmit.framesSent < frames) {
      if (budget.frames === 0) {
        this.#wait("turn", TURN);
        return false;
      }
      const frame = segmentation
        ? makeSegment(bytes, segmentation, transmit.framesSent, insertions(first), this.#frame)
        : this.#makeFrame(bytes, packet, first);
      if (!this.#send(this.#tagged(frame, packet))) {
        this.#wait("room", PATIENCE);
        return false;
      }
      budget.frames--;
      transmit.framesSent++;
    }
    if (segmentation && bytes) count(registers, Statistic.tsctc);
    transmit.framesSent = 0;
    return true;
  }

  /** All of a packet's bytes; undefined where they are not in RAM. */
  #gather({ descriptors, length }: Packet): Uint8Array | undefined {
    const bytes = this.#packet.take(length);
    let at = 0;
    for (const descriptor of descriptors) {
      const size = lengthOf(descriptor);
      if (size === 0) continue;
      const [low, high] = descriptor.words;
      const source = this.#wiring.ram.view(guestPhysical(low + high * 2 ** 32), size, "read");
      if (!source) return undefined;
      bytes.set(source, at);
      at += size;
    }
    return bytes;
  }

  #makeFrame(bytes: Uint8Array, { descriptors }: Packet, first: Descriptor): Uint8Array {
    const frame = this.#frame.subarray(0, bytes.length);
    frame.set(bytes);
    const { checksums } = this.#state.transmit;
    const [, , command, status] = descriptors.at(-1)!.words;
    if (first.kind === "data") {
      if (checksums) insertChecksums(frame, checksums, insertions(first));
    } else if ((command & Command.mask.ic) !== 0) {
      const { css } = Status(status);
      insertChecksum(frame, { start: css, at: (command >>> 16) & 0xff, end: 0, neverZero: false });
    }
    return frame;
  }

  /** The frame with the VLAN tag that its packet is to have. */
  #tagged(frame: Uint8Array, { descriptors }: Packet): Uint8Array {
    const { registers } = this.#state;
    const [, , command, status] = descriptors.at(-1)!.words;
    if ((command & Command.mask.vle) === 0 || (registers[Register.ctrl / 4]! & Ctrl.mask.vme) === 0) return frame;
    return insertTag(this.#frame, frame.length, registers[Register.vet / 4]!, Status(status).special);
  }

  /** Returns false where the frame is to be sent again. */
  #send(frame: Uint8Array): boolean {
    const { transmit, registers } = this.#state;
    if (frame.length >= ETHERNET_HEADER && frame.length <= LARGEST_FRAME) {
      if (this.#wiring.send(frame)) transmit.isImpatient = false;
      else if (!transmit.isImpatient) return false;
      countFrame(registers, TRANSMITTED, frame);
    }
    return true;
  }

  /** Gives the packet's descriptors back; returns interrupt causes. */
  #complete(ring: Ring, { descriptors }: Packet): number {
    let causes = 0;
    for (const [index, { words }] of descriptors.entries()) {
      if ((words[2] & (Command.mask.rs | Command.mask.rps)) === 0) continue;
      const bytes = this.#wiring.ram.view(ring.address(index), DESCRIPTOR_SIZE, "write");
      if (bytes) bytes[12] = (bytes[12]! & ~0xf) | Status.mask.dd;
      causes |= Icr.txdw;
    }
    ring.advance(descriptors.length);
    return ring.head === ring.tail ? causes | Icr.txqe : causes;
  }
}

/** Bytes in a descriptor's buffer. */
function lengthOf({ kind, words }: Descriptor): number {
  if (kind === "legacy") return words[2] & LEGACY_LENGTH;
  return kind === "data" ? words[2] & Command.mask.length : 0;
}

function frameCount({ length }: Packet, isSegmented: boolean, context: OffloadContext | undefined): number {
  if (length < ETHERNET_HEADER || length > MOST_PACKET_BYTES) return 0;
  if (isSegmented) return context ? segmentCount(length, context) : 0;
  return length <= LARGEST_FRAME ? 1 : 0;
}

/** Of the first data descriptor, which says so for all. */
function insertions(first: Descriptor): Insertions {
  const { ixsm, txsm } = Popts(Status(first.words[3]).popts);
  return { ip: ixsm, transport: txsm };
}
