/** A virtio network device with a driver, on a hub with one other station. */
import { PlainMemory, SeededRandom } from "../../../machine/testing/rig.ts";
import { EthernetHub } from "../../../net/hub.ts";
import type { EthernetStation } from "../../../net/link.ts";
import { type Buffer, ProbeTransport, start } from "../../virtio/testing/guest-driver.ts";
import { FEATURE } from "../../virtio/virtio-device.ts";
import { ControlClass, MacCommand, NetFeature, NetHeader, RxCommand } from "../layout.ts";
import { VirtioNet } from "../virtio-net.ts";

export const RECEIVEQ = 0;
export const TRANSMITQ = 1;
export const CONTROLQ = 2;
/** Bytes of what stands in front of a frame. */
export const HEADER = NetHeader.size;
/** Where frames to send, receive buffers and commands are. */
export const OUT = 0x1_0000;
export const IN = 0x2_0000;
export const COMMAND = 0x8000;
export const ACK = 0x8fff;
export const OWN = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
export const OTHER = [0x52, 0x54, 0, 0x65, 0x43, 0x21];
export const GROUP = [0x33, 0x33, 0, 0, 0, 1];
export const BROADCAST = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
export const ALL = [FEATURE.version1, ...Object.values(NetFeature)];
export const PLAIN = [FEATURE.version1, NetFeature.mac];
/** All but VIRTIO_NET_F_MRG_RXBUF. */
export const WHOLE = ALL.filter((bit) => bit !== NetFeature.mrgRxbuf);

/** The other end of the cable: keeps what it hears. */
export class Peer implements EthernetStation {
  readonly heard: Uint8Array[] = [];
  told = 0;
  receive(frame: Uint8Array): boolean {
    this.heard.push(frame.slice());
    return true;
  }
  roomAgain(): void {
    this.told++;
  }
}

export function rig({
  features = ALL as readonly number[],
  size = 16,
  linkUp = true,
  up = true,
  hub = new EthernetHub(),
  address = OWN,
} = {}) {
  const memory = new PlainMemory(0x4_0000);
  const peer = new Peer();
  const port = hub.connect(peer);
  const device = new VirtioNet({
    memory,
    connect: (station) => hub.connect(station),
    address: Uint8Array.from(address),
    linkUp,
  });
  const transport = new ProbeTransport();
  device.attach(transport);
  const [receiveq, transmitq, controlq] = up ? start(device, memory, { features, size }) : [];
  return {
    memory,
    hub,
    device,
    transport,
    peer,
    port,
    queues: { receiveq: receiveq!, transmitq: transmitq!, controlq: controlq! },
  };
}
export type Rig = ReturnType<typeof rig>;

/** A frame to `destination` of `length` bytes, no two alike. */
export function frameTo(destination: readonly number[], length: number, seed = length): Uint8Array {
  const frame = new Uint8Array(length);
  new SeededRandom(seed + 1).fill(frame);
  frame.set(destination.slice(0, length));
  return frame;
}

/** Sends a frame behind `header`, both as one run of bytes that is cut into buffers at `cuts`. */
export function send(
  { memory, device, queues }: Rig,
  frame: Uint8Array,
  header = NetHeader.make({}),
  cuts: number[] = [],
) {
  memory.bytes.set(header, OUT);
  memory.bytes.set(frame, OUT + HEADER);
  const ends = [...cuts, HEADER + frame.length];
  const buffers = ends.map((end, i) => ({ address: OUT + (ends[i - 1] ?? 0), length: end - (ends[i - 1] ?? 0) }));
  queues.transmitq.add(...buffers);
  device.notified(TRANSMITQ);
}

export const room = (length: number, at = 0): Buffer => ({ address: IN + at, length, writable: true });

/** Gives a command; returns the answer, or undefined where the chain does not come back with one byte. */
export function command(r: Rig, commandClass: number, number: number, ...data: number[]): number | undefined {
  r.memory.bytes.set([commandClass, number, ...data], COMMAND);
  r.memory.bytes[ACK] = 0xee;
  r.queues.controlq.add(
    { address: COMMAND, length: 2 },
    { address: COMMAND + 2, length: data.length },
    { address: ACK, length: 1, writable: true },
  );
  r.device.notified(CONTROLQ);
  const used = r.queues.controlq.takeUsed();
  return used.length === 1 && used[0]?.length === 1 ? r.memory.bytes[ACK] : undefined;
}
export const rxMode = (r: Rig, mode: keyof typeof RxCommand, value: number) =>
  command(r, ControlClass.rx, RxCommand[mode], value);
export const le32 = (value: number) => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
export const setTables = (r: Rig, unicast: number[][], multicast: number[][]) =>
  command(
    r,
    ControlClass.mac,
    MacCommand.tableSet,
    ...[unicast, multicast].flatMap((table) => [...le32(table.length), ...table.flat()]),
  );

/** Whether a frame to `destination` reaches the driver. */
export function reaches(r: Rig, destination: readonly number[]): boolean {
  r.queues.receiveq.add(room(2048));
  r.device.notified(RECEIVEQ);
  const before = r.queues.receiveq.usedIndex;
  r.port.transmit(frameTo(destination, 60));
  return r.queues.receiveq.usedIndex !== before;
}
