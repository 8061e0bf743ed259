/** Packets as a stack makes them that computes all of their checksums itself, in another way than the controller does. */
import { OTHER } from "../e1000-rig.ts";

export const TCP = 6;
export const UDP = 17;

export interface Segment {
  version: 4 | 6;
  protocol: number;
  data: Uint8Array;
  identification: number;
  sequence: number;
  flags: number;
}

/** The checksum of all these bytes by arithmetic modulo FFFFh on one large number. */
export function checksumOf(...parts: Uint8Array[]): number {
  const bytes = Buffer.concat(parts);
  const even = bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.of(0)]);
  const remainder = Number(BigInt(`0x0${even.toString("hex")}`) % 0xffffn);
  return 0xffff - (remainder === 0 ? 0xffff : remainder);
}

/** A packet as a stack sends it that computes all of it itself. */
export function packetOf({ version, protocol, data, identification, sequence, flags }: Segment): Uint8Array {
  const transport = Buffer.alloc((protocol === TCP ? 32 : 8) + data.length);
  transport.writeUInt16BE(0xc001, 0);
  transport.writeUInt16BE(443, 2);
  if (protocol === TCP) {
    transport.writeUInt32BE(sequence >>> 0, 4);
    transport.writeUInt32BE(0xdead_beef, 8);
    transport[12] = 0x80;
    transport[13] = flags;
    transport.writeUInt16BE(0x1234, 14);
    transport.set([1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8], 20);
  } else transport.writeUInt16BE(transport.length, 4);
  transport.set(data, transport.length - data.length);

  const length = version === 4 ? 20 : 40;
  const ip = Buffer.alloc(length);
  const addresses = version === 4 ? 8 : 32;
  for (let i = 0; i < addresses; i++) ip[length - addresses + i] = 10 + i * 11;
  if (version === 4) {
    ip[0] = 0x45;
    ip.writeUInt16BE(20 + transport.length, 2);
    ip.writeUInt16BE(identification & 0xffff, 4);
    ip.writeUInt16BE(0x4000, 6);
    ip[8] = 64;
    ip[9] = protocol;
    ip.writeUInt16BE(checksumOf(ip), 10);
  } else {
    ip[0] = 0x60;
    ip.writeUInt16BE(transport.length, 4);
    ip[6] = protocol;
    ip[7] = 64;
  }
  const pseudo = Buffer.concat([ip.subarray(length - addresses), Buffer.alloc(4)]);
  pseudo.writeUInt16BE(protocol, addresses);
  pseudo.writeUInt16BE(transport.length, addresses + 2);
  const checksum = checksumOf(pseudo, transport);
  transport.writeUInt16BE(checksum === 0 && protocol === UDP ? 0xffff : checksum, protocol === TCP ? 16 : 6);
  const ethernet = Buffer.concat([OTHER, Buffer.of(0x52, 0x54, 0, 0x12, 0x34, 0x56), Buffer.alloc(2)]);
  ethernet.writeUInt16BE(version === 4 ? 0x0800 : 0x86dd, 12);
  return new Uint8Array(Buffer.concat([ethernet, ip, transport]));
}
