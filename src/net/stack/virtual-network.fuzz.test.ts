import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../bits/testing/seeded-random.ts";
import { FilesInMemory } from "../files-in-memory.ts";
import { LARGEST_FRAME } from "../link.ts";
import { hex, ip, networkRig, SERVER, SERVER_MAC } from "../testing/node/network-rig.ts";
import { makeArp } from "../wire/arp.ts";
import { internetChecksum } from "../wire/checksum.ts";
import { DHCP_TYPE, makeDhcp } from "../wire/dhcp.ts";
import { addressOption, DHCP_OPTION, numberOption, textOption } from "../wire/dhcp-options.ts";
import { ETHER_TYPE, makeEthernet, parseEthernet } from "../wire/ethernet.ts";
import { makeIcmp } from "../wire/icmp.ts";
import { IP_PROTOCOL, IPV4_HEADER, makeIpv4, parseIpv4 } from "../wire/ipv4.ts";
import { makeTcp } from "../wire/tcp.ts";
import { makeTftp } from "../wire/tftp.ts";
import { makeUdp } from "../wire/udp.ts";
import { MOST_FRAMES } from "./outbox.ts";

const GUEST = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56);
const ENDPOINTS = { source: ip("10.0.2.15"), destination: SERVER };
const FILES = new FilesInMemory(
  new Map([
    ["file", new Uint8Array(100_000)],
    ["empty", new Uint8Array(0)],
  ]),
);
const HEADERS = 14 + IPV4_HEADER;

const ipFrame = (protocol: number, payload: Uint8Array) =>
  makeEthernet({
    destination: SERVER_MAC,
    source: GUEST,
    type: ETHER_TYPE.ipv4,
    payload: makeIpv4({ ...ENDPOINTS, protocol, payload }),
  });
const udpFrame = (sourcePort: number, destinationPort: number, payload: Uint8Array) =>
  ipFrame(IP_PROTOCOL.udp, makeUdp({ sourcePort, destinationPort, payload }, ENDPOINTS));

/** A message as the protocols have it, with what may matter at random. */
function valid(random: SeededRandom): Uint8Array {
  const clientMac = random.below(2) ? GUEST : Uint8Array.of(2, 0, 0, 0, random.below(256), random.below(256));
  const address = ip(`10.0.2.${random.below(256)}`);
  switch (random.below(6)) {
    case 0: {
      const addresses = { senderIp: ENDPOINTS.source, targetIp: address };
      const payload = makeArp({
        operation: 1 + random.below(2),
        senderMac: GUEST,
        targetMac: SERVER_MAC,
        ...addresses,
      });
      return makeEthernet({ destination: SERVER_MAC, source: GUEST, type: ETHER_TYPE.arp, payload });
    }
    case 1:
      return ipFrame(
        IP_PROTOCOL.icmp,
        makeIcmp({ kind: "echo-request", identifier: 1, sequence: 1, data: new Uint8Array(random.below(1473)) }),
      );
    case 2:
      return ipFrame(
        IP_PROTOCOL.tcp,
        makeTcp({ sourcePort: 1, destinationPort: 80, sequence: random.next(), flags: { syn: true } }, ENDPOINTS),
      );
    case 3:
      return udpFrame(
        68,
        67,
        makeDhcp({
          operation: "request",
          transaction: random.next(),
          clientMac,
          ...(random.below(3) === 0 ? { clientAddress: address } : {}),
          broadcast: random.below(2) === 0,
          options: new Map([
            [DHCP_OPTION.messageType, numberOption(random.below(Object.keys(DHCP_TYPE).length + 1), 1)],
            [DHCP_OPTION.requestedAddress, addressOption(address)],
            [DHCP_OPTION.vendorClass, textOption("PXEClient")],
            [DHCP_OPTION.clientMachine, new Uint8Array(random.below(300))],
            [DHCP_OPTION.clientIdentifier, new Uint8Array(random.below(300))],
          ]),
        }),
      );
    case 4: {
      const options = {
        blksize: random.below(2000),
        windowsize: random.below(100),
        timeout: random.below(40),
        tsize: 0,
      };
      const entries = Object.entries(options).filter(() => random.below(2));
      const file = random.pick(["file", "empty", "none", "../x"]);
      const kind = random.below(10) ? "read" : "write";
      const request = {
        kind,
        file,
        mode: "octet",
        options: new Map(entries.map(([name, value]) => [name, `${value}`])),
      } as const;
      return udpFrame(2000 + random.below(40), 69, makeTftp(request));
    }
    default: {
      const packet = random.below(8)
        ? ({ kind: "acknowledgment", block: random.below(4) } as const)
        : ({ kind: "error", code: 0, message: "" } as const);
      return udpFrame(2000 + random.below(40), 49_152 + random.below(100), makeTftp(packet));
    }
  }
}

/** Changes, cuts or adds bytes; sometimes with right checksums after that. */
function mutated(frame: Uint8Array, random: SeededRandom): Uint8Array {
  const bytes = new Uint8Array(Math.max(0, frame.length + (random.below(4) === 0 ? random.below(200) - 100 : 0)));
  bytes.set(frame.subarray(0, bytes.length));
  for (let n = random.below(4); n > 0 && bytes.length > 0; n--) bytes[random.below(bytes.length)] = random.next();
  if (random.below(2) && bytes.length >= HEADERS + 8 && bytes[12] === 8 && bytes[13] === 0) {
    bytes.set([0x45, 0, (bytes.length - 14) >> 8, bytes.length - 14], 14);
    bytes.set([0, 0], 24);
    const checksum = internetChecksum(bytes.subarray(14, HEADERS));
    bytes.set([checksum >> 8, checksum], 24);
    // A datagram without a checksum.
    if (bytes[23] === IP_PROTOCOL.udp)
      bytes.set([(bytes.length - HEADERS) >> 8, bytes.length - HEADERS, 0, 0], HEADERS + 4);
  }
  return bytes;
}

async function run(seed: number, rounds: number): Promise<{ answers: string[]; leases: number }> {
  const random = new SeededRandom(seed);
  const { network, guest, settle, time } = networkRig({ files: FILES, bootFile: "file" });
  const answers: string[] = [];
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < 50; i++) {
      const kind = random.below(8);
      if (kind === 0) {
        const noise = new Uint8Array(random.below(1600));
        random.fill(noise);
        guest.port.transmit(noise);
      } else guest.port.transmit(kind < 4 ? valid(random) : mutated(valid(random), random));
    }
    assert.equal(guest.frames.length, 0, "sent from within receive");
    if (random.below(4) === 0) guest.hasRoom = !guest.hasRoom;
    if (random.below(4) === 0) guest.port.roomAgain();
    if (random.below(20) === 0) network.reset();
    await settle();
    time.advance(random.below(4) === 0 ? random.next() : 0);
    assert.ok(network.state.leases.length <= 240);
    for (const frame of guest.frames) {
      assert.ok(frame.length <= LARGEST_FRAME);
      const ethernet = parseEthernet(frame) ?? assert.fail();
      if (ethernet.type === ETHER_TYPE.ipv4) assert.ok(parseIpv4(ethernet.payload));
      answers.push(hex(frame));
    }
    guest.frames = [];
  }
  return { answers, leases: network.state.leases.length };
}

test("whatever a guest sends, the network throws nothing, and answers in right frames", async () => {
  const { answers, leases } = await run(2131, 400);
  assert.ok(answers.length > 3000, `${answers.length} answers`);
  assert.ok(leases > 100, `${leases} leases`);
});

test("the same frames at the same times have the same answers", async () => {
  assert.deepEqual(await run(951, 40), await run(951, 40));
});

test("a guest that sends without pause has bounded answers waiting", async () => {
  const { guest, time, settle } = networkRig({ files: FILES });
  const random = new SeededRandom(1350);
  for (let i = 0; i < 20_000; i++) guest.port.transmit(valid(random));
  time.advance(0);
  await settle();
  // Those that waited, and what transfers that were begun have sent once since.
  assert.ok(
    guest.frames.length >= MOST_FRAMES && guest.frames.length < MOST_FRAMES + 16 * 32 + 100,
    `${guest.frames.length}`,
  );
});
