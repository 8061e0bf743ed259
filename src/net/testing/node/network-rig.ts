/** A virtual network and a station on it that sends what a test wants and keeps what it gets. */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { ImmediateWork, ManualTime } from "../../../machine/testing/rig.ts";
import { EthernetHub } from "../../hub.ts";
import type { EthernetPort, EthernetStation } from "../../link.ts";
import type { Outside } from "../../outside.ts";
import type { Ipv4Host } from "../../stack/ipv4-host.ts";
import { LATENCY } from "../../stack/outbox.ts";
import { VirtualNetwork, type VirtualNetworkConfig } from "../../stack/virtual-network.ts";
import { type Ipv4Address, parseIpv4Address, parseMacAddress } from "../../wire/addresses.ts";
import {
  DHCP_CLIENT_PORT,
  DHCP_SERVER_PORT,
  type DhcpFields,
  type DhcpMessage,
  makeDhcp,
  parseDhcp,
} from "../../wire/dhcp.ts";
import { ETHER_TYPE, type EthernetFrame, makeEthernet, parseEthernet } from "../../wire/ethernet.ts";
import { IP_PROTOCOL, type Ipv4Packet, makeIpv4, parseIpv4 } from "../../wire/ipv4.ts";
import { makeUdp, parseUdp, type UdpDatagram } from "../../wire/udp.ts";

export const mac = (text: string) => parseMacAddress(text) ?? assert.fail(text);
export const ip = (text: string) => parseIpv4Address(text) ?? assert.fail(text);
export const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"));
export const hex = (data: Uint8Array) => Buffer.from(data).toString("hex");

export const SERVER = ip("10.0.2.2");
export const SERVER_MAC = mac("52:55:0a:00:02:02");
const BROADCAST_MAC = mac("ff:ff:ff:ff:ff:ff");

export class FakeGuest implements EthernetStation {
  readonly port: EthernetPort;
  mac = mac("52:54:00:12:34:56");
  address: Ipv4Address = ip("10.0.2.15");
  hasRoom = true;
  /** Frames that came and were not taken yet. */
  frames: Uint8Array[] = [];

  constructor(hub: EthernetHub) {
    this.port = hub.connect(this);
  }

  receive(frame: Uint8Array): boolean {
    if (this.hasRoom) this.frames.push(frame.slice());
    return this.hasRoom;
  }

  /** What came since the last time, in parts. */
  take(): EthernetFrame[] {
    return this.frames.splice(0).map((frame) => parseEthernet(frame) ?? assert.fail("no frame"));
  }

  takePackets(): Ipv4Packet[] {
    return this.take().map(({ payload }) => parseIpv4(payload) ?? assert.fail("no IPv4 packet"));
  }

  takeDatagrams(): (UdpDatagram & { packet: Ipv4Packet })[] {
    return this.takePackets().map((packet) => {
      assert.equal(packet.protocol, IP_PROTOCOL.udp);
      return { ...(parseUdp(packet.payload, packet) ?? assert.fail("no datagram")), packet };
    });
  }

  sendFrame(type: number, payload: Uint8Array, destination = SERVER_MAC): void {
    this.port.transmit(makeEthernet({ destination, source: this.mac, type, payload }));
  }

  sendPacket(protocol: number, payload: Uint8Array, destination = SERVER): void {
    this.sendFrame(ETHER_TYPE.ipv4, makeIpv4({ source: this.address, destination, protocol, payload }));
  }

  sendDatagram(sourcePort: number, destinationPort: number, payload: Uint8Array): void {
    const endpoints = { source: this.address, destination: SERVER };
    this.sendPacket(IP_PROTOCOL.udp, makeUdp({ sourcePort, destinationPort, payload }, endpoints));
  }

  /** To all hosts, from a host that has no address. */
  sendDhcp(fields: Pick<DhcpFields, "options"> & Partial<DhcpMessage>): void {
    const payload = makeDhcp({ operation: "request", transaction: 0x1234_5678, clientMac: this.mac, ...fields });
    this.broadcast(DHCP_CLIENT_PORT, DHCP_SERVER_PORT, payload);
  }

  broadcast(sourcePort: number, destinationPort: number, payload: Uint8Array): void {
    const endpoints = { source: ip("0.0.0.0"), destination: ip("255.255.255.255") };
    const datagram = makeUdp({ sourcePort, destinationPort, payload }, endpoints);
    const packet = makeIpv4({ ...endpoints, protocol: IP_PROTOCOL.udp, payload: datagram });
    this.sendFrame(ETHER_TYPE.ipv4, packet, BROADCAST_MAC);
  }

  takeDhcp(): DhcpMessage[] {
    return this.takeDatagrams().map(({ payload }) => parseDhcp(payload) ?? assert.fail("no message of DHCP"));
  }
}

/** A host that hears everything. */
export function stationOf(host: Ipv4Host): EthernetStation {
  return {
    receive: (frame) => {
      host.receive(frame);
      return true;
    },
  };
}

export function networkRig(config: VirtualNetworkConfig = {}, outside?: Outside) {
  const time = new ManualTime();
  const hub = new EthernetHub();
  const network = new VirtualNetwork(config, { time, work: new ImmediateWork(), hub, ...(outside ? { outside } : {}) });
  const guest = new FakeGuest(hub);
  return {
    time,
    hub,
    network,
    guest,
    /** Lets what was sent arrive, and host operations end. */
    settle: async () => {
      for (let i = 0; i < 3; i++) {
        await setImmediate();
        time.advance(LATENCY);
      }
    },
  };
}
