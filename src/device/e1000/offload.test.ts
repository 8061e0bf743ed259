import assert from "node:assert/strict";
import { test } from "node:test";
import { Icr, Register, Statistic } from "./registers.ts";
import { E1000Rig, EOP, IFCS, RS, TSE, TX_BUFFERS } from "./testing/e1000-rig.ts";
import { checksumOf, packetOf, type Segment, TCP, UDP } from "./testing/node/packets.ts";

const IXSM = 1;
const TXSM = 2;
/** TUCMD. */
const TUCMD_TCP = 1;
const TUCMD_IP = 2;

/** What a driver hands over instead: no IP checksum, and the pseudo header's sum, with or without the length in it. */
function unfinished(packet: Uint8Array, { version, protocol }: Segment, withLength: boolean): Uint8Array {
  const bytes = Buffer.from(packet);
  const transport = version === 4 ? 34 : 54;
  const addresses = version === 4 ? bytes.subarray(26, 34) : bytes.subarray(22, 54);
  const length = Buffer.alloc(4);
  length.writeUInt16BE(protocol, 0);
  if (withLength) length.writeUInt16BE(bytes.length - transport, 2);
  if (version === 4) bytes.writeUInt16BE(0, 24);
  bytes.writeUInt16BE(0xffff - checksumOf(addresses, length), transport + (protocol === TCP ? 16 : 6));
  return new Uint8Array(bytes);
}

function context({ version, protocol }: Segment) {
  const transport = version === 4 ? 34 : 54;
  return {
    ipcss: 14,
    ipcso: 24,
    ipcse: 33,
    tucss: transport,
    tucso: transport + (protocol === TCP ? 16 : 6),
    tucse: 0,
    command: (protocol === TCP ? TUCMD_TCP : 0) | (version === 4 ? TUCMD_IP : 0),
  };
}

const dataOf = (length: number, seed = 0) => Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) + seed) & 0xff);
const KINDS = [
  [4, TCP],
  [6, TCP],
  [4, UDP],
  [6, UDP],
] as const;

test("packets get the checksums that a stack without offloading computes", () => {
  for (const [version, protocol] of KINDS) {
    const rig = new E1000Rig();
    rig.startTransmit();
    const whole = { version, protocol, identification: 7, sequence: 1, flags: 0x18, data: dataOf(99) };
    const popts = TXSM | (version === 4 ? IXSM : 0);
    rig.context(context(whole));
    for (const length of [0, 1, 99, 1000, 1400]) {
      const segment = { ...whole, data: dataOf(length, length) };
      const bytes = unfinished(packetOf(segment), segment, true);
      rig.data(bytes.subarray(0, 37), { command: IFCS, popts });
      rig.data(bytes.subarray(37), { popts: 0 });
    }
    rig.send();
    assert.deepEqual(
      rig.other.heard,
      [0, 1, 99, 1000, 1400].map((length) => packetOf({ ...whole, data: dataOf(length, length) })),
    );
  }
});

test("a UDP checksum that comes out as 0 is sent as FFFFh", () => {
  const rig = new E1000Rig();
  rig.startTransmit();
  const segment: Segment = { version: 4, protocol: UDP, identification: 0, sequence: 0, flags: 0, data: dataOf(2) };
  const found = Array.from({ length: 0x10000 }, (_, word) => word).find((word) => {
    const packet = packetOf({ ...segment, data: Uint8Array.of(word >> 8, word & 0xff) });
    return packet[40] === 0xff && packet[41] === 0xff;
  })!;
  const data = Uint8Array.of(found >> 8, found & 0xff);
  rig.context(context(segment));
  rig.data(unfinished(packetOf({ ...segment, data }), segment, true), { popts: TXSM | IXSM });
  rig.send();
  assert.deepEqual(rig.other.heard, [packetOf({ ...segment, data })]);
});

test("data is cut into the segments that a stack without offloading sends", () => {
  for (const [version, protocol] of KINDS) {
    for (const [length, mss] of [
      [64_000, 1448],
      [4344, 1448],
      [4345, 1448],
      [1448, 1448],
      [700, 1448],
      [1000, 1],
      [333, 100],
    ] as const) {
      const rig = new E1000Rig();
      rig.startTransmit();
      const size = protocol === UDP && version === 4 ? Math.min(mss + 12, 1472) : mss - (version === 6 ? 20 : 0);
      const chunk = Math.max(1, Math.min(size, 1400));
      const whole: Segment = {
        version,
        protocol,
        identification: 0xfffe,
        sequence: 0xffff_ff00,
        flags: 0x19,
        data: dataOf(length),
      };
      const bytes = unfinished(packetOf(whole), whole, false);
      const hdrlen = bytes.length - length;
      const options = { command: IFCS | TSE | RS, popts: TXSM | (version === 4 ? IXSM : 0) };
      const { command, ...rest } = context(whole);
      rig.context({ ...rest, command: command | TSE, hdrlen, mss: chunk, paylen: length });
      // The headers are not in a descriptor of their own, and neither are the segments.
      rig.data(bytes.subarray(0, 30), options);
      rig.data(bytes.subarray(30, hdrlen + 200), options);
      rig.data(bytes.subarray(hdrlen + 200), { ...options, command: options.command | EOP });
      rig.send();
      rig.time.advance(1e8);
      const count = Math.ceil(length / chunk);
      const expected = Array.from({ length: count }, (_, i) =>
        packetOf({
          ...whole,
          data: whole.data.subarray(i * chunk, (i + 1) * chunk),
          identification: whole.identification + i,
          sequence: whole.sequence + i * chunk,
          flags: i === count - 1 ? whole.flags : 0x10,
        }),
      );
      assert.deepEqual(rig.other.heard, expected, `IPv${version}, ${protocol}, ${length} by ${chunk}`);
      assert.ok(rig.other.heard.every((frame) => frame.length <= 1514));
      assert.equal(rig.read(Statistic.tsctc), 1);
      assert.equal(rig.read(Register.icr), Icr.txdw | Icr.txqe);
      for (let i = 1; i < 4; i++) assert.equal(rig.txStatus(i) & 1, 1);
    }
  }
});

test("segments go on where a station had no room", () => {
  const rig = new E1000Rig();
  rig.startTransmit();
  const whole: Segment = { version: 4, protocol: TCP, identification: 1, sequence: 1, flags: 0x18, data: dataOf(5000) };
  const bytes = unfinished(packetOf(whole), whole, false);
  const { command, ...rest } = context(whole);
  rig.context({ ...rest, command: command | TSE, hdrlen: 66, mss: 1000 });
  rig.data(bytes, { command: EOP | IFCS | TSE | RS, popts: TXSM | IXSM });
  const { other } = rig;
  const receive = other.receive.bind(other);
  other.receive = (frame) => {
    other.hasRoom = other.heard.length !== 2 || other.refusals > 0;
    return receive(frame);
  };
  rig.send();
  assert.equal(other.heard.length, 2);
  assert.equal(rig.txStatus(1) & 1, 0);
  rig.otherPort.roomAgain();
  assert.equal(other.refusals, 1);
  assert.deepEqual(
    other.heard.map((frame) => frame.subarray(66)),
    [0, 1, 2, 3, 4].map((i) => dataOf(5000).subarray(i * 1000, i * 1000 + 1000)),
  );
  assert.equal(rig.txStatus(1) & 1, 1);
});

test("the contexts for checksums and for segments do not disturb each other", () => {
  const rig = new E1000Rig();
  rig.startTransmit();
  const segment: Segment = { version: 4, protocol: UDP, identification: 3, sequence: 0, flags: 0, data: dataOf(50) };
  rig.context(context(segment));
  const tcp: Segment = { version: 4, protocol: TCP, identification: 1, sequence: 9, flags: 0x18, data: dataOf(2000) };
  const { command, ...rest } = context(tcp);
  rig.context({ ...rest, command: command | TSE, hdrlen: 66, mss: 1448 });
  rig.data(unfinished(packetOf(segment), segment, true), { popts: TXSM | IXSM });
  const segmented = unfinished(packetOf(tcp), tcp, false);
  rig.data(segmented, { command: EOP | IFCS | TSE | RS, popts: TXSM | IXSM });
  rig.send();
  assert.deepEqual(rig.other.heard, [
    packetOf(segment),
    packetOf({ ...tcp, data: tcp.data.subarray(0, 1448), flags: 0x10 }),
    packetOf({ ...tcp, data: tcp.data.subarray(1448), identification: 2, sequence: 9 + 1448 }),
  ]);
});

test("packets that cannot be cut are dropped: no context, no segment size, no room for the headers, too large", () => {
  for (const fields of [undefined, { mss: 0 }, { hdrlen: 255, mss: 1400 }, { hdrlen: 201 }, { mss: 1500 }]) {
    const rig = new E1000Rig();
    rig.startTransmit();
    if (fields)
      rig.context({ command: TSE | TUCMD_TCP | TUCMD_IP, ipcss: 14, tucss: 34, hdrlen: 54, mss: 100, ...fields });
    rig.data(dataOf(200), { command: EOP | IFCS | TSE | RS, popts: TXSM | IXSM });
    rig.send();
    assert.equal(rig.other.heard.length, 0);
    assert.equal(rig.txStatus(fields ? 1 : 0) & 1, 1);
  }
  const rig = new E1000Rig();
  rig.startTransmit();
  rig.context({ command: TSE | TUCMD_TCP | TUCMD_IP, ipcss: 14, tucss: 34, hdrlen: 54, mss: 100 });
  rig.put([TX_BUFFERS, 0, (0xf_ffff | (0x11 << 20) | (0x25 << 24)) >>> 0, 0]);
  rig.send();
  assert.equal(rig.other.heard.length, 0);
  assert.equal(rig.read(Register.tdh), 2);
});

test("offsets that lead out of the packet change nothing beyond it", () => {
  const rig = new E1000Rig();
  rig.startTransmit();
  const bytes = dataOf(60);
  rig.context({ ipcss: 250, ipcso: 251, ipcse: 0xffff, tucss: 59, tucso: 59, tucse: 0, command: TUCMD_TCP });
  rig.data(bytes, { popts: TXSM | IXSM });
  rig.context({ command: TSE | TUCMD_TCP | TUCMD_IP, ipcss: 255, tucss: 255, tucso: 255, hdrlen: 20, mss: 20 });
  rig.data(bytes, { command: EOP | IFCS | TSE | RS, popts: TXSM | IXSM });
  rig.send();
  const part = (from: number) => Uint8Array.of(...bytes.subarray(0, 20), ...bytes.subarray(from, from + 20));
  assert.deepEqual(rig.other.heard, [bytes, part(20), part(40)]);
});
