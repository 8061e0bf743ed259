/**
 * Virtio network device. Source: OASIS virtio 1.2, §5.1 "Network Device".
 *
 * The device is a station on an Ethernet. A frame goes out, and comes in, within one call: nothing is held here, but in the
 * driver's queues. A frame that another station has no room for is lost, as on a cable. The checksum that a driver
 * leaves to the device (VIRTIO_NET_F_CSUM) is made before the frame goes out.
 *
 * A frame that is not between `ETHERNET_HEADER` and `LARGEST_FRAME` bytes, VLAN tag included, is dropped; VIRTIO_NET_F_MTU
 * keeps drivers from making larger ones. Frames below 60 bytes go out and come in without padding.
 *
 * Not modelled: segmentation offloads (VIRTIO_NET_F_HOST_*, VIRTIO_NET_F_GUEST_*) and the device's checking of received
 * checksums (VIRTIO_NET_F_GUEST_CSUM), VLAN filtering, several queue pairs, receive-side scaling, hash reports,
 * announcements, speed and duplex, standby, notification coalescing.
 */
import type { GuestMemory } from "../../machine/device.ts";
import { ETHERNET_HEADER, type EthernetPort, type EthernetStation, LARGEST_FRAME } from "../../net/link.ts";
import type { DescriptorChain } from "../virtio/descriptor-chain.ts";
import { VirtioDevice, type VirtioEvents } from "../virtio/virtio-device.ts";
import { completeChecksum } from "./checksum.ts";
import { control } from "./control.ts";
import {
  ADDRESS_LENGTH,
  ControlAck,
  ControlHeader,
  GSO_NONE,
  HEADER_NEEDS_CSUM,
  NetConfig,
  NetFeature,
  NetHeader,
  STATUS_LINK_UP,
} from "./layout.ts";
import { initialFilter, isWanted, type ReceiveFilter } from "./receive-filter.ts";

export interface VirtioNetState {
  /** Six bytes. The driver may have changed it; a reset brings the card's own back. */
  address: Uint8Array;
  /** Whether the cable is plugged in: the host's choice, which a reset leaves alone. */
  linkUp: boolean;
  filter: ReceiveFilter;
  /** A station was turned away because the receive queue lacked buffers, and has to be told when there are some. */
  starved: boolean;
  /** Frames from the driver that were not sent: of a bad size, or with a header that asks for what is not there. */
  transmitDrops: number;
  /** Frames for the driver, of a bad size or larger than its buffers. */
  receiveDrops: number;
}

export interface VirtioNetWiring {
  memory: GuestMemory;
  /** Plugs the device into its network, once. */
  connect: (station: EthernetStation) => EthernetPort;
  /** The card's own address, six bytes. */
  address: Uint8Array;
  /** True when absent. */
  linkUp?: boolean;
  events?: VirtioEvents;
}

const RECEIVEQ = 0;
const TRANSMITQ = 1;
const CONTROLQ = 2;
const QUEUE_SIZE = 256;
const CONTROL_QUEUE_SIZE = 64;

export class VirtioNet extends VirtioDevice<VirtioNetState> implements EthernetStation {
  readonly #address: Uint8Array;
  readonly #port: EthernetPort;
  /** A header and a frame on their way out. Copied: whoever gets the frame must not see the driver change it. */
  readonly #outgoing = new Uint8Array(NetHeader.size + LARGEST_FRAME);
  readonly #incomingHeader = new Uint8Array(NetHeader.size);

  /** Throws RangeError for an address that is not of six bytes. */
  constructor({ memory, connect, address, linkUp = true, events }: VirtioNetWiring) {
    if (address.length !== ADDRESS_LENGTH) throw new RangeError(`an Ethernet address of ${address.length} bytes`);
    const type = {
      deviceId: 1,
      features: Object.values(NetFeature),
      queueSizes: [QUEUE_SIZE, QUEUE_SIZE, CONTROL_QUEUE_SIZE],
      configLength: NetConfig.size,
      initial: {
        address: address.slice(),
        linkUp,
        filter: initialFilter(),
        starved: false,
        transmitDrops: 0,
        receiveDrops: 0,
      },
    };
    super(memory, type, events);
    this.#address = address.slice();
    this.#port = connect(this);
  }

  /** Plugs the cable in, or pulls it. */
  setLink(up: boolean): void {
    const own = this.state.device;
    if (own.linkUp === up) return;
    own.linkUp = up;
    this.configChanged();
    if (!up) this.#tellOfRoom();
  }

  /** A frame from the network. */
  receive(frame: Uint8Array): boolean {
    const own = this.state.device;
    const listens = this.running && own.linkUp && this.queues[RECEIVEQ]!.state.enabled;
    if (!listens) return true;
    if (!hasFrameSize(frame.length)) {
      own.receiveDrops++;
      return true;
    }
    if (!isWanted(own.filter, own.address, frame)) return true;
    return this.#deliver(frame);
  }

  protected override config(): Uint8Array {
    const { address, linkUp } = this.state.device;
    return NetConfig.make({
      mac: address,
      status: linkUp ? STATUS_LINK_UP : 0,
      maxVirtqueuePairs: 1,
      mtu: LARGEST_FRAME - ETHERNET_HEADER,
    });
  }

  protected override serviceQueue(index: number): void {
    if (index === RECEIVEQ) this.#tellOfRoom();
    else if (index === TRANSMITQ) this.#transmit();
    else this.#control();
  }

  protected override resetDevice(): void {
    const own = this.state.device;
    own.address = this.#address.slice();
    own.filter = initialFilter();
    this.#tellOfRoom();
  }

  /** Whoever was turned away may try again: there are buffers, or nobody listens any more. */
  #tellOfRoom(): void {
    const own = this.state.device;
    if (!own.starved) return;
    own.starved = false;
    this.#port.roomAgain();
  }

  /** Puts a frame into the driver's buffers, whole or not at all. Returns false where it lacks some. */
  #deliver(frame: Uint8Array): boolean {
    const own = this.state.device;
    const queue = this.queues[RECEIVEQ]!;
    const length = NetHeader.size + frame.length;
    const mayMerge = this.negotiated(NetFeature.mrgRxbuf);
    const chains: DescriptorChain[] = [];
    let room = 0;
    while (room < length) {
      // A driver that filled its queue will not add more until some come back: that the frame fits is not to be waited for.
      const isTooLarge = chains.length === (mayMerge ? queue.state.size : 1);
      const chain = isTooLarge ? undefined : queue.pop();
      if (chain === undefined) {
        queue.putBack(chains.length);
        if (isTooLarge) own.receiveDrops++;
        else if (this.running) own.starved = true;
        return isTooLarge || !this.running;
      }
      if (chain.writableLength < NetHeader.size) {
        this.fail(`a network receive buffer with ${chain.writableLength} device-writable bytes`);
        return true;
      }
      chains.push(chain);
      room += chain.writableLength;
    }
    this.#fill(chains, frame);
    this.notifyUsed(RECEIVEQ);
    return true;
  }

  /** Each of `chains` holds a header at least, and all of them header and frame. */
  #fill(chains: readonly DescriptorChain[], frame: Uint8Array): void {
    // Also without VIRTIO_NET_F_MRG_RXBUF the field is there, and 1 (§5.1.6.4.1).
    NetHeader.at(this.#incomingHeader).numBuffers = chains.length;
    let taken = 0;
    for (const [index, chain] of chains.entries()) {
      let written = index === 0 ? chain.write(0, this.#incomingHeader) : 0;
      const size = Math.min(chain.writableLength - written, frame.length - taken);
      written += chain.write(written, frame.subarray(taken, taken + size));
      taken += size;
      this.queues[RECEIVEQ]!.push(chain.head, written);
    }
  }

  #transmit(): void {
    for (const chain of this.#available(TRANSMITQ)) {
      if (chain.readableLength < NetHeader.size) {
        this.fail("a network transmit request without a header");
        return;
      }
      const frame = this.#outgoingFrame(chain);
      if (frame === undefined) this.state.device.transmitDrops++;
      else if (this.state.device.linkUp) this.#port.transmit(frame);
      this.queues[TRANSMITQ]!.push(chain.head, 0);
    }
    this.notifyUsed(TRANSMITQ);
  }

  /** The frame of a transmit request as it goes out, valid until the next one; undefined where it is none. */
  #outgoingFrame(chain: DescriptorChain): Uint8Array | undefined {
    if (!hasFrameSize(chain.readableLength - NetHeader.size)) return undefined;
    const bytes = this.#outgoing.subarray(0, chain.readableLength);
    if (chain.read(0, bytes) < bytes.length) return undefined;
    const { flags, gsoType, csumStart, csumOffset } = NetHeader.at(bytes);
    const frame = bytes.subarray(NetHeader.size);
    if (gsoType !== GSO_NONE) return undefined;
    if ((flags & HEADER_NEEDS_CSUM) === 0) return frame;
    const isDone = this.negotiated(NetFeature.csum) && completeChecksum(frame, csumStart, csumOffset);
    return isDone ? frame : undefined;
  }

  #control(): void {
    for (const chain of this.#available(CONTROLQ)) {
      if (chain.readableLength < ControlHeader.size || chain.writableLength === 0) {
        this.fail("a network control request without a header or a place for the answer");
        return;
      }
      const isDone = control(chain, this.state.device, (bit) => this.negotiated(bit));
      const written = chain.write(0, Uint8Array.of(isDone ? ControlAck.ok : ControlAck.error));
      this.queues[CONTROLQ]!.push(chain.head, written);
    }
    this.notifyUsed(CONTROLQ);
  }

  /** The chains of a queue, as many as it can hold at once: more come only from a driver that plays with its rings. */
  *#available(index: number): Generator<DescriptorChain, void, void> {
    const queue = this.queues[index]!;
    // The last of these finds the queue empty, and asks for a notification.
    for (let left = queue.maxSize + 1; left > 0; left--) {
      const chain = queue.pop();
      if (chain === undefined) return;
      yield chain;
    }
  }
}

const hasFrameSize = (length: number): boolean => length >= ETHERNET_HEADER && length <= LARGEST_FRAME;
