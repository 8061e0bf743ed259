/** Resets all connections: no server of this network listens for any. @spec RFC 9293 §3.10.7.1, state CLOSED */
import { IP_PROTOCOL } from "../wire/ipv4.ts";
import { makeTcp, parseTcp, type TcpFields } from "../wire/tcp.ts";
import type { Ipv4Host } from "./ipv4-host.ts";

export function refuseConnections(host: Ipv4Host): void {
  host.handle(IP_PROTOCOL.tcp, ({ source, destination, isForAll, payload }) => {
    const endpoints = { source, destination };
    const segment = parseTcp(payload, endpoints);
    if (segment === undefined || segment.flags.rst || isForAll) return;
    const { flags, sequence, acknowledgment } = segment;
    const length = segment.payload.length + Number(flags.syn) + Number(flags.fin);
    const answer: Pick<TcpFields, "sequence" | "acknowledgment" | "flags"> = flags.ack
      ? { sequence: acknowledgment, flags: { rst: true } }
      : { sequence: 0, acknowledgment: (sequence + length) >>> 0, flags: { rst: true, ack: true } };
    const reset = makeTcp(
      { sourcePort: segment.destinationPort, destinationPort: segment.sourcePort, ...answer },
      { source: destination, destination: source },
    );
    host.send({ destination: source, protocol: IP_PROTOCOL.tcp, payload: reset });
  });
}
