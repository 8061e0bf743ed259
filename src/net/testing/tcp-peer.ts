/** A connection whose peer says what a test wants, and a clock that stands still. */
import { decodeUtf8, encodeUtf8 } from "../../bits/utf8.ts";
import { ManualTime } from "../../machine/testing/rig.ts";
import { TcpConnection } from "../stack/tcp/connection.ts";
import type { OutgoingSegment } from "../stack/tcp/segments.ts";
import { plus, sequence } from "../stack/tcp/sequence.ts";
import type { TcpSegment } from "../wire/tcp.ts";
import { makeTcpOptions } from "../wire/tcp-options.ts";

const NO_FLAGS = { fin: false, syn: false, rst: false, psh: false, ack: false, urg: false };

export interface PeerOptions {
  /** The peer's first number, and the connection's. */
  readonly peerInitial?: number;
  readonly initial?: number;
  readonly maximumSegmentSize?: number;
  readonly windowShift?: number;
  /** As it is in the peer's segments. */
  readonly window?: number;
  /** What there is room for. */
  readonly room?: number;
}

/** What a segment says: numbers count from the SYNs, which are 0. */
export interface Said {
  readonly sequence?: number;
  readonly acknowledgment?: number;
  readonly text?: string;
  readonly payload?: Uint8Array;
  readonly window?: number;
  readonly flags?: Partial<TcpSegment["flags"]>;
}

export function tcpPeer({
  peerInitial = 1000,
  initial = 5000,
  maximumSegmentSize = 100,
  windowShift,
  window = 4000,
  room = 8000,
}: PeerOptions = {}) {
  const time = new ManualTime();
  const peer = { room, window, heard: "", events: [] as string[], sent: [] as OutgoingSegment[] };
  const segment = (said: Said): TcpSegment => ({
    sourcePort: 1,
    destinationPort: 2,
    sequence: plus(sequence(peerInitial), said.sequence ?? 0),
    acknowledgment: plus(sequence(initial), said.acknowledgment ?? 0),
    flags: { ...NO_FLAGS, ack: true, ...said.flags },
    window: said.window ?? peer.window,
    urgentPointer: 0,
    options: new Uint8Array(0),
    payload: said.payload ?? encodeUtf8(said.text ?? ""),
  });
  const options = makeTcpOptions({ maximumSegmentSize, ...(windowShift === undefined ? {} : { windowShift }) });
  const syn = { ...segment({ flags: { ack: false, syn: true } }), options };
  const connection = new TcpConnection(syn, sequence(initial), {
    time,
    transmit: (sent) => void peer.sent.push(sent),
    room: () => peer.room,
    data: (bytes) => {
      peer.heard += decodeUtf8(bytes);
      peer.room -= bytes.length;
    },
    finished: () => void peer.events.push("finished"),
    acknowledged: () => {},
    closed: (how) => void peer.events.push(`closed: ${how}`),
  });
  const describe = ({ sequence: number, acknowledgment, flags, payload }: OutgoingSegment) => {
    const names = ["syn", "fin", "rst", "ack"].filter((name) => flags[name as keyof typeof flags]).join(" ");
    const text = payload?.length ? ` "${decodeUtf8(payload)}"` : "";
    const acknowledged = flags.ack ? ` +${plus(sequence(acknowledgment ?? 0), -peerInitial)}` : "";
    return `${names} ${plus(sequence(number), -initial)}${acknowledged}${text}`;
  };
  return {
    time,
    peer,
    connection,
    segment,
    say: (said: Said) => connection.receive(segment(said)),
    /** Writes a text. */
    write: (text: string) => connection.write(encodeUtf8(text)),
    /** What was sent since the last time. */
    take: () => peer.sent.splice(0),
    /** The same as texts: flags, sequence number, acknowledgment, payload. */
    heard: () => peer.sent.splice(0).map(describe),
  };
}

/** The same with the peer's SYN acknowledged, and the connection's. */
export function establishedPeer(options: PeerOptions = {}) {
  const rig = tcpPeer(options);
  rig.take();
  rig.say({ sequence: 1, acknowledgment: 1 });
  return rig;
}
