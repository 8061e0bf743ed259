/**
 * A host of one IPv4 address: it finds its neighbours by ARP and lets them find it, and sends and gets datagrams.
 *
 * @spec RFC 826 (ARP); RFC 791; RFC 1122 §3.3.1 (which way a packet goes), §4.1
 *
 * Not modelled: fragments, which are dropped, and nothing is sent that would need them; ICMP, as no boot loader asks for it;
 * multicast; several gateways.
 */

import type { Clock } from "../../../machine/device.ts";
import {
  BROADCAST_IPV4,
  broadcastMac,
  type Ipv4Address,
  ipv4Address,
  MAC_LENGTH,
  type MacAddress,
  UNSPECIFIED_IPV4,
} from "../../../net/wire/addresses.ts";
import { ARP_OPERATION, makeArp, parseArp } from "../../../net/wire/arp.ts";
import { ETHER_TYPE, makeEthernet, parseEthernet } from "../../../net/wire/ethernet.ts";
import { type Ipv4Packet, LARGEST_IPV4_PACKET, makeIpv4, parseIpv4 } from "../../../net/wire/ipv4.ts";
import { type Operation, SECOND } from "./operation.ts";
import type { NetworkStation } from "./station.ts";

/** Neighbours that are remembered. */
const MOST_NEIGHBOURS = 16;
const ARP_TRIES = 4;
const ARP_WAIT = SECOND;

export interface Ipv4State {
  address: Ipv4Address;
  mask: Ipv4Address;
  gateway: Ipv4Address;
  identification: number;
  /** The latest last. */
  neighbours: { address: Ipv4Address; mac: MacAddress }[];
}

export interface Ipv4Wiring {
  readonly station: NetworkStation;
  readonly clock: Clock;
  /** A packet for this host. */
  received(packet: Ipv4Packet): void;
}

/** Something that this host sends. */
export interface OutgoingPacket {
  readonly destination: Ipv4Address;
  readonly protocol: number;
  readonly payload: Uint8Array;
  /** Who passes it on to other networks, where it is not the usual gateway. */
  readonly gateway?: Ipv4Address;
}

export class Ipv4Client {
  readonly state: Ipv4State = atStart();
  readonly #wiring: Ipv4Wiring;

  constructor(wiring: Ipv4Wiring) {
    this.#wiring = wiring;
  }

  reset(): void {
    Object.assign(this.state, atStart());
  }

  configure(address: Ipv4Address, mask: Ipv4Address, gateway: Ipv4Address): void {
    Object.assign(this.state, { address, mask, gateway, neighbours: [] });
  }

  /** Takes a frame that came. */
  receive(bytes: Uint8Array): void {
    const frame = parseEthernet(bytes);
    if (frame?.type === ETHER_TYPE.arp) this.#receiveArp(frame.payload);
    if (frame?.type !== ETHER_TYPE.ipv4) return;
    const packet = parseIpv4(frame.payload);
    if (packet === undefined || packet.moreFragments || packet.fragmentOffset > 0) return;
    if (this.#isOurs(packet.destination)) this.#wiring.received(packet);
  }

  #isOurs(destination: Ipv4Address): boolean {
    const { address } = this.state;
    // Who has no address yet gets the offer of one at that address.
    return address === UNSPECIFIED_IPV4 || destination === address || this.#isBroadcast(destination);
  }

  #isBroadcast(destination: Ipv4Address): boolean {
    const { address, mask } = this.state;
    return destination === BROADCAST_IPV4 || destination === ipv4Address(address | ~mask);
  }

  #receiveArp(payload: Uint8Array): void {
    const packet = parseArp(payload);
    const { address } = this.state;
    if (packet === undefined || address === UNSPECIFIED_IPV4 || packet.targetIp !== address) return;
    if (packet.senderIp !== UNSPECIFIED_IPV4) this.#remember(packet.senderIp, packet.senderMac);
    if (packet.operation !== ARP_OPERATION.request) return;
    const { address: senderMac } = this.#wiring.station.state;
    const answer = { operation: ARP_OPERATION.reply, senderMac, senderIp: address };
    const payloadOfAnswer = makeArp({ ...answer, targetMac: packet.senderMac, targetIp: packet.senderIp });
    this.#sendFrame(packet.senderMac, ETHER_TYPE.arp, payloadOfAnswer);
  }

  #remember(address: Ipv4Address, mac: MacAddress): void {
    const others = this.state.neighbours.filter((neighbour) => neighbour.address !== address);
    this.state.neighbours = [...others, { address, mac: mac.slice() }].slice(-MOST_NEIGHBOURS);
  }

  #sendFrame(destination: MacAddress, type: number, payload: Uint8Array): void {
    const { station } = this.#wiring;
    station.transmit(makeEthernet({ destination, source: station.state.address, type, payload }));
  }

  /** The station that a packet is handed to; undefined where there is none, or it does not answer. */
  *#nextHop(destination: Ipv4Address, gateway: Ipv4Address): Operation<MacAddress | undefined> {
    if (this.#isBroadcast(destination)) return broadcastMac();
    const { address, mask } = this.state;
    const isNear = ((destination ^ address) & mask) === 0;
    const hop = isNear ? destination : gateway;
    if (hop === UNSPECIFIED_IPV4) return undefined;
    const known = () => this.state.neighbours.find((neighbour) => neighbour.address === hop)?.mac;
    for (let i = 0; i < ARP_TRIES && known() === undefined; i++) {
      const { address: senderMac } = this.#wiring.station.state;
      const question = { operation: ARP_OPERATION.request, senderMac, senderIp: address };
      const payload = makeArp({ ...question, targetMac: new Uint8Array(MAC_LENGTH), targetIp: hop });
      this.#sendFrame(broadcastMac(), ETHER_TYPE.arp, payload);
      const end = this.#wiring.clock.now() + ARP_WAIT;
      while (known() === undefined && this.#wiring.clock.now() < end) yield end;
    }
    return known();
  }

  /** Sends a packet; whether there is a way to its destination. Longer ones than a frame carries have none. */
  *send({ destination, protocol, payload, gateway }: OutgoingPacket): Operation<boolean> {
    const { state } = this;
    const mac = yield* this.#nextHop(destination, gateway ?? state.gateway);
    state.identification = (state.identification + 1) & 0xffff;
    const { address: source, identification } = state;
    const packet = makeIpv4({ source, destination, protocol, payload, identification });
    if (mac === undefined || packet.length > LARGEST_IPV4_PACKET) return false;
    this.#sendFrame(mac, ETHER_TYPE.ipv4, packet);
    return true;
  }
}

const atStart = (): Ipv4State => ({
  address: UNSPECIFIED_IPV4,
  mask: UNSPECIFIED_IPV4,
  gateway: UNSPECIFIED_IPV4,
  identification: 0,
  neighbours: [],
});
