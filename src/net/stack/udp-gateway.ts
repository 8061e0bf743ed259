/**
 * Leads guests' datagrams out of the network, and the answers back in: those of hosts that the guest's port has sent something
 * to, from whichever of their ports.
 *
 * @spec RFC 4787 §4.1 (one socket for each port of a guest's, wherever it sends), §5 (address-dependent filtering)
 *
 * Not modelled: fragments, so that answers of more than 1472 bytes are lost; telling guests that nobody listened.
 */
import type { TimeSource } from "../../machine/device.ts";
import type { Outside, OutsideAddress, OutsideDatagrams } from "../outside.ts";
import type { Ipv4Address } from "../wire/addresses.ts";
import { IP_PROTOCOL } from "../wire/ipv4.ts";
import { LARGEST_UDP_PAYLOAD, makeUdp, parseUdp } from "../wire/udp.ts";
import { Flows } from "./flows.ts";
import type { Ipv4Host, ReceivedPacket } from "./ipv4-host.ts";

/** Most hosts that may answer at one port. */
const MOST_PEERS = 64;

interface Flow extends OutsideDatagrams {
  readonly peers: Set<Ipv4Address>;
}

export class UdpGateway {
  readonly #host: Ipv4Host;
  readonly #outside: Outside;
  readonly #flows: Flows<Flow>;

  constructor(host: Ipv4Host, { time, outside }: { time: TimeSource; outside: Outside }) {
    this.#host = host;
    this.#outside = outside;
    this.#flows = new Flows(time);
  }

  /** Takes a packet of UDP that is for a host outside. */
  receive(packet: ReceivedPacket): void {
    const datagram = parseUdp(packet.payload, packet);
    if (datagram === undefined || datagram.destinationPort === 0) return;
    const { source, destination } = packet;
    const { sourcePort, destinationPort, payload } = datagram;
    const flow = this.#flows.use(`${source}:${sourcePort}`, () => this.#open(source, sourcePort));
    flow.peers.delete(destination);
    flow.peers.add(destination);
    for (const oldest of flow.peers) {
      if (flow.peers.size <= MOST_PEERS) break;
      flow.peers.delete(oldest);
    }
    flow.send({ address: destination, port: destinationPort }, payload);
  }

  close(): void {
    this.#flows.close();
  }

  #open(guest: Ipv4Address, guestPort: number): Flow {
    const peers = new Set<Ipv4Address>();
    const socket = this.#outside.openDatagrams((from, bytes) => {
      if (peers.has(from.address) && bytes.length <= LARGEST_UDP_PAYLOAD) this.#answer(guest, guestPort, from, bytes);
    });
    return { peers, send: (to, bytes) => socket.send(to, bytes), close: () => socket.close() };
  }

  #answer(guest: Ipv4Address, guestPort: number, from: OutsideAddress, bytes: Uint8Array): void {
    const payload = makeUdp(
      { sourcePort: from.port, destinationPort: guestPort, payload: bytes },
      { source: from.address, destination: guest },
    );
    this.#host.send({ source: from.address, destination: guest, protocol: IP_PROTOCOL.udp, payload });
  }
}
