/**
 * UDP: datagrams wait by the port they came to until somebody takes them.
 *
 * @spec RFC 768
 *
 * Not modelled: telling a sender that nobody listens at a port.
 */
import type { Clock } from "../../../machine/device.ts";
import type { Ipv4Address } from "../../../net/wire/addresses.ts";
import { IP_PROTOCOL, type Ipv4Packet } from "../../../net/wire/ipv4.ts";
import { LARGEST_UDP_PAYLOAD, makeUdp, parseUdp } from "../../../net/wire/udp.ts";
import type { Ipv4Client } from "./ipv4-client.ts";
import type { Operation } from "./operation.ts";

/** Stands for all ports that are not open by themselves. */
export const OTHER_PORTS = 0;
const MOST_DATAGRAMS = 64;
/** Ports that this host calls from: from the first to before the last. */
const FIRST_OWN = 49152;
const LAST_OWN = 65536;

export interface Datagram {
  readonly source: Ipv4Address;
  readonly sourcePort: number;
  readonly destination: Ipv4Address;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

export interface UdpState {
  /** What waits, by port. */
  open: { port: number; waiting: Datagram[] }[];
  nextOwn: number;
}

export interface OutgoingDatagram {
  readonly destination: Ipv4Address;
  readonly destinationPort: number;
  readonly sourcePort: number;
  readonly payload: Uint8Array;
  readonly gateway?: Ipv4Address;
}

export type Accept = (datagram: Datagram) => boolean;

export class UdpClient {
  readonly state: UdpState = { open: [], nextOwn: FIRST_OWN };
  readonly #ip: Ipv4Client;
  readonly #clock: Clock;

  constructor(ip: Ipv4Client, clock: Clock) {
    this.#ip = ip;
    this.#clock = clock;
  }

  reset(): void {
    Object.assign(this.state, { open: [], nextOwn: FIRST_OWN });
  }

  /** Takes a packet that came. */
  receive(packet: Ipv4Packet): void {
    if (packet.protocol !== IP_PROTOCOL.udp) return;
    const datagram = parseUdp(packet.payload, packet);
    if (datagram === undefined) return;
    const { sourcePort, destinationPort, payload } = datagram;
    const waiting = this.#waiting(destinationPort) ?? this.#waiting(OTHER_PORTS);
    if (waiting === undefined) return;
    // The oldest is the one that nobody wants.
    if (waiting.length >= MOST_DATAGRAMS) waiting.shift();
    const { source, destination } = packet;
    waiting.push({ source, sourcePort, destination, destinationPort, payload: payload.slice() });
  }

  #waiting(port: number): Datagram[] | undefined {
    return this.state.open.find((each) => each.port === port)?.waiting;
  }

  /** Keeps what comes to a port from now on; what waited there is dropped. */
  open(port: number): void {
    this.close(port);
    this.state.open.push({ port, waiting: [] });
  }

  /** Opens a port that nobody else uses, and returns it. */
  openOwn(): number {
    const port = this.state.nextOwn++;
    if (this.state.nextOwn === LAST_OWN) this.state.nextOwn = FIRST_OWN;
    this.open(port);
    return port;
  }

  close(port: number): void {
    this.state.open = this.state.open.filter((each) => each.port !== port);
  }

  /**
   * The first accepted datagram that waits at a port; undefined where there is none by `end`, in guest time. Others are
   * dropped, but at `OTHER_PORTS`, where they may be for somebody else.
   */
  *receiveFrom(port: number, end: number, accept: Accept): Operation<Datagram | undefined> {
    for (;;) {
      const waiting = this.#waiting(port) ?? [];
      const index = waiting.findIndex(accept);
      if (index >= 0) return waiting.splice(index, 1)[0];
      if (port !== OTHER_PORTS) waiting.length = 0;
      if (this.#clock.now() >= end) return undefined;
      yield end;
    }
  }

  /** Whether there is a way to the destination. */
  *send({ destination, gateway, ...datagram }: OutgoingDatagram): Operation<boolean> {
    if (datagram.payload.length > LARGEST_UDP_PAYLOAD) return false;
    const payload = makeUdp(datagram, { source: this.#ip.state.address, destination });
    return yield* this.#ip.send({
      destination,
      protocol: IP_PROTOCOL.udp,
      payload,
      ...(gateway === undefined ? {} : { gateway }),
    });
  }
}
