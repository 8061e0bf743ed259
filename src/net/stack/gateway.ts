/**
 * The way out of a network: its host passes on what is for hosts outside, and another one, the name server, what is asked
 * there.
 *
 * Guests reach what the host's programs reach, but for the host itself: its own addresses are `Outside`'s to know, and what
 * no packet on a network may be for is refused here. Nothing comes in that a guest did not ask for.
 *
 * @spec RFC 1122 §3.2.1.3, RFC 6890 §2.2.2 (addresses that are not forwarded)
 *
 * Not modelled: pings of hosts outside, which the host's programs may not send without privileges, and protocols other than
 * TCP and UDP, all of which are refused; counting down the time to live.
 */
import type { TimeSource } from "../../machine/device.ts";
import type { Outside } from "../outside.ts";
import { type Ipv4Address, UNSPECIFIED_IPV4 } from "../wire/addresses.ts";
import { UNREACHABLE } from "../wire/icmp.ts";
import { IP_PROTOCOL } from "../wire/ipv4.ts";
import { LARGEST_UDP_PAYLOAD } from "../wire/udp.ts";
import { Flows } from "./flows.ts";
import type { Ipv4Host, ReceivedPacket } from "./ipv4-host.ts";
import { TcpGateway } from "./tcp-gateway.ts";
import { UdpGateway } from "./udp-gateway.ts";
import { UdpPorts } from "./udp-ports.ts";

export const DNS_PORT = 53;

/** Networks that nothing is forwarded to, as their first address and the bits of it that count. */
const NOT_FORWARDED: readonly (readonly [first: number, bits: number])[] = [
  [0x0000_0000, 8],
  // The host's own.
  [0x7f00_0000, 8],
  // Of one link only; clouds tell their machines secrets there.
  [0xa9fe_0000, 16],
  // Multicast, and what is reserved, with the broadcast address.
  [0xe000_0000, 4],
  [0xf000_0000, 4],
];

/** Whether hosts outside have addresses like this one. */
export function isForwarded(address: Ipv4Address): boolean {
  return !NOT_FORWARDED.some(([first, bits]) => address >>> (32 - bits) === first >>> (32 - bits));
}

export interface GatewayWiring {
  readonly time: TimeSource;
  readonly outside: Outside;
  /** Whose neighbours the guests are. */
  readonly host: Ipv4Host;
  /** A host of the same network for the name server. */
  readonly nameServer: Ipv4Host;
}

export class Gateway {
  readonly #host: Ipv4Host;
  readonly #tcp: TcpGateway;
  readonly #udp: UdpGateway;
  readonly #questions: Flows<{ ask(question: Uint8Array): void; close(): void }>;

  constructor(wiring: GatewayWiring) {
    const { host, nameServer, time, outside } = wiring;
    this.#host = host;
    this.#tcp = new TcpGateway(wiring);
    this.#udp = new UdpGateway(host, wiring);
    this.#questions = new Flows(time);
    host.forwardTo((packet) => this.#forward(packet));
    this.#serveNames(nameServer, outside);
  }

  /** Connections of guests that there are. */
  get connections(): number {
    return this.#tcp.connections;
  }

  /** Ends all connections, and closes all sockets. */
  close(): void {
    this.#tcp.close();
    this.#udp.close();
    this.#questions.close();
  }

  #forward(packet: ReceivedPacket): void {
    const { source, destination: address, protocol } = packet;
    if (source === UNSPECIFIED_IPV4) return;
    if (!isForwarded(address)) this.#host.refuse(packet, UNREACHABLE.network);
    else if (protocol === IP_PROTOCOL.tcp) this.#tcp.receive(this.#host, packet, (port) => ({ address, port }));
    else if (protocol === IP_PROTOCOL.udp) this.#udp.receive(packet);
    else this.#host.refuse(packet, UNREACHABLE.prohibited);
  }

  #serveNames(nameServer: Ipv4Host, outside: Outside): void {
    const socket = new UdpPorts(nameServer).listen(DNS_PORT, ({ source, sourcePort, payload }) => {
      const questions = this.#questions.use(`${source}:${sourcePort}`, () =>
        outside.openQuestions((answer) => {
          if (answer.length <= LARGEST_UDP_PAYLOAD) socket.send({ address: source, port: sourcePort }, answer);
        }),
      );
      questions.ask(payload);
    });
    nameServer.handle(IP_PROTOCOL.tcp, (packet) => {
      if (packet.isForAll || packet.source === UNSPECIFIED_IPV4) return;
      this.#tcp.receive(nameServer, packet, (port) => (port === DNS_PORT ? "name-server" : undefined));
    });
  }
}
