/** Segments on their way from a host to a neighbour of its. @spec RFC 9293 §3.1, §3.5.2 (resets) */
import type { Ipv4Address } from "../../wire/addresses.ts";
import { IP_PROTOCOL } from "../../wire/ipv4.ts";
import { makeTcp, type TcpFields, type TcpSegment } from "../../wire/tcp.ts";
import type { Ipv4Host } from "../ipv4-host.ts";

export type OutgoingSegment = Omit<TcpFields, "sourcePort" | "destinationPort">;

/** The two ends of a connection: a neighbour, and who answers it, or in whose name it is answered. */
export interface TcpEnds {
  readonly neighbour: Ipv4Address;
  readonly neighbourPort: number;
  readonly address: Ipv4Address;
  readonly port: number;
}

/** Who sent a segment, and whom to. */
export const endsOf = (
  { source, destination }: { source: Ipv4Address; destination: Ipv4Address },
  { sourcePort, destinationPort }: TcpSegment,
): TcpEnds => ({ neighbour: source, neighbourPort: sourcePort, address: destination, port: destinationPort });

/** Sends a segment to the neighbour. */
export function sendSegment(host: Ipv4Host, ends: TcpEnds, segment: OutgoingSegment): void {
  const { neighbour, neighbourPort, address, port } = ends;
  const payload = makeTcp(
    { ...segment, sourcePort: port, destinationPort: neighbourPort },
    { source: address, destination: neighbour },
  );
  host.send({ source: address, destination: neighbour, protocol: IP_PROTOCOL.tcp, payload });
}

/** What resets a connection that there is not; undefined where the segment is a reset itself. */
export function resetFor({ flags, sequence, acknowledgment, payload }: TcpSegment): OutgoingSegment | undefined {
  if (flags.rst) return undefined;
  if (flags.ack) return { sequence: acknowledgment, flags: { rst: true } };
  const length = payload.length + Number(flags.syn) + Number(flags.fin);
  return { sequence: 0, acknowledgment: (sequence + length) >>> 0, flags: { rst: true, ack: true } };
}
