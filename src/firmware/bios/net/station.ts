/**
 * The BIOS on the machine's Ethernet: a station of its own beside the card, with the card's address. Frames are for the
 * BIOS's own protocols, or, while a program has the network opened, for that program.
 *
 * Not modelled: frames of IEEE 802.3 with a length are passed on, but nothing here understands them.
 */
import type { Timer, TimeSource } from "../../../machine/device.ts";
import { ETHERNET_HEADER, type EthernetPort, type EthernetStation, LARGEST_FRAME } from "../../../net/link.ts";
import { isGroupMac, isSameMac, MAC_LENGTH, type MacAddress } from "../../../net/wire/addresses.ts";
import type { PciAddress } from "../chips.ts";

/** The machine's network card, as the BIOS has it. */
export interface BiosNetwork {
  /** The card's address, which the BIOS's frames have too. */
  readonly address: MacAddress;
  /** Plugs the BIOS in where the card is. */
  connect(station: EthernetStation): EthernetPort;
  /** Where the card is on the PCI bus. */
  readonly card: PciAddress;
  /** The machine's UUID in SMBIOS's order of bytes, which servers are told. */
  readonly uuid?: Uint8Array;
}

/** Frames that are kept until somebody takes them. */
const MOST_FRAMES = 256;

/** @spec PXE 2.1, PXENV_UNDI_OPEN, "PktFilter" */
export const FILTER = { directed: 1, broadcast: 2, promiscuous: 4 } as const;

export interface StationState {
  /** Whether anybody wants frames at all. */
  listens: boolean;
  /** Whether a program has opened the network, and gets what comes. */
  opened: boolean;
  /** What is sent from and listened to; a program may change it. */
  address: MacAddress;
  /** Bits of FILTER, for a program's frames. */
  filter: number;
  /** Groups that a program wants to hear. */
  groups: MacAddress[];
  /** Waiting for the BIOS. */
  own: Uint8Array[];
  /** Waiting for the program. */
  passed: Uint8Array[];
  sent: number;
  received: number;
  /** Frames for which there was no room. */
  lost: number;
}

export interface StationWiring {
  readonly time: TimeSource;
  /** Whether an operation of the BIOS waits, which frames are for then. */
  isWaiting(): boolean;
  /** A frame for the BIOS. */
  received(frame: Uint8Array): void;
}

export class NetworkStation implements EthernetStation {
  readonly state: StationState;
  readonly network: BiosNetwork;
  readonly #wiring: StationWiring;
  readonly #port: EthernetPort;
  readonly #timer: Timer;

  constructor(network: BiosNetwork, wiring: StationWiring) {
    this.network = network;
    this.state = atStart(network);
    this.#wiring = wiring;
    this.#port = network.connect(this);
    // A station sends nothing while it is told of a frame: what answers comes later.
    this.#timer = wiring.time.createTimer("BIOS network frame", () => this.#handle());
  }

  reset(): void {
    Object.assign(this.state, atStart(this.network));
    this.#timer.cancel();
  }

  restored(): void {
    if (this.state.own.length > 0) this.#timer.arm(this.#wiring.time.now());
  }

  receive(frame: Uint8Array): boolean {
    const { state } = this;
    const isPassed = state.opened && !this.#wiring.isWaiting();
    // A sender is never kept waiting, as a system without use for the BIOS may be running.
    if (!state.listens || frame.length < ETHERNET_HEADER || frame.length > LARGEST_FRAME) return true;
    if (isSameMac(frame.subarray(MAC_LENGTH, 2 * MAC_LENGTH), state.address)) {
      this.#leaveToCard();
      return true;
    }
    if (!this.#accepts(frame.subarray(0, MAC_LENGTH), isPassed)) return true;
    const queue = isPassed ? state.passed : state.own;
    if (queue.length >= MOST_FRAMES) {
      state.lost++;
      return true;
    }
    state.received++;
    queue.push(frame.slice());
    if (!isPassed) this.#timer.arm(this.#wiring.time.now());
    return true;
  }

  /** A system has the card send: it has a driver of its own, and no use for the BIOS. */
  #leaveToCard(): void {
    if (this.state.opened || this.#wiring.isWaiting()) return;
    Object.assign(this.state, { listens: false, own: [] });
  }

  #accepts(destination: MacAddress, isPassed: boolean): boolean {
    const { address, filter, groups } = this.state;
    const wanted = isPassed ? filter : FILTER.directed | FILTER.broadcast;
    if ((wanted & FILTER.promiscuous) !== 0) return true;
    if (!isGroupMac(destination)) return (wanted & FILTER.directed) !== 0 && isSameMac(destination, address);
    if (destination.every((byte) => byte === 0xff)) return (wanted & FILTER.broadcast) !== 0;
    return isPassed && groups.some((group) => isSameMac(group, destination));
  }

  #handle(): void {
    const frames = this.state.own.splice(0);
    for (const frame of frames) this.#wiring.received(frame);
  }

  /** Sends a frame, which may be lost as on any network. */
  transmit(frame: Uint8Array): void {
    this.state.sent++;
    this.#port.transmit(frame);
  }

  /** Lets a program have the frames, from now on. */
  open(filter: number): void {
    Object.assign(this.state, { opened: true, listens: true, filter, passed: [] });
  }

  close(): void {
    Object.assign(this.state, { opened: false, passed: [] });
  }
}

const atStart = ({ address }: BiosNetwork): StationState => ({
  listens: false,
  opened: false,
  address: address.slice(),
  filter: 0,
  groups: [],
  own: [],
  passed: [],
  sent: 0,
  received: 0,
  lost: 0,
});
