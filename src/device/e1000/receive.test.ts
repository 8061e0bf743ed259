import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { RxError, RxStatus } from "./receive-checksums.ts";
import { Ctrl, Icr, Rah, Rctl, Register, Rxcsum, Statistic } from "./registers.ts";
import { ADDRESS, BROADCAST, E1000Rig, frameTo, OTHER, RING_SIZE } from "./testing/e1000-rig.ts";
import { packetOf, TCP, UDP } from "./testing/node/packets.ts";

const { dd, eop, ixsm, vp, tcpcs, ipcs, pif } = RxStatus;
const SECRC = Rctl.mask.secrc;
const BAM = Rctl.mask.bam;

function ready(options?: Parameters<E1000Rig["startReceive"]>[0]): E1000Rig {
  const rig = new E1000Rig();
  rig.startReceive(options);
  return rig;
}

test("a frame is in the next buffer, its descriptor says so, and an interrupt tells of it", () => {
  const rig = ready();
  rig.write(Register.ims, Icr.rxt0);
  for (const length of [60, 777, 1514]) {
    assert.equal(rig.otherPort.transmit(frameTo(ADDRESS, length)), true);
    assert.deepEqual(rig.take(), {
      length,
      status: dd | eop | ixsm,
      errors: 0,
      special: 0,
      bytes: frameTo(ADDRESS, length),
    });
    assert.equal(rig.intx.level, true);
    assert.equal(rig.read(Register.icr), Icr.rxt0);
  }
  assert.equal(rig.read(Register.rdh), 3);
  assert.equal(rig.take(), undefined);
});

test("the frame check sequence follows the frame unless it is to be stripped, and short frames are padded before", () => {
  const rig = ready({ rctl: BAM });
  for (const length of [14, 60, 61, 1514]) {
    const frame = frameTo(ADDRESS, length);
    rig.otherPort.transmit(frame);
    const padded = Buffer.alloc(Math.max(length, 60));
    padded.set(frame);
    const check = Buffer.alloc(4);
    check.writeUInt32LE(crc32(padded));
    assert.deepEqual(Buffer.from(rig.take()!.bytes), Buffer.concat([padded, check]));
  }
});

test("a frame that is larger than a buffer fills several, the last of which says that it ends there", () => {
  for (const [rctl, size] of [
    [Rctl.pack({ bsize: 3 }), 256],
    [Rctl.pack({ bsize: 2 }), 512],
    [Rctl.pack({ bsize: 1 }), 1024],
    [0, 2048],
    [Rctl.pack({ bsize: 3, bsex: true }), 4096],
  ] as const) {
    const rig = ready({ rctl: SECRC | BAM | rctl });
    const frame = frameTo(ADDRESS, 1500);
    rig.otherPort.transmit(frame);
    const parts = Array.from({ length: Math.ceil(1500 / size) }, () => rig.take()!);
    assert.deepEqual(Uint8Array.of(...parts.flatMap(({ bytes }) => [...bytes])), frame);
    assert.deepEqual(
      parts.map(({ status }) => status),
      parts.map((_, i) => (i === parts.length - 1 ? dd | eop | ixsm : dd)),
    );
    assert.equal(rig.take(), undefined);
  }
});

test("descriptors without a buffer are skipped, and those outside of RAM keep nothing", () => {
  const rig = ready();
  rig.rxDescriptor(0, 0);
  rig.rxDescriptor(2, 0xf000_0000);
  for (const length of [100, 101, 102]) assert.equal(rig.otherPort.transmit(frameTo(ADDRESS, length)), true);
  assert.deepEqual(
    Array.from({ length: 4 }, () => rig.take()).map((part) => [part?.length, part?.status]),
    [
      [0, dd],
      [100, dd | eop | ixsm],
      [101, dd | eop | ixsm],
      [102, dd | eop | ixsm],
    ],
  );
});

test("a frame for which no descriptors are free is refused, and its sender told when there are", () => {
  const rig = ready({ rctl: SECRC | BAM | Rctl.pack({ bsize: 3 }), descriptors: 3 });
  rig.write(Register.ims, Icr.rxo);
  assert.equal(rig.otherPort.transmit(frameTo(ADDRESS, 60)), true);
  assert.equal(rig.otherPort.transmit(frameTo(ADDRESS, 700)), false);
  assert.equal(rig.intx.level, true);
  assert.equal(rig.read(Register.icr) & Icr.rxo, Icr.rxo);
  assert.deepEqual([rig.read(Statistic.mpc), rig.read(Statistic.rnbc), rig.read(Statistic.gprc)], [1, 1, 1]);
  assert.equal(rig.read(Register.rdh), 1, "no part of it was stored");
  assert.equal(rig.other.told, 0);
  assert.equal(rig.otherPort.transmit(frameTo(OTHER, 700)), true, "what is not for it needs no room");
  rig.write(Register.rdt, 4);
  assert.equal(rig.other.told, 1);
  assert.equal(rig.otherPort.transmit(frameTo(ADDRESS, 700)), true);
  rig.write(Register.rdt, 8);
  assert.equal(rig.other.told, 1, "nobody was waiting");
});

test("whoever waits for room is told when the controller stops listening", () => {
  for (const stop of [
    (rig: E1000Rig) => rig.write(Register.rctl, 0),
    (rig: E1000Rig) => rig.write(Register.ctrl, Ctrl.mask.rst),
    (rig: E1000Rig) => rig.nic.setLink(false),
    (rig: E1000Rig) => rig.nic.pci.writeConfig(4, 2, 0),
  ]) {
    const rig = ready({ descriptors: 0 });
    assert.equal(rig.otherPort.transmit(frameTo(ADDRESS)), false);
    stop(rig);
    assert.equal(rig.other.told, 1);
    assert.equal(rig.otherPort.transmit(frameTo(ADDRESS)), true);
  }
});

test("without a ring that is possible frames are lost", () => {
  for (const [register, value] of [
    [Register.rctl, 0],
    [Register.rdlen, 0],
    [Register.rdt, RING_SIZE],
    [Register.rdbah, 1],
  ] as const) {
    const rig = ready();
    rig.write(register, value);
    assert.equal(rig.otherPort.transmit(frameTo(ADDRESS)), true);
    assert.equal(rig.take(), undefined);
    assert.equal(rig.read(Register.icr), 0);
  }
});

test("an interrupt warns when a half, a quarter or an eighth of the descriptors are left", () => {
  for (const [rdmts, left] of [
    [0, 8],
    [1, 4],
    [2, 2],
  ] as const) {
    const rig = ready({ rctl: SECRC | BAM | Rctl.pack({ rdmts }) });
    let free = RING_SIZE - 1;
    while (free > 0) {
      rig.otherPort.transmit(frameTo(ADDRESS));
      free--;
      assert.equal((rig.read(Register.icr) & Icr.rxdmt0) !== 0, free <= left);
    }
  }
});

const GROUP = Uint8Array.of(0x01, 0x00, 0x5e, 0x7f, 0x12, 0x34);
const STRANGER = Uint8Array.of(0x52, 0x54, 0x00, 0x12, 0x34, 0x57);

test("the controller takes its own frames, and others as RCTL says", () => {
  const taken = (rctl: number) => {
    const rig = ready({ rctl: SECRC | rctl });
    return [ADDRESS, STRANGER, BROADCAST, GROUP].filter((destination) => {
      rig.otherPort.transmit(frameTo(destination));
      return rig.take() !== undefined;
    });
  };
  assert.deepEqual(taken(0), [ADDRESS]);
  assert.deepEqual(taken(Rctl.mask.bam), [ADDRESS, BROADCAST]);
  assert.deepEqual(taken(Rctl.mask.upe), [ADDRESS, STRANGER]);
  assert.deepEqual(taken(Rctl.mask.mpe), [ADDRESS, GROUP]);
});

test("sixteen addresses are compared, of the destination or the source, while they are valid", () => {
  const rig = ready();
  const set = (index: number, address: Uint8Array, fields: Parameters<typeof Rah.pack>[0]) => {
    const view = new DataView(address.buffer);
    rig.write(Register.ral + index * 8, view.getUint32(0, true));
    rig.write(Register.rah + index * 8, Rah.pack({ address: view.getUint16(4, true), ...fields }));
  };
  const isTaken = (destination: Uint8Array, source = OTHER) => {
    rig.otherPort.transmit(frameTo(destination, 60, { source }));
    return rig.take() !== undefined;
  };
  set(15, STRANGER, {});
  assert.equal(isTaken(STRANGER), false);
  set(15, STRANGER, { av: true });
  assert.equal(isTaken(STRANGER), true);
  set(15, STRANGER, { av: true, asel: 1 });
  assert.equal(isTaken(STRANGER), false);
  assert.equal(isTaken(OTHER, STRANGER), true);
  set(3, GROUP, { av: true });
  assert.equal(isTaken(GROUP), true);
});

test("multicast addresses are looked up in the table by the twelve bits that RCTL.MO chooses", () => {
  // The upper sixteen bits of the address, read as a number, are 3412h.
  for (const [mo, hash] of [
    [0, 0x341],
    [1, 0x682],
    [2, 0xd04],
    [3, 0x412],
  ] as const) {
    const rig = ready({ rctl: SECRC | Rctl.pack({ mo }) });
    const word = Register.mta + (hash >> 5) * 4;
    rig.write(word, ~(1 << (hash & 31)));
    rig.otherPort.transmit(frameTo(GROUP));
    assert.equal(rig.take(), undefined);
    rig.write(word, 1 << (hash & 31));
    rig.otherPort.transmit(frameTo(GROUP));
    assert.equal(rig.take()?.status, dd | eop | ixsm | pif, "another address may have the same bits");
  }
});

const tagged = (vlan: number) => {
  const frame = frameTo(ADDRESS, 104, { type: 0x8100 });
  frame.set([0x60 | (vlan >> 8), vlan & 0xff], 14);
  return frame;
};

test("VLAN tags are taken out where CTRL.VME says so, and only the table's VLANs taken where RCTL.VFE does", () => {
  const rig = ready();
  rig.otherPort.transmit(tagged(5));
  assert.deepEqual(rig.take()?.bytes, tagged(5));
  rig.write(Register.ctrl, Ctrl.mask.vme);
  rig.otherPort.transmit(tagged(5));
  assert.deepEqual(rig.take(), {
    length: 100,
    status: dd | eop | ixsm | vp,
    errors: 0,
    special: 0x6005,
    bytes: Uint8Array.of(...tagged(5).subarray(0, 12), ...tagged(5).subarray(16)),
  });
  rig.write(Register.rctl, Rctl.mask.en | SECRC | Rctl.mask.vfe);
  rig.write(Register.vfta + 4 * 3, 1 << 4);
  for (const [vlan, isTaken] of [
    [5, false],
    [100, true],
    [101, false],
  ] as const) {
    rig.otherPort.transmit(tagged(vlan));
    assert.equal(rig.take() !== undefined, isTaken);
  }
  rig.otherPort.transmit(frameTo(ADDRESS));
  assert.notEqual(rig.take(), undefined);
});

test("the checksums of IPv4, TCP and UDP are checked where RXCSUM says so", () => {
  const rig = ready({ rctl: SECRC | Rctl.mask.upe });
  const result = (frame: Uint8Array) => {
    rig.otherPort.transmit(frame);
    const { status, errors } = rig.take()!;
    return [status & ~(dd | eop), errors];
  };
  const segment = { version: 4, identification: 1, sequence: 5, flags: 0x10, data: Uint8Array.of(1, 2, 3) } as const;
  const [tcp, udp] = [TCP, UDP].map((protocol) => packetOf({ ...segment, protocol })) as [Uint8Array, Uint8Array];
  const both = Rxcsum.pack({ ipofl: true, tuofl: true });
  for (const [rxcsum, flags] of [
    [0, ixsm],
    [Rxcsum.pack({ ipofl: true }), ipcs],
    [Rxcsum.pack({ tuofl: true }), tcpcs],
    [both, ipcs | tcpcs],
  ] as const) {
    rig.write(Register.rxcsum, rxcsum);
    rig.write(Register.rdt, (rig.read(Register.rdh) + RING_SIZE - 1) % RING_SIZE);
    assert.deepEqual(result(tcp), [flags, 0]);
    assert.deepEqual(result(udp), [flags, 0]);
  }
  rig.write(Register.rxcsum, both);
  rig.write(Register.rdt, (rig.read(Register.rdh) + RING_SIZE - 1) % RING_SIZE);
  const changed = (frame: Uint8Array, at: number, value: number) => Object.assign(frame.slice(), { [at]: value });
  assert.deepEqual(result(changed(tcp, 22, 63)), [ipcs | tcpcs, RxError.ipe]);
  assert.deepEqual(result(changed(tcp, 50, 9)), [ipcs | tcpcs, RxError.tcpe]);
  assert.deepEqual(result(changed(udp, 42, 9)), [ipcs | tcpcs, RxError.tcpe]);
  assert.deepEqual(result(changed(changed(udp, 40, 0), 41, 0)), [ipcs, 0], "a UDP checksum of 0 is none");
  assert.deepEqual(result(changed(tcp, 20, 0x20)), [ipcs, RxError.ipe], "a fragment has no checksum of its own");
  assert.deepEqual(result(changed(tcp, 12, 0x86)), [ixsm, 0], "no IPv4");
  assert.deepEqual(result(changed(tcp, 14, 0x44)), [ixsm, 0], "no IPv4 header");
  assert.deepEqual(result(changed(tcp, 16, 0x40)), [ixsm, 0], "longer than the frame");
});
