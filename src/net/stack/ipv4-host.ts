/**
 * A host with one IPv4 address on an Ethernet: who has the address (ARP), packets in by protocol, packets out.
 *
 * @spec RFC 826; RFC 1122 §3.2.1, §3.2.2
 *
 * Not modelled: putting fragments together (fragments are dropped); sending more than a frame takes; asking for Ethernet
 * addresses, as whoever is sent something has sent something before; multicast; options of packets, which are ignored.
 */
import {
  BROADCAST_IPV4,
  broadcastMac,
  type Ipv4Address,
  isGroupMac,
  isSameMac,
  type MacAddress,
  UNSPECIFIED_IPV4,
} from "../wire/addresses.ts";
import { ARP_OPERATION, makeArp, parseArp } from "../wire/arp.ts";
import { ETHER_TYPE, makeEthernet, parseEthernet } from "../wire/ethernet.ts";
import { makeIcmp, parseIcmp, quotedPacket, UNREACHABLE } from "../wire/icmp.ts";
import { IP_PROTOCOL, type Ipv4Packet, makeIpv4, parseIpv4 } from "../wire/ipv4.ts";
import { Neighbours } from "./neighbours.ts";
import { isHostOf, type Subnet } from "./subnet.ts";

export interface Ipv4HostConfig {
  readonly mac: MacAddress;
  readonly address: Ipv4Address;
  readonly subnet: Subnet;
}

/** A packet and who sent it. Its bytes are those of the frame, which may change once its handler has returned. */
export interface ReceivedPacket extends Ipv4Packet {
  readonly sourceMac: MacAddress;
  /** Whether it was sent to all hosts of the network. */
  readonly isForAll: boolean;
}

export type PacketHandler = (packet: ReceivedPacket) => void;

export interface PacketToSend {
  readonly destination: Ipv4Address;
  readonly protocol: number;
  /** 1480 bytes at the most. */
  readonly payload: Uint8Array;
  /** The host's own address if absent. */
  readonly source?: Ipv4Address;
  /** Where it goes on the Ethernet; if absent, where its destination was last heard, and nowhere if it was not. */
  readonly mac?: MacAddress;
}

export class Ipv4Host {
  readonly mac: MacAddress;
  readonly address: Ipv4Address;
  readonly subnet: Subnet;
  readonly neighbours = new Neighbours();
  readonly #transmit: (frame: Uint8Array) => void;
  readonly #handlers = new Map<number, PacketHandler>();
  #forward: PacketHandler = (packet) => this.refuse(packet, UNREACHABLE.network);

  /** `transmit` is called from within `receive`, and must not send before that has returned. */
  constructor({ mac, address, subnet }: Ipv4HostConfig, transmit: (frame: Uint8Array) => void) {
    this.mac = mac;
    this.address = address;
    this.subnet = subnet;
    this.#transmit = transmit;
  }

  /** Gives packets of one protocol that are for this host, or for all of them, to `handler`. */
  handle(protocol: number, handler: PacketHandler): void {
    this.#handlers.set(protocol, handler);
  }

  /** Gives packets that are for hosts beyond this network to `handler`; without one, there is no way there. */
  forwardTo(handler: PacketHandler): void {
    this.#forward = handler;
  }

  /** Whether packets to this address are for all hosts of the network. */
  isBroadcast(address: Ipv4Address): boolean {
    return address === BROADCAST_IPV4 || address === this.subnet.broadcast;
  }

  receive(frame: Uint8Array): void {
    const ethernet = parseEthernet(frame);
    if (ethernet === undefined || isGroupMac(ethernet.source)) return;
    const { destination, source, type, payload } = ethernet;
    const isForAll = isSameMac(destination, broadcastMac());
    if (!isForAll && !isSameMac(destination, this.mac)) return;
    if (type === ETHER_TYPE.arp) this.#receiveArp(payload);
    else if (type === ETHER_TYPE.ipv4) this.#receiveIpv4(payload, source, isForAll);
  }

  /** Throws RangeError where the payload is too long for a frame. */
  send({ destination, protocol, payload, source = this.address, mac }: PacketToSend): void {
    const target = mac ?? (this.isBroadcast(destination) ? broadcastMac() : this.neighbours.find(destination));
    if (target === undefined) return;
    const packet = makeIpv4({ source, destination, protocol, payload, dontFragment: true });
    this.#transmit(makeEthernet({ destination: target, source: this.mac, type: ETHER_TYPE.ipv4, payload: packet }));
  }

  /** Tells a packet's sender that it could not be delivered, unless nobody is to be told of such a packet. */
  refuse(packet: ReceivedPacket, code: number): void {
    if (packet.isForAll || packet.source === UNSPECIFIED_IPV4) return;
    // Not about messages that may be about others (RFC 1122 §3.2.2).
    if (packet.protocol === IP_PROTOCOL.icmp && parseIcmp(packet.payload)?.kind !== "echo-request") return;
    const payload = makeIcmp({ kind: "unreachable", code, mtu: 0, original: quotedPacket(packet) });
    this.send({ destination: packet.source, protocol: IP_PROTOCOL.icmp, payload });
  }

  #receiveArp(payload: Uint8Array): void {
    const packet = parseArp(payload);
    if (packet === undefined || packet.targetIp !== this.address || isGroupMac(packet.senderMac)) return;
    const { senderIp, senderMac } = packet;
    // An address of 0 is that of a host that looks whether the address is free (RFC 5227 §2.1.1).
    if (this.#isNeighbour(senderIp)) this.neighbours.learn(senderIp, senderMac);
    else if (senderIp !== UNSPECIFIED_IPV4) return;
    if (packet.operation !== ARP_OPERATION.request) return;
    const reply = makeArp({
      operation: ARP_OPERATION.reply,
      senderMac: this.mac,
      senderIp: this.address,
      targetMac: senderMac,
      targetIp: senderIp,
    });
    this.#transmit(makeEthernet({ destination: senderMac, source: this.mac, type: ETHER_TYPE.arp, payload: reply }));
  }

  #receiveIpv4(payload: Uint8Array, sourceMac: MacAddress, isForAll: boolean): void {
    const parsed = parseIpv4(payload);
    if (parsed === undefined || parsed.moreFragments || parsed.fragmentOffset > 0) return;
    const { source, destination, protocol } = parsed;
    if (this.#isNeighbour(source)) this.neighbours.learn(source, sourceMac);
    else if (source !== UNSPECIFIED_IPV4) return;
    const isBroadcast = this.isBroadcast(destination);
    const packet = { ...parsed, sourceMac, isForAll: isForAll || isBroadcast };
    if (destination === this.address || isBroadcast) {
      const handler = this.#handlers.get(protocol);
      if (handler === undefined) this.refuse(packet, UNREACHABLE.protocol);
      else handler(packet);
    } else if (!isForAll && !isHostOf(this.subnet, destination)) this.#forward(packet);
  }

  /** Whether another host of this network may have the address. */
  #isNeighbour(address: Ipv4Address): boolean {
    return isHostOf(this.subnet, address) && address !== this.address;
  }
}
