import assert from "node:assert/strict";
import { test } from "node:test";
import { makeArp } from "../../../net/wire/arp.ts";
import { makeDhcp, parseDhcp } from "../../../net/wire/dhcp.ts";
import { ETHER_TYPE, makeEthernet, parseEthernet } from "../../../net/wire/ethernet.ts";
import { makeTftp, parseTftp } from "../../../net/wire/tftp.ts";
import { BiosCall } from "../call.ts";
import { GPR, SEG } from "../processor.ts";
import { Internal } from "../segment.ts";
import { PlainProcessor } from "../testing/plain-processor.ts";
import { Block, PXE, PXE_STATUS, TransmitDescriptor, TransmitPiece } from "./pxe-blocks.ts";
import { PxeService } from "./pxe-service.ts";
import { ip, networkRig, OWN_IP, OWN_MAC, PEER_IP, PEER_MAC } from "./testing/rig.ts";

const BLOCK_SEGMENT = 0x2000;
const BUFFER_SEGMENT = 0x3000;
const BUFFER = BUFFER_SEGMENT * 16;
/** A pointer as blocks have it when they are made: a segment times 10000h. */
const AT_BUFFER = BUFFER_SEGMENT * 0x1_0000;
const CARD = { 0: 0x1af4, 2: 0x1000, 8: 1, 9: 0, 10: 0, 11: 2, 44: 0x1af4, 46: 1 } as Record<number, number>;

const message = (bootFile: string) =>
  makeDhcp({ operation: "reply", transaction: 1, clientMac: OWN_MAC, bootFile, options: new Map() });

/** PXE as a boot program finds it; `call` does a function on a block through "PXENV+". */
function rig() {
  const rigged = networkRig();
  const { stack, time } = rigged;
  const processor = new PlainProcessor();
  let register = 0;
  const ports = {
    read: (port: number) => (port >= 0xcfc ? (CARD[register + port - 0xcfc] ?? 0) : 0),
    write: (port: number, _size: number, value: number) => {
      if (port === 0xcf8) register = value & 0xfc;
    },
  };
  const places = { pxenvAt: 0xe4a0, pxeAt: 0xe440, pxenvEntry: 0xe100, pxeEntry: 0xe110, returned: 0xe120 };
  const pxe = new PxeService(stack, ports, places);
  rigged.configure();
  processor.registers[GPR.esp] = 0x7000;
  processor.writeWord(0x413, 2, 639);
  const lease = {
    ...{ address: OWN_IP, mask: ip("255.255.255.0"), gateway: PEER_IP, server: PEER_IP, bootServer: PEER_IP },
    ...{ bootFile: "nbp", discover: message("one"), acknowledgment: message("two"), reply: message("three") },
  };
  pxe.load(new BiosCall(processor, 0), lease);
  const bytesAt = (at: number, length: number) => processor.memory.slice(at, at + length);
  const call = (number: number, block: Uint8Array): Uint8Array => {
    processor.memory.set(block, BLOCK_SEGMENT * 16);
    processor.registers[GPR.ebx] = number;
    processor.segments[SEG.es] = BLOCK_SEGMENT;
    processor.registers[GPR.edi] = 0;
    const stackBefore = processor.registers[GPR.esp];
    processor.call(Internal.pxenv);
    pxe.pxenv(new BiosCall(processor));
    for (let i = 0; processor.heldInTime > 0; i++) {
      assert.ok(i < 100_000, "the call never ends");
      time.advance(1e6);
    }
    // The frame stays for the stub's IRET.
    assert.equal(processor.registers[GPR.esp], (stackBefore as number) - 6);
    processor.registers[GPR.esp] = stackBefore as number;
    const status = processor.readWord(BLOCK_SEGMENT * 16, 2);
    assert.equal(processor.registers[GPR.eax] as number & 0xffff, status === 0 ? 0 : 1);
    return bytesAt(BLOCK_SEGMENT * 16, block.length);
  };
  const status = (number: number, block: Uint8Array = Block.status.make({})) =>
    Block.status.at(call(number, block)).status;
  return { ...rigged, processor, pxe, call, status, bytesAt };
}

test("the messages of DHCP are told, in the caller's buffer or in one of the BIOS's", () => {
  const { call, bytesAt, status } = rig();
  for (const [type, name] of [
    [1, "one"],
    [2, "two"],
    [3, "three"],
  ] as const) {
    const copied = Block.getCachedInfo.at(
      call(PXE.getCachedInfo, Block.getCachedInfo.make({ packetType: type, bufferSize: 2000, buffer: AT_BUFFER })),
    );
    assert.equal(parseDhcp(bytesAt(BUFFER, copied.bufferSize))?.bootFile, name);
    const lent = Block.getCachedInfo.at(call(PXE.getCachedInfo, Block.getCachedInfo.make({ packetType: type })));
    assert.ok(lent.buffer < 639 * 1024 && lent.buffer >= 633 * 1024);
    assert.equal(lent.bufferSize, copied.bufferSize);
    assert.equal(parseDhcp(bytesAt(lent.buffer, lent.bufferSize))?.bootFile, name);
  }
  const short = Block.getCachedInfo.make({ packetType: 2, bufferSize: 8, buffer: AT_BUFFER });
  assert.equal(Block.getCachedInfo.at(call(PXE.getCachedInfo, short)).bufferSize, 8);
  assert.equal(status(PXE.getCachedInfo, Block.getCachedInfo.make({ packetType: 4 })), PXE_STATUS.unsupported);
});

test("datagrams are sent and read while UDP is open", () => {
  const { call, status, peer, processor, bytesAt, time } = rig();
  const read = () =>
    Block.udpRead.at(
      call(PXE.udpRead, Block.udpRead.make({ destinationPort: 2000, bufferSize: 100, buffer: AT_BUFFER })),
    );
  processor.memory.set([1, 2, 3], BUFFER);
  const write = Block.udpWrite.make({ destination: PEER_IP, destinationPort: 7, bufferSize: 3, buffer: AT_BUFFER });
  assert.equal(status(PXE.udpWrite, write), PXE_STATUS.udpClosed);
  assert.equal(status(PXE.udpOpen, Block.udpOpen.make({})), PXE_STATUS.success);
  assert.equal(status(PXE.udpOpen, Block.udpOpen.make({})), PXE_STATUS.udpOpen);
  assert.equal(status(PXE.udpWrite, write), PXE_STATUS.success);
  const { payload, sourcePort, destinationPort, source } = peer.datagrams[0] ?? assert.fail();
  assert.deepEqual([[...payload], sourcePort, destinationPort, source], [[1, 2, 3], 2069, 7, OWN_IP]);

  const before = time.now();
  assert.equal(read().status, PXE_STATUS.failure);
  assert.ok(time.now() - before < 50e6, "a read without a datagram takes less than a tick of the clock");
  peer.send({ sourcePort: 7, destinationPort: 1999, payload: Uint8Array.of(9) });
  peer.send({ sourcePort: 7, destinationPort: 2000, payload: Uint8Array.of(5, 6) });
  const told = read();
  assert.equal(told.status, PXE_STATUS.success);
  assert.deepEqual([told.source, told.destination, told.sourcePort, told.destinationPort], [PEER_IP, OWN_IP, 7, 2000]);
  assert.deepEqual([...bytesAt(BUFFER, told.bufferSize)], [5, 6]);
  const other = Block.udpRead.at(call(PXE.udpRead, Block.udpRead.make({ bufferSize: 100, buffer: AT_BUFFER })));
  assert.deepEqual([other.status, other.destinationPort], [PXE_STATUS.success, 1999]);
  assert.equal(status(PXE.udpClose), PXE_STATUS.success);
  assert.equal(read().status, PXE_STATUS.udpClosed);
});

test("a datagram to nobody is told to have no way", () => {
  const { status, peer } = rig();
  peer.answersArp = false;
  status(PXE.udpOpen, Block.udpOpen.make({}));
  const write = Block.udpWrite.make({
    destination: ip("192.0.2.77"),
    destinationPort: 7,
    bufferSize: 3,
    buffer: AT_BUFFER,
  });
  assert.equal(status(PXE.udpWrite, write), PXE_STATUS.arpTimeout);
});

test("a file is read packet by packet, of the size that was agreed on", () => {
  const { call, status, peer, bytesAt } = rig();
  const file = Uint8Array.from({ length: 1000 }, (_, i) => i);
  peer.onDatagram = ({ payload, sourcePort }) => {
    const packet = parseTftp(payload);
    const size = packet?.kind === "read" ? packet.options.get("blksize") : undefined;
    if (packet?.kind === "read") assert.equal(packet.file, "dir/file");
    const block = packet?.kind === "acknowledgment" ? packet.block : 0;
    const answer = size
      ? makeTftp({ kind: "option-acknowledgment", options: new Map([["blksize", size]]) })
      : makeTftp({ kind: "data", block: block + 1, data: file.subarray(block * 700, (block + 1) * 700) });
    if (packet?.kind === "acknowledgment" && packet.block === 2) return;
    peer.send({ sourcePort: 4000, destinationPort: sourcePort, payload: answer });
  };
  const name = new Uint8Array(128);
  name.set(new TextEncoder().encode("dir/file"));
  const open = Block.tftpOpen.make({ server: PEER_IP, fileName: name, packetSize: 700 });
  assert.equal(status(PXE.tftpRead, Block.tftpRead.make({})), PXE_STATUS.tftpClosed);
  assert.equal(Block.tftpOpen.at(call(PXE.tftpOpen, open)).packetSize, 700);
  assert.equal(status(PXE.tftpOpen, open), PXE_STATUS.tftpOpen);
  for (const [number, length] of [
    [1, 700],
    [2, 300],
    [2, 0],
  ] as const) {
    const read = Block.tftpRead.at(call(PXE.tftpRead, Block.tftpRead.make({ buffer: AT_BUFFER })));
    assert.deepEqual([read.status, read.packetNumber, read.bufferSize], [PXE_STATUS.success, number, length]);
    assert.deepEqual(bytesAt(BUFFER, length), file.subarray((number - 1) * 700, (number - 1) * 700 + length));
  }
  assert.equal(status(PXE.tftpClose), PXE_STATUS.success);
  assert.equal(status(PXE.tftpClose), PXE_STATUS.tftpClosed);
});

test("failures of TFTP have statuses of their own", () => {
  const { status, peer } = rig();
  const size = Block.tftpGetFsize.make({ server: PEER_IP });
  assert.equal(status(PXE.tftpGetFsize, size), PXE_STATUS.tftpOpenTimeout);
  for (const [code, expected] of [
    [1, PXE_STATUS.tftpFileNotFound],
    [2, PXE_STATUS.tftpAccessViolation],
    [5, PXE_STATUS.tftpErrorOpcode],
  ] as const) {
    peer.onDatagram = ({ sourcePort }) =>
      peer.send({
        sourcePort: 4,
        destinationPort: sourcePort,
        payload: makeTftp({ kind: "error", code, message: "" }),
      });
    assert.equal(status(PXE.tftpGetFsize, size), expected);
  }
  const nobody = Block.tftpGetFsize.make({ server: ip("192.0.2.99") });
  assert.equal(status(PXE.tftpGetFsize, nobody), PXE_STATUS.tftpCannotArpAddress);
});

test("the card is told: its addresses, its place on the PCI bus, and that it has no interrupt", () => {
  const { call, status } = rig();
  const moved = Uint8Array.of(2, 0, 0, 0, 0, 7);
  status(PXE.undiSetStationAddress, Block.undiStationAddress.make({ address: moved }));
  const told = Block.undiGetInformation.at(call(PXE.undiGetInformation, Block.undiGetInformation.make({})));
  assert.deepEqual([told.interrupt, told.largestUnit, told.hardwareType, told.addressLength], [0, 1500, 1, 6]);
  assert.deepEqual(told.address.subarray(0, 6), moved);
  assert.deepEqual(told.permanentAddress.subarray(0, 6), OWN_MAC);
  const nic = Block.undiGetNicType.at(call(PXE.undiGetNicType, Block.undiGetNicType.make({})));
  assert.deepEqual(
    [nic.type, nic.vendor, nic.device, nic.baseClass, nic.subClass, nic.busDeviceFunction],
    [2, 0x1af4, 0x1000, 2, 0, 0x18],
  );
  const face = Block.undiGetIfaceInfo.at(call(PXE.undiGetIfaceInfo, Block.undiGetIfaceInfo.make({})));
  assert.equal(face.services & 0x1000, 0);
  const group = Block.undiGetMcastAddress.make({ group: ip("239.129.2.3") });
  const { address } = Block.undiGetMcastAddress.at(call(PXE.undiGetMcastAddress, group));
  assert.deepEqual(address.subarray(0, 6), Uint8Array.of(1, 0, 0x5e, 1, 2, 3));
});

test("frames are sent with a header of the BIOS's or the program's, gathered from pieces", () => {
  const { status, processor, peer } = rig();
  const payload = makeArp({ operation: 1, senderMac: OWN_MAC, senderIp: OWN_IP, targetMac: OWN_MAC, targetIp: OWN_IP });
  const piece = (pointerType: number, at: number, bytes: Uint8Array) => {
    processor.memory.set(bytes, at);
    return TransmitPiece.make({ pointerType, length: bytes.length, at: pointerType === 1 ? (at >> 4) * 0x1_0000 : at });
  };
  processor.memory.set(PEER_MAC, BUFFER);
  processor.memory.set(payload.subarray(0, 10), BUFFER + 0x100);
  const descriptor = TransmitDescriptor.make({ length: 10, at: AT_BUFFER + 0x100, pieces: 2 });
  processor.memory.set(
    [
      ...descriptor,
      ...piece(1, BUFFER + 0x200, payload.subarray(10, 20)),
      ...piece(0, BUFFER + 0x300, payload.subarray(20)),
    ],
    BUFFER + 0x400,
  );
  const block = { protocol: 2, flag: 0, destination: AT_BUFFER, descriptor: AT_BUFFER + 0x400 };
  assert.equal(status(PXE.undiTransmit, Block.undiTransmit.make(block)), PXE_STATUS.success);
  assert.equal(status(PXE.undiTransmit, Block.undiTransmit.make({ ...block, flag: 1 })), PXE_STATUS.success);
  const whole = makeEthernet({ destination: PEER_MAC, source: OWN_MAC, type: 0x88b5, payload });
  processor.memory.set(whole, BUFFER + 0x500);
  processor.memory.set(TransmitDescriptor.make({ length: whole.length, at: AT_BUFFER + 0x500 }), BUFFER + 0x600);
  const raw = Block.undiTransmit.make({ descriptor: AT_BUFFER + 0x600 });
  assert.equal(status(PXE.undiTransmit, raw), PXE_STATUS.success);
  const sent = peer.frames.map((frame) => parseEthernet(frame) ?? assert.fail());
  assert.deepEqual(
    sent.map(({ type }) => type),
    [ETHER_TYPE.arp, ETHER_TYPE.arp, 0x88b5],
  );
  assert.deepEqual(sent[0]?.destination, PEER_MAC);
  assert.deepEqual(sent[0]?.payload.subarray(0, payload.length), payload);
  assert.ok(sent[1]?.destination.every((byte) => byte === 0xff));
  processor.memory.set(TransmitDescriptor.make({ length: 1515, at: AT_BUFFER }), BUFFER + 0x600);
  assert.equal(status(PXE.undiTransmit, raw), PXE_STATUS.undiInvalidParameter);
});

test("a program that has opened UNDI asks for frames, and is told of each what it is", () => {
  const { call, status, peer, time, bytesAt, stack } = rig();
  const isr = (what: number) => Block.undiIsr.at(call(PXE.undiIsr, Block.undiIsr.make({ function: what })));
  assert.equal(status(PXE.undiOpen, Block.undiOpen.make({ filter: 3 })), PXE_STATUS.success);
  assert.equal(isr(1).function, 1, "not ours");
  const broadcast = new Uint8Array(6).fill(0xff);
  const frames = [
    makeEthernet({ destination: OWN_MAC, source: PEER_MAC, type: ETHER_TYPE.ipv4, payload: new Uint8Array(100) }),
    makeEthernet({ destination: broadcast, source: PEER_MAC, type: ETHER_TYPE.arp, payload: new Uint8Array(28) }),
  ];
  for (const frame of frames) peer.sendFrame(frame);
  time.advance(1e6);
  assert.equal(isr(1).function, 0, "ours");
  for (const [i, [protocol, packetType]] of [
    [1, 0],
    [2, 1],
  ].entries()) {
    const told = isr(i === 0 ? 2 : 3);
    assert.deepEqual([told.function, told.protocol, told.packetType, told.headerLength], [3, protocol, packetType, 14]);
    assert.equal(told.bufferLength, told.frameLength);
    assert.deepEqual(bytesAt(told.frame, told.frameLength), frames[i]);
  }
  assert.equal(isr(3).function, 0, "done");
  assert.equal(isr(9).status, PXE_STATUS.undiInvalidParameter);
  assert.equal(status(PXE.undiClose), PXE_STATUS.success);
  peer.sendFrame(frames[0] as Uint8Array);
  time.advance(1e6);
  assert.deepEqual(stack.station.state.passed, []);
});

test("what was sent is told once, like an interrupt's cause", () => {
  const { call, status, processor } = rig();
  status(PXE.undiOpen, Block.undiOpen.make({ filter: 3 }));
  processor.memory.set(TransmitDescriptor.make({ length: 60, at: AT_BUFFER }), BUFFER + 0x600);
  status(PXE.undiTransmit, Block.undiTransmit.make({ descriptor: AT_BUFFER + 0x600 }));
  const told = [1, 2, 3].map(
    (what) => Block.undiIsr.at(call(PXE.undiIsr, Block.undiIsr.make({ function: what }))).function,
  );
  assert.deepEqual(told, [0, 2, 0]);
});

test("a program that unloads the base code and keeps UNDI still has its frames, and the BIOS answers nobody", () => {
  const { call, status, peer, time, pxe, processor, stack } = rig();
  status(PXE.undiShutdown);
  assert.equal(status(PXE.unloadStack), PXE_STATUS.success);
  assert.equal(stack.station.state.listens, false);
  processor.registers[GPR.eax] = 0x5650;
  assert.equal(pxe.check(new BiosCall(processor, 0)), false);
  status(PXE.undiStartup);
  status(PXE.undiInitialize);
  status(PXE.undiOpen, Block.undiOpen.make({ filter: 3 }));
  const question = { operation: 1, senderMac: PEER_MAC, senderIp: PEER_IP, targetMac: OWN_MAC, targetIp: OWN_IP };
  const frame = makeEthernet({
    destination: OWN_MAC,
    source: PEER_MAC,
    type: ETHER_TYPE.arp,
    payload: makeArp(question),
  });
  peer.frames.length = 0;
  peer.sendFrame(frame);
  time.advance(1e6);
  assert.equal(Block.undiIsr.at(call(PXE.undiIsr, Block.undiIsr.make({ function: 2 }))).function, 3);
  assert.deepEqual(peer.frames, []);
  assert.equal(status(PXE.stopUndi), PXE_STATUS.success);
  assert.equal(stack.station.state.listens, false);
});

test("a program that leaves gives the memory back, and all that was open is closed", () => {
  const { status, pxe, processor, stack } = rig();
  status(PXE.udpOpen, Block.udpOpen.make({}));
  assert.equal(processor.readWord(0x413, 2), 633);
  pxe.leave(new BiosCall(processor, 0));
  assert.equal(processor.readWord(0x413, 2), 639);
  assert.deepEqual([stack.station.state.listens, stack.udp.state.open], [false, []]);
  assert.equal(status(PXE.udpClose), PXE_STATUS.udpClosed);
});
