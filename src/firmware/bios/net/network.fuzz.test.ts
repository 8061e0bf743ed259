import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../../bits/testing/seeded-random.ts";
import { ManualTime } from "../../../machine/testing/rig.ts";
import { EthernetHub } from "../../../net/hub.ts";
import { makeEthernet } from "../../../net/wire/ethernet.ts";
import { IP_PROTOCOL, makeIpv4 } from "../../../net/wire/ipv4.ts";
import { makeTftp, parseTftp, type TftpPacket } from "../../../net/wire/tftp.ts";
import { makeUdp } from "../../../net/wire/udp.ts";
import type { Found } from "../boot-source.ts";
import { BiosCall } from "../call.ts";
import { GPR, SEG } from "../processor.ts";
import { BIOS_SEGMENT, biosCode, Internal } from "../segment.ts";
import { PlainProcessor } from "../testing/plain-processor.ts";
import { Network } from "./network.ts";
import { PXE } from "./pxe-blocks.ts";
import { OWN_IP, OWN_MAC, PEER_IP, PEER_MAC, Peer } from "./testing/rig.ts";

const CALLS = 8000;
const FUNCTIONS = Object.values(PXE);
const EDGES = [0, 1, 2, 3, 7, 8, 14, 20, 42, 60, 512, 1468, 1514, 1515, 0x7fff, 0xffff];

/** The BIOS's network with a peer that answers everything with something like an answer. */
function rig(seed: number) {
  const random = new SeededRandom(seed);
  const time = new ManualTime();
  const hub = new EthernetHub();
  const peer = new Peer(hub, time);
  const processor = new PlainProcessor();
  const ports = { read: () => random.next() & 0xff, write: () => {} };
  const network = new Network(
    { address: OWN_MAC, card: 0x18, connect: (station) => hub.connect(station), uuid: new Uint8Array(16) },
    { time, ports, print: () => {}, symbols: biosCode().symbols },
  );
  const edge = () => EDGES[random.below(EDGES.length)] as number;
  /** Some bytes changed, or cut off. */
  const spoilt = (bytes: Uint8Array) => {
    const copy = bytes.slice(0, random.below(4) ? bytes.length : random.below(bytes.length + 1));
    for (let i = random.below(4); i > 0 && copy.length > 0; i--) copy[random.below(copy.length)] = random.next();
    return copy;
  };
  const udp = (sourcePort: number, destinationPort: number, payload: Uint8Array) => {
    const destination = random.below(2) ? OWN_IP : (0xffff_ffff as typeof OWN_IP);
    const datagram = makeUdp({ sourcePort, destinationPort, payload }, { source: PEER_IP, destination });
    const fields = { source: PEER_IP, destination, protocol: IP_PROTOCOL.udp, payload: datagram };
    const packet = makeIpv4(fields);
    peer.sendFrame(
      makeEthernet({
        destination: OWN_MAC,
        source: PEER_MAC,
        type: 0x0800,
        payload: random.below(8) ? packet : spoilt(packet),
      }),
    );
  };
  let answers = 0;
  peer.onDatagram = ({ payload, sourcePort, destinationPort }) => {
    peer.datagrams.length = 0;
    // Not for ever: a server that goes on and on keeps the BIOS for as long.
    if (answers++ > 30) {
      answers = random.below(30);
      return;
    }
    if (destinationPort === 67) {
      const reply = payload.slice();
      reply[0] = 2;
      reply.set([192, 0, 2, 10, 192, 0, 2, 1], 16);
      if (random.below(2)) reply.set(new TextEncoder().encode("nbp"), 108);
      // The first option is the message's type.
      reply[242] = [2, 5, 6, random.below(256)][random.below(4)] as number;
      udp(67, 68, random.below(3) ? reply : spoilt(reply));
      return;
    }
    const request = parseTftp(payload);
    const block = request?.kind === "acknowledgment" ? request.block + 1 : 1;
    const packets: readonly TftpPacket[] = [
      { kind: "data", block: block & 0xffff, data: new Uint8Array([edge(), 512, 1468][random.below(3)]! % 1469) },
      {
        kind: "option-acknowledgment",
        options: new Map([
          ["blksize", `${edge()}`],
          ["tsize", `${random.next()}`],
        ]),
      },
      { kind: "error", code: random.below(10), message: "no" },
      { kind: "data", block: random.below(3), data: new Uint8Array(random.below(600)) },
    ];
    const answer = makeTftp(packets[random.below(packets.length)] as TftpPacket);
    udp(random.below(4) ? 3000 : random.below(65536), sourcePort, random.below(4) ? answer : spoilt(answer));
  };
  const settle = () => {
    for (let i = 0; processor.heldInTime > 0; i++) {
      assert.ok(i < 3000, "the BIOS waits for ever");
      time.advance(1e9);
    }
    peer.frames.length = 0;
  };
  const spray = () => {
    const frame = new Uint8Array([14, 34, 60, 300, 1514][random.below(5)] as number);
    for (let i = 0; i < Math.min(frame.length, 64); i++) frame[i] = random.next();
    frame.set(random.below(2) ? OWN_MAC : new Uint8Array(6).fill(0xff));
    frame.set([0x08, [0x00, 0x06][random.below(2)] as number], 12);
    peer.sendFrame(frame);
  };
  return { random, time, network, processor, edge, settle, spray };
}

for (const seed of [1, 2, 3]) {
  test(`a boot program calls any function with any block, on a network that answers anything (seed ${seed})`, () => {
    const { random, time, network, processor, edge, settle, spray } = rig(seed);
    const word = () => (random.below(3) ? edge() : random.next() & 0xffff);
    const succeeded = new Set<number>();
    /** Whether something was booted. */
    const boot = () => {
      let isBooted = false;
      network.source.find(new BiosCall(processor, 0), (found: Found) => {
        isBooted = !("reason" in found);
        if (!("reason" in found)) found.prepare(new BiosCall(processor, 0));
        return undefined;
      });
      settle();
      return isBooted;
    };
    processor.writeWord(0x413, 2, 639);
    while (!boot());
    for (let i = 0; i < CALLS; i++) {
      for (let register = 0; register < 8; register++) processor.registers[register] = (word() << 16) | word();
      processor.segments[SEG.es] = random.below(2) ? 0x2000 : word();
      processor.segments[SEG.ss] = random.below(2) ? 0x1000 : word();
      processor.stack32 = false;
      // Where blocks and stacks are.
      for (let j = 0; j < 40; j++) processor.writeWord(0x20000 + edge() + 2 * j, 2, word());
      if (random.below(20) === 0) processor.writeWord(0x413, 2, word());
      const number = random.below(8) ? (FUNCTIONS[random.below(FUNCTIONS.length)] as number) : word();
      processor.registers[GPR.ebx] = number;
      if (random.below(2)) processor.registers[GPR.edi] = edge();
      // Where servers stand in blocks.
      const block = processor.base(SEG.es) + ((processor.registers[GPR.edi] as number) & 0xffff);
      for (const at of [2, 138]) if (random.below(2)) processor.writeWord(block + at, 4, 0x0102_00c0);
      if (random.below(4) === 0) processor.writeWord(block + 134, 4, 0x8000);
      const isPxenv = random.below(2) === 0;
      processor.call(isPxenv ? Internal.pxenv : Internal.pxe);
      const call = new BiosCall(processor);
      if (!isPxenv) processor.writeWord(call.onStack(10), 2, number);
      if (isPxenv) network.pxe.pxenv(call);
      else network.pxe.pxe(call);
      settle();
      if (call.ax === 0) succeeded.add(number);
      for (let j = random.below(4); j > 0; j--) spray();
      time.advance(1e7);
      if (random.below(40) === 0) {
        processor.writeWord(0x413, 2, 639);
        boot();
      }
      if (random.below(1000) === 0) network.source.left?.(new BiosCall(processor, 0));
      if (random.below(1000) === 0) network.reset();
    }
    assert.ok(succeeded.size > 25, `only ${[...succeeded]} ever succeeded`);
    const { station, udp } = network.state;
    assert.ok(station.passed.length <= 256 && station.own.length <= 256);
    assert.ok(udp.open.length <= 3, "ports are closed again");
    structuredClone(network.state);
  });
}

test("booting from a network that answers anything ends, with a program or a reason", () => {
  const outcomes = new Set<string>();
  for (let seed = 10; seed < 300; seed++) {
    const { network, processor, settle } = rig(seed);
    processor.writeWord(0x413, 2, 639);
    let ended = 0;
    network.source.find(new BiosCall(processor, 0), (found) => {
      ended++;
      outcomes.add("reason" in found ? found.reason.replaceAll(/[\d.]+/g, "N") : "program");
      if (!("reason" in found)) assert.equal(found.prepare(new BiosCall(processor, 0)).es, BIOS_SEGMENT);
      return undefined;
    });
    settle();
    assert.equal(ended, 1);
  }
  assert.ok(outcomes.has("program") && outcomes.size > 4, [...outcomes].join("\n"));
});
