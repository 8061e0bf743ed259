/**
 * Leads guests' connections out of the network. Bounded: a guest that has too many is refused more, and the more it has, the
 * less may wait in each.
 *
 * @spec RFC 9293; RFC 5382 (what a translator of addresses owes TCP), but for connections that come from outside
 */
import type { TimeSource } from "../../machine/device.ts";
import type { ConnectFailure, Outside, OutsideTarget } from "../outside.ts";
import { UNREACHABLE } from "../wire/icmp.ts";
import { parseTcp, type TcpSegment } from "../wire/tcp.ts";
import type { Ipv4Host, ReceivedPacket } from "./ipv4-host.ts";
import { endsOf, resetFor, sendSegment, type TcpEnds } from "./tcp/segments.ts";
import { TcpBridge } from "./tcp-bridge.ts";

/** Most connections, those of the host included that still send what a guest has left behind. */
export const MOST_CONNECTIONS = 1024;
/** Bytes that may wait each way in one connection, and in all of them together. */
const LARGEST_BUFFER = 256 * 1024;
const SMALLEST_BUFFER = 32 * 1024;
const ALL_BUFFERS = 64 * 1024 * 1024;

export interface TcpGatewayWiring {
  readonly time: TimeSource;
  readonly outside: Outside;
}

export class TcpGateway {
  readonly #wiring: TcpGatewayWiring;
  /** By both ends. Who was there first is first. */
  readonly #bridges = new Map<string, TcpBridge>();
  /** Those whose guest has done with them as well. */
  readonly #all = new Set<TcpBridge>();

  constructor(wiring: TcpGatewayWiring) {
    this.#wiring = wiring;
  }

  get connections(): number {
    return this.#all.size;
  }

  /** Takes a packet of TCP that `host` received; `targetOf` says whom a port of its destination means, if anybody. */
  receive(host: Ipv4Host, packet: ReceivedPacket, targetOf: (port: number) => OutsideTarget | undefined): void {
    const segment = parseTcp(packet.payload, packet);
    if (segment === undefined) return;
    const ends = endsOf(packet, segment);
    const key = `${ends.neighbour}:${ends.neighbourPort} ${ends.address}:${ends.port}`;
    let bridge = this.#bridges.get(key);
    if (bridge?.isReplacedBy(segment)) {
      bridge.release();
      bridge = undefined;
    }
    const target = targetOf(ends.port);
    if (bridge) bridge.receive(segment);
    else if (target !== undefined && isRequest(segment) && this.#hasRoom()) {
      this.#open(key, host, packet, segment, target);
    } else this.#refuse(host, ends, segment);
  }

  /** Ends all connections. */
  close(): void {
    for (const bridge of [...this.#all]) bridge.drop();
  }

  /** Makes room for a connection where another is over. */
  #hasRoom(): boolean {
    if (this.#all.size < MOST_CONNECTIONS) return true;
    for (const bridge of this.#bridges.values()) {
      if (!bridge.isOver) continue;
      bridge.release();
      return true;
    }
    return false;
  }

  #open(key: string, host: Ipv4Host, packet: ReceivedPacket, syn: TcpSegment, target: OutsideTarget): void {
    const ends = endsOf(packet, syn);
    // Its bytes change, and an answer quotes them.
    const asked = { ...packet, bytes: packet.bytes.slice(), payload: packet.payload.slice() };
    const refusal = resetFor(syn);
    const bridge = new TcpBridge(syn, target, {
      ...this.#wiring,
      transmit: (segment) => sendSegment(host, ends, segment),
      limit: () => Math.min(Math.max(Math.floor(ALL_BUFFERS / this.#all.size), SMALLEST_BUFFER), LARGEST_BUFFER),
      failed: (why: ConnectFailure) => {
        if (why === "unreachable") host.refuse(asked, UNREACHABLE.host);
        else if (refusal) sendSegment(host, ends, refusal);
      },
      guestClosed: () => void this.#bridges.delete(key),
      closed: () => void this.#all.delete(bridge),
    });
    this.#bridges.set(key, bridge);
    this.#all.add(bridge);
  }

  #refuse(host: Ipv4Host, ends: TcpEnds, segment: TcpSegment): void {
    const reset = resetFor(segment);
    if (reset) sendSegment(host, ends, reset);
  }
}

const isRequest = ({ flags }: TcpSegment): boolean => flags.syn && !flags.ack && !flags.rst && !flags.fin;
