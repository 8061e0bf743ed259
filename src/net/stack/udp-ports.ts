/**
 * Who listens at which UDP port of a host. Senders to other ports are told that nobody does.
 *
 * @spec RFC 768; RFC 1122 §4.1.3; RFC 6335 §6 (dynamic ports)
 */
import type { Ipv4Address, MacAddress } from "../wire/addresses.ts";
import { UNREACHABLE } from "../wire/icmp.ts";
import { IP_PROTOCOL } from "../wire/ipv4.ts";
import { makeUdp, parseUdp } from "../wire/udp.ts";
import type { Ipv4Host, ReceivedPacket } from "./ipv4-host.ts";

/** A datagram and who sent it. Its bytes may change once its handler has returned. */
export interface ReceivedDatagram {
  readonly source: Ipv4Address;
  readonly sourcePort: number;
  readonly payload: Uint8Array;
}

export interface UdpDestination {
  readonly address: Ipv4Address;
  readonly port: number;
  /** See `PacketToSend`. */
  readonly mac?: MacAddress;
}

/** A port that is listened at. */
export interface UdpSocket {
  readonly port: number;
  /** Throws RangeError where the payload has more than 1472 bytes. */
  send(to: UdpDestination, payload: Uint8Array): void;
  /** Listens no more. */
  close(): void;
}

type DatagramHandler = (datagram: ReceivedDatagram) => void;

const FIRST_DYNAMIC_PORT = 49_152;
const LAST_PORT = 65_535;

export class UdpPorts {
  readonly #host: Ipv4Host;
  readonly #listeners = new Map<number, DatagramHandler>();
  #nextDynamicPort = FIRST_DYNAMIC_PORT;

  constructor(host: Ipv4Host) {
    this.#host = host;
    host.handle(IP_PROTOCOL.udp, (packet) => this.#receive(packet));
  }

  /** Listens at a port that nobody listens at; `receive` gets what is sent to this host, and to all hosts. */
  listen(port: number, receive: DatagramHandler): UdpSocket {
    this.#listeners.set(port, receive);
    const host = this.#host;
    return {
      port,
      send: ({ address, port: destinationPort, mac }, payload) => {
        const endpoints = { source: host.address, destination: address };
        const datagram = makeUdp({ sourcePort: port, destinationPort, payload }, endpoints);
        host.send({
          destination: address,
          protocol: IP_PROTOCOL.udp,
          payload: datagram,
          ...(mac === undefined ? {} : { mac }),
        });
      },
      close: () => void this.#listeners.delete(port),
    };
  }

  /** Listens at one of the dynamic ports, each time the next that is free, so that what is late does not find its successor. */
  listenAnywhere(receive: DatagramHandler): UdpSocket {
    let port = this.#nextDynamicPort;
    while (this.#listeners.has(port)) port = following(port);
    this.#nextDynamicPort = following(port);
    return this.listen(port, receive);
  }

  #receive(packet: ReceivedPacket): void {
    const datagram = parseUdp(packet.payload, packet);
    if (datagram === undefined) return;
    const listener = this.#listeners.get(datagram.destinationPort);
    if (listener === undefined) this.#host.refuse(packet, UNREACHABLE.port);
    else listener({ source: packet.source, sourcePort: datagram.sourcePort, payload: datagram.payload });
  }
}

const following = (port: number) => (port === LAST_PORT ? FIRST_DYNAMIC_PORT : port + 1);
