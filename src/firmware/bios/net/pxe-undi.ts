/**
 * PXE's UNDI: frames for programs that have protocols of their own.
 *
 * @spec Preboot Execution Environment (PXE) Specification 2.1, §4
 *
 * Not modelled: interrupts: there is no interrupt number, and programs ask UNDI_ISR for what has come; UNDI_GET_STATE, whose
 * number is that of STOP_UNDI; UNDI_INITIATE_DIAGS, UNDI_FORCE_INTERRUPT; the order of calls, which is not insisted on; buffers
 * that a frame is spread over, as one is enough.
 */
import { ETHERNET_HEADER, LARGEST_FRAME } from "../../../net/link.ts";
import { broadcastMac, MAC_LENGTH } from "../../../net/wire/addresses.ts";
import { ETHER_TYPE, makeEthernet } from "../../../net/wire/ethernet.ts";
import type { BiosCall } from "../call.ts";
import { type Ports, readPci } from "../chips.ts";
import { Block, groupsOf, MOST_PIECES, PXE, PXE_STATUS, TransmitDescriptor, TransmitPiece } from "./pxe-blocks.ts";
import { answer, type PxeFunctions } from "./pxe-function.ts";
import { FRAME_PART, type PxeMemory } from "./pxe-memory.ts";
import type { NetworkStation } from "./station.ts";

const PROTOCOL = { unknown: 0, ip: 1, arp: 2, rarp: 3 } as const;
const RARP = 0x8035;
const ETHER_TYPES: Readonly<Record<number, number>> = {
  [PROTOCOL.ip]: ETHER_TYPE.ipv4,
  [PROTOCOL.arp]: ETHER_TYPE.arp,
  [PROTOCOL.rarp]: RARP,
};
const PACKET = { directed: 0, broadcast: 1, multicast: 2 } as const;
const TO_ALL = 1;
const SEGMENT_AND_OFFSET = 1;

const ISR_IN = { start: 1, process: 2, next: 3 } as const;
const ISR_OUT = { ours: 0, notOurs: 1, done: 0, transmit: 2, receive: 3 } as const;

const ETHERNET_TYPE = 1;
const PCI_NIC = 2;
const BUFFERS = 16;
/** Broadcast, multicast, promiscuous, the address may be set, statistics, reset, open and close; not: interrupts. */
const SERVICES = 0x0001 | 0x0002 | 0x0008 | 0x0010 | 0x0020 | 0x0400 | 0x0800;
const BITS_PER_SECOND = 1_000_000_000;
const MOST_SENT = 255;

export interface UndiState {
  /** Frames whose sending a program has not been told of. */
  sent: number;
}

export interface UndiParts {
  readonly station: NetworkStation;
  readonly ports: Ports;
  readonly memory: PxeMemory;
  /** Whether the BIOS's own protocols still want frames. */
  baseCodeListens(): boolean;
}

export class Undi {
  readonly state: UndiState = { sent: 0 };
  readonly functions: PxeFunctions;
  readonly #parts: UndiParts;

  constructor(parts: UndiParts) {
    this.#parts = parts;
    this.functions = this.#functions();
  }

  reset(): void {
    this.state.sent = 0;
  }

  #functions(): PxeFunctions {
    const { station, memory, ports } = this.#parts;
    const { state } = station;
    const success = () => PXE_STATUS.success;
    const open = (filter: number) => {
      station.open(filter);
      this.state.sent = 0;
    };
    const close = () => {
      station.close();
      state.listens = this.#parts.baseCodeListens();
      return PXE_STATUS.success;
    };
    const setAddress = (address: Uint8Array) => {
      state.address = address.slice(0, MAC_LENGTH);
      return PXE_STATUS.success;
    };
    const pci = (register: number, size: 1 | 2) => readPci(ports, station.network.card, register, size);
    return {
      [PXE.startUndi]: answer(Block.status, success),
      [PXE.undiStartup]: answer(Block.status, success),
      [PXE.undiCleanup]: answer(Block.status, success),
      [PXE.undiInitialize]: answer(Block.status, success),
      [PXE.undiResetAdapter]: answer(Block.undiReset, (block) => {
        state.groups = groupsOf(block);
        return PXE_STATUS.success;
      }),
      [PXE.undiShutdown]: answer(Block.status, close),
      [PXE.undiOpen]: answer(Block.undiOpen, (block) => {
        open(block.filter);
        state.groups = groupsOf(block);
        return PXE_STATUS.success;
      }),
      [PXE.undiClose]: answer(Block.status, close),
      [PXE.stopUndi]: answer(Block.status, () => {
        close();
        memory.reset();
        return PXE_STATUS.success;
      }),
      [PXE.undiTransmit]: answer(Block.undiTransmit, (block, call) => this.#transmit(block, call)),
      [PXE.undiSetMcastAddress]: answer(Block.undiReset, (block) => {
        state.groups = groupsOf(block);
        return PXE_STATUS.success;
      }),
      [PXE.undiSetStationAddress]: answer(Block.undiStationAddress, ({ address }) => setAddress(address)),
      [PXE.undiSetPacketFilter]: answer(Block.undiPacketFilter, ({ filter }) => {
        state.filter = filter;
        return PXE_STATUS.success;
      }),
      [PXE.undiGetInformation]: answer(Block.undiGetInformation, (block) => {
        Object.assign(block, {
          baseIo: 0,
          interrupt: 0,
          largestUnit: LARGEST_FRAME - ETHERNET_HEADER,
          hardwareType: ETHERNET_TYPE,
          addressLength: MAC_LENGTH,
          address: state.address,
          permanentAddress: station.network.address,
          romAddress: 0,
          receiveBuffers: BUFFERS,
          transmitBuffers: BUFFERS,
        });
        return PXE_STATUS.success;
      }),
      [PXE.undiGetStatistics]: answer(Block.undiGetStatistics, (block) => {
        Object.assign(block, { sent: state.sent, received: state.received, badChecksums: 0, lost: state.lost });
        return PXE_STATUS.success;
      }),
      [PXE.undiClearStatistics]: answer(Block.status, () => {
        Object.assign(state, { sent: 0, received: 0, lost: 0 });
        return PXE_STATUS.success;
      }),
      // @spec RFC 1112 §6.4
      [PXE.undiGetMcastAddress]: answer(Block.undiGetMcastAddress, (block) => {
        const group = block.group;
        block.address = Uint8Array.of(0x01, 0x00, 0x5e, (group >> 16) & 0x7f, group >> 8, group);
        return PXE_STATUS.success;
      }),
      [PXE.undiGetNicType]: answer(Block.undiGetNicType, (block) => {
        Object.assign(block, {
          type: PCI_NIC,
          vendor: pci(0x00, 2),
          device: pci(0x02, 2),
          revision: pci(0x08, 1),
          interface: pci(0x09, 1),
          subClass: pci(0x0a, 1),
          baseClass: pci(0x0b, 1),
          busDeviceFunction: station.network.card,
          subsystemVendor: pci(0x2c, 2),
          subsystemDevice: pci(0x2e, 2),
        });
        return PXE_STATUS.success;
      }),
      [PXE.undiGetIfaceInfo]: answer(Block.undiGetIfaceInfo, (block) => {
        block.type = Uint8Array.from("DIX+802.3", (character) => character.charCodeAt(0));
        block.bitsPerSecond = BITS_PER_SECOND;
        block.services = SERVICES;
        block.reserved = new Uint8Array(0);
        return PXE_STATUS.success;
      }),
      [PXE.undiIsr]: answer(Block.undiIsr, (block, call) => this.#isr(block, call)),
    };
  }

  #transmit(block: ReturnType<typeof Block.undiTransmit.at>, call: BiosCall): number {
    const { station } = this.#parts;
    const payload = outgoing(block.descriptor, call);
    const type = ETHER_TYPES[block.protocol];
    if (payload === undefined) return PXE_STATUS.undiInvalidParameter;
    if (type === undefined) {
      if (payload.length < ETHERNET_HEADER || payload.length > LARGEST_FRAME) return PXE_STATUS.undiInvalidParameter;
      station.transmit(payload);
    } else {
      if (payload.length > LARGEST_FRAME - ETHERNET_HEADER) return PXE_STATUS.undiInvalidParameter;
      const destination = block.flag === TO_ALL ? broadcastMac() : call.bytes(block.destination, MAC_LENGTH);
      station.transmit(makeEthernet({ destination, source: station.state.address, type, payload }));
    }
    if (this.state.sent < MOST_SENT) this.state.sent++;
    return PXE_STATUS.success;
  }

  /** Tells one thing that has happened. */
  #isr(block: ReturnType<typeof Block.undiIsr.at>, call: BiosCall): number {
    const { station, memory } = this.#parts;
    const { passed } = station.state;
    if (block.function === ISR_IN.start) {
      block.function = passed.length > 0 || this.state.sent > 0 ? ISR_OUT.ours : ISR_OUT.notOurs;
      return PXE_STATUS.success;
    }
    if (block.function !== ISR_IN.process && block.function !== ISR_IN.next) return PXE_STATUS.undiInvalidParameter;
    if (this.state.sent > 0) {
      this.state.sent--;
      block.function = ISR_OUT.transmit;
      return PXE_STATUS.success;
    }
    const frame = memory.isThere ? passed.shift() : undefined;
    block.function = frame ? ISR_OUT.receive : ISR_OUT.done;
    if (frame === undefined) return PXE_STATUS.success;
    memory.fill(call, FRAME_PART, frame);
    block.bufferLength = frame.length;
    block.frameLength = frame.length;
    block.headerLength = ETHERNET_HEADER;
    block.frame = memory.pointer(FRAME_PART);
    const type = ((frame[12] as number) << 8) | (frame[13] as number);
    block.protocol = Number(Object.keys(ETHER_TYPES).find((each) => ETHER_TYPES[Number(each)] === type) ?? 0);
    const destination = frame.subarray(0, MAC_LENGTH);
    const isGroup = ((destination[0] as number) & 1) !== 0;
    const isBroadcast = destination.every((byte) => byte === 0xff);
    block.packetType = isBroadcast ? PACKET.broadcast : isGroup ? PACKET.multicast : PACKET.directed;
    return PXE_STATUS.success;
  }
}

/** The bytes that a descriptor gathers; undefined where they are more than a frame has. */
function outgoing(descriptorAt: number, call: BiosCall): Uint8Array | undefined {
  const descriptor = TransmitDescriptor.at(call.bytes(descriptorAt, TransmitDescriptor.size));
  if (descriptor.length > LARGEST_FRAME || descriptor.pieces > MOST_PIECES) return undefined;
  const frame = new Uint8Array(LARGEST_FRAME);
  let length = 0;
  const add = (bytes: Uint8Array) => {
    frame.set(bytes, length);
    length += bytes.length;
  };
  add(call.bytes(descriptor.at, descriptor.length));
  for (let i = 0; i < descriptor.pieces; i++) {
    const at = descriptorAt + TransmitDescriptor.size + i * TransmitPiece.size;
    const piece = TransmitPiece.at(call.bytes(at, TransmitPiece.size));
    if (length + piece.length > LARGEST_FRAME) return undefined;
    if (piece.pointerType === SEGMENT_AND_OFFSET) {
      add(call.bytes((piece.at >>> 16) * 16 + (piece.at & 0xffff), piece.length));
    } else {
      const bytes = new Uint8Array(piece.length);
      call.processor.readPhysical(piece.at, bytes);
      add(bytes);
    }
  }
  return frame.slice(0, length);
}
