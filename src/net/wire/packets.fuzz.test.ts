import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../bits/testing/seeded-random.ts";
import { ipv4Address } from "./addresses.ts";
import { makeArp, parseArp } from "./arp.ts";
import { makeDhcp, parseDhcp } from "./dhcp.ts";
import { addressesIn, DHCP_OPTION, numberIn, numberOption, parseDhcpOptions, textIn, wordsIn } from "./dhcp-options.ts";
import { makeEthernet, parseEthernet } from "./ethernet.ts";
import { makeIcmp, parseIcmp, quotedPacket } from "./icmp.ts";
import { makeIpv4, parseIpv4 } from "./ipv4.ts";
import { makeTcp, parseTcp } from "./tcp.ts";
import { makeTftp, parseTftp } from "./tftp.ts";
import { makeUdp, parseUdp } from "./udp.ts";

const ENDPOINTS = { source: ipv4Address(0x0a00_020f), destination: ipv4Address(0x0a00_0202) };
const MAC = Uint8Array.of(0x52, 0x54, 0, 0x12, 0x34, 0x56);

/** Reads and makes again what is a packet. */
function parseAll(bytes: Uint8Array): number {
  let packets = 0;
  const when = <T>(packet: T | undefined, then: (packet: T) => void) => {
    if (packet === undefined) return;
    packets++;
    then(packet);
  };
  when(parseEthernet(bytes), (frame) => assert.deepEqual(parseEthernet(makeEthernet(frame))?.source, frame.source));
  when(parseArp(bytes), (packet) => assert.deepEqual(parseArp(makeArp(packet)), packet));
  when(parseIpv4(bytes), (packet) => {
    quotedPacket(packet);
    assert.deepEqual(parseIpv4(makeIpv4(packet))?.payload, packet.payload);
  });
  when(parseIcmp(bytes), (message) => assert.deepEqual(parseIcmp(makeIcmp(message)), message));
  when(parseUdp(bytes, ENDPOINTS), (datagram) =>
    assert.deepEqual(parseUdp(makeUdp(datagram, ENDPOINTS), ENDPOINTS), datagram),
  );
  when(parseTcp(bytes, ENDPOINTS), (segment) =>
    assert.deepEqual(parseTcp(makeTcp(segment, ENDPOINTS), ENDPOINTS), segment),
  );
  when(parseDhcp(bytes), (message) => {
    for (const value of message.options.values()) {
      [addressesIn(value), numberIn(value), wordsIn(value), textIn(value), parseDhcpOptions(value)];
    }
    const names = { bootFile: message.bootFile.slice(0, 40), serverName: message.serverName.slice(0, 20) };
    const options = new Map([...message.options].filter(([code]) => code !== DHCP_OPTION.overload));
    assert.deepEqual(parseDhcp(makeDhcp({ ...message, ...names, options }))?.options, options);
  });
  when(parseTftp(bytes), (packet) => void makeTftp(packet));
  return packets;
}

const VALID = [
  makeArp({
    operation: 1,
    senderMac: MAC,
    senderIp: ENDPOINTS.source,
    targetMac: MAC,
    targetIp: ENDPOINTS.destination,
  }),
  makeIpv4({ ...ENDPOINTS, protocol: 17, payload: new Uint8Array(40) }),
  makeIcmp({ kind: "echo-request", identifier: 1, sequence: 2, data: new Uint8Array(56) }),
  makeUdp({ sourcePort: 68, destinationPort: 67, payload: new Uint8Array(9) }, ENDPOINTS),
  makeTcp({ sourcePort: 1, destinationPort: 2, sequence: 3, flags: { syn: true } }, ENDPOINTS),
  makeDhcp({
    operation: "request",
    transaction: 5,
    clientMac: MAC,
    options: new Map([
      [DHCP_OPTION.messageType, numberOption(1, 1)],
      [DHCP_OPTION.overload, numberOption(3, 1)],
      [DHCP_OPTION.message, new Uint8Array(300)],
    ]),
  }),
  makeTftp({ kind: "read", file: "boot", mode: "octet", options: new Map([["blksize", "1468"]]) }),
];

test("random bytes are packets or none, and never throw", () => {
  const random = new SeededRandom(826);
  for (let i = 0; i < 20_000; i++) {
    const bytes = new Uint8Array(random.below(4) === 0 ? random.below(1600) : random.below(40));
    random.fill(bytes);
    parseAll(bytes);
  }
});

test("packets with some bytes changed, cut off or added are packets or none, and never throw", () => {
  const random = new SeededRandom(791);
  let packets = 0;
  for (let i = 0; i < 20_000; i++) {
    const valid = random.pick(VALID);
    const bytes = new Uint8Array(Math.max(0, valid.length + (random.below(3) === 0 ? random.below(40) - 20 : 0)));
    bytes.set(valid.subarray(0, bytes.length));
    for (let n = random.below(6); n > 0 && bytes.length > 0; n--) bytes[random.below(bytes.length)] = random.next();
    packets += parseAll(bytes);
  }
  assert.ok(packets > 10_000, `${packets}`);
});
