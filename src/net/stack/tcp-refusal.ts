/** Resets all connections: no server of this network listens for any. @spec RFC 9293 §3.10.7.1, state CLOSED */
import { IP_PROTOCOL } from "../wire/ipv4.ts";
import { parseTcp } from "../wire/tcp.ts";
import type { Ipv4Host } from "./ipv4-host.ts";
import { endsOf, resetFor, sendSegment } from "./tcp/segments.ts";

export function refuseConnections(host: Ipv4Host): void {
  host.handle(IP_PROTOCOL.tcp, (packet) => {
    const segment = packet.isForAll ? undefined : parseTcp(packet.payload, packet);
    const reset = segment && resetFor(segment);
    if (reset) sendSegment(host, endsOf(packet, segment), reset);
  });
}
