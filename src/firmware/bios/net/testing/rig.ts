/** The BIOS's network on a hub with one other host, whose answers a test decides. Time moves by hand. */
import { nanoseconds } from "../../../../bits/units.ts";
import { ManualTime } from "../../../../machine/testing/rig.ts";
import { EthernetHub } from "../../../../net/hub.ts";
import type { EthernetPort, EthernetStation } from "../../../../net/link.ts";
import {
  type Ipv4Address,
  type MacAddress,
  parseIpv4Address,
  parseMacAddress,
} from "../../../../net/wire/addresses.ts";
import { ARP_OPERATION, makeArp, parseArp } from "../../../../net/wire/arp.ts";
import { ETHER_TYPE, makeEthernet, parseEthernet } from "../../../../net/wire/ethernet.ts";
import { IP_PROTOCOL, makeIpv4, parseIpv4 } from "../../../../net/wire/ipv4.ts";
import { makeUdp, parseUdp, type UdpDatagram } from "../../../../net/wire/udp.ts";
import { NetworkStack } from "../network-stack.ts";
import type { Operation } from "../operation.ts";
import type { BiosNetwork } from "../station.ts";

export const ip = (text: string): Ipv4Address => parseIpv4Address(text) as Ipv4Address;
export const mac = (text: string): MacAddress => parseMacAddress(text) as MacAddress;

export const OWN_MAC = mac("52:54:00:12:34:56");
export const PEER_MAC = mac("02:00:00:00:00:01");
export const OWN_IP = ip("192.0.2.10");
export const PEER_IP = ip("192.0.2.1");
/** Nanoseconds from a frame to what the peer answers. */
const LATENCY = 1000;

export interface FromClient extends UdpDatagram {
  readonly source: Ipv4Address;
  readonly destination: Ipv4Address;
  /** Guest time in nanoseconds. */
  readonly at: number;
}

/** A host that notes what it gets, answers ARP for its address, and sends what a test says. */
export class Peer implements EthernetStation {
  readonly frames: Uint8Array[] = [];
  readonly datagrams: FromClient[] = [];
  /** Called for each datagram. */
  onDatagram: (datagram: FromClient) => void = () => {};
  answersArp = true;
  readonly #port: EthernetPort;
  readonly #time: ManualTime;

  constructor(hub: EthernetHub, time: ManualTime) {
    this.#port = hub.connect(this);
    this.#time = time;
  }

  receive(bytes: Uint8Array): boolean {
    this.frames.push(bytes.slice());
    const frame = parseEthernet(bytes.slice());
    if (frame?.type === ETHER_TYPE.arp) this.#answerArp(frame.payload);
    const packet = frame?.type === ETHER_TYPE.ipv4 ? parseIpv4(frame.payload) : undefined;
    const datagram = packet?.protocol === IP_PROTOCOL.udp ? parseUdp(packet.payload, packet) : undefined;
    if (packet && datagram) {
      const { source, destination } = packet;
      this.datagrams.push({ ...datagram, source, destination, at: this.#time.now() });
      this.onDatagram(this.datagrams.at(-1) as FromClient);
    }
    return true;
  }

  #answerArp(payload: Uint8Array): void {
    const question = parseArp(payload);
    if (!this.answersArp || question?.operation !== ARP_OPERATION.request || question.targetIp !== PEER_IP) return;
    const { senderMac: targetMac, senderIp: targetIp } = question;
    const answer = { operation: ARP_OPERATION.reply, senderMac: PEER_MAC, senderIp: PEER_IP, targetMac, targetIp };
    this.sendFrame(
      makeEthernet({ destination: targetMac, source: PEER_MAC, type: ETHER_TYPE.arp, payload: makeArp(answer) }),
    );
  }

  /** Sends a frame a little later. */
  sendFrame(frame: Uint8Array): void {
    const timer = this.#time.createTimer("peer", () => this.#port.transmit(frame));
    timer.arm(nanoseconds(this.#time.now() + LATENCY));
  }

  send(datagram: UdpDatagram, { destination = OWN_IP, source = PEER_IP, to = OWN_MAC } = {}): void {
    const payload = makeUdp(datagram, { source, destination });
    const packet = makeIpv4({ source, destination, protocol: IP_PROTOCOL.udp, payload });
    this.sendFrame(makeEthernet({ destination: to, source: PEER_MAC, type: ETHER_TYPE.ipv4, payload: packet }));
  }
}

export function networkRig(more: Partial<BiosNetwork> = {}) {
  const time = new ManualTime();
  const hub = new EthernetHub();
  const peer = new Peer(hub, time);
  const stack = new NetworkStack(
    { address: OWN_MAC, card: 0x18, connect: (station) => hub.connect(station), ...more },
    time,
  );
  stack.station.state.listens = true;
  return {
    time,
    hub,
    peer,
    stack,
    /** Gives the BIOS its address. */
    configure: () => stack.ip.configure(OWN_IP, ip("255.255.255.0"), PEER_IP),
    /** Does an operation that ends within a time, in nanoseconds; when it ended, and how. */
    run<T>(operation: Operation<T>, within = 100e9): { readonly result: T; readonly at: number } {
      let end: { readonly result: T; readonly at: number } | undefined;
      stack.operations.run(operation, (result) => {
        end = { result, at: time.now() };
      });
      time.advance(within);
      if (end === undefined) throw new Error("the operation still waits");
      return end;
    },
  };
}
