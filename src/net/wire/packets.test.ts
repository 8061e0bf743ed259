import assert from "node:assert/strict";
import { test } from "node:test";
import {
  formatIpv4Address,
  formatMacAddress,
  ipv4Address,
  isGroupMac,
  isSameMac,
  parseIpv4Address,
  parseMacAddress,
} from "./addresses.ts";
import { ARP_OPERATION, makeArp, parseArp } from "./arp.ts";
import { addWords, internetChecksum } from "./checksum.ts";
import { ETHER_TYPE, makeEthernet, parseEthernet } from "./ethernet.ts";
import { makeIcmp, parseIcmp, quotedPacket, UNREACHABLE } from "./icmp.ts";
import { IP_PROTOCOL, makeIpv4, parseIpv4 } from "./ipv4.ts";
import { makeTcp, parseTcp } from "./tcp.ts";
import { makeUdp, parseUdp } from "./udp.ts";

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"));
const hex = (data: Uint8Array) => Buffer.from(data).toString("hex");
const address = (text: string) => parseIpv4Address(text) ?? assert.fail(text);
const mac = (text: string) => parseMacAddress(text) ?? assert.fail(text);
const changed = (data: Uint8Array, at: number, value: number) => Object.assign(data.slice(), { [at]: value });

test("addresses are read as they are written, and other texts are none", () => {
  assert.equal(address("10.0.2.15"), 0x0a00_020f);
  assert.equal(address("255.255.255.255"), 0xffff_ffff);
  assert.equal(formatIpv4Address(ipv4Address(-2)), "255.255.255.254");
  for (const wrong of ["", "10.0.2", "10.0.2.256", "10.0.2.015", "10.0.2.1.1", "a.b.c.d", "1.2.3.-4", " 1.2.3.4"]) {
    assert.equal(parseIpv4Address(wrong), undefined, wrong);
  }
  assert.deepEqual([...mac("52:54:00:AB:cd:01")], [0x52, 0x54, 0, 0xab, 0xcd, 1]);
  assert.equal(formatMacAddress(mac("52-54-00-AB-cd-01")), "52:54:00:ab:cd:01");
  for (const wrong of ["", "52:54:00:ab:cd", "52:54:00:ab:cd:1", "52:54:00-ab:cd:01", "52:54:00:ab:cd:01:02"]) {
    assert.equal(parseMacAddress(wrong), undefined, wrong);
  }
  assert.ok(isGroupMac(mac("01:00:5e:00:00:01")) && !isGroupMac(mac("52:54:00:00:00:01")));
  assert.ok(!isSameMac(mac("52:54:00:00:00:01"), mac("52:54:00:00:00:02")));
});

test("checksums are those of RFC 1071's example", () => {
  const example = bytes("0001 f203 f4f5 f6f7");
  assert.equal(addWords(example), 0x2ddf0);
  assert.equal(internetChecksum(example), 0x220d);
  assert.equal(internetChecksum(Uint8Array.of(0x12)), 0xedff);
  assert.equal(internetChecksum(new Uint8Array(1480).fill(0xff)), 0);
});

test("a frame is padded to 60 bytes, and one that is too short, too long or of another kind is none", () => {
  const frame = makeEthernet({
    destination: mac("ff:ff:ff:ff:ff:ff"),
    source: mac("52:54:00:12:34:56"),
    type: ETHER_TYPE.arp,
    payload: Uint8Array.of(1, 2, 3),
  });
  assert.equal(hex(frame), `ffffffffffff5254001234560806010203${"00".repeat(43)}`);
  const parsed = parseEthernet(frame) ?? assert.fail();
  assert.equal(formatMacAddress(parsed.source), "52:54:00:12:34:56");
  assert.equal(parsed.payload.length, 46);
  assert.equal(parsed.payload.buffer, frame.buffer);
  assert.equal(parseEthernet(frame.subarray(0, 13)), undefined);
  assert.equal(parseEthernet(new Uint8Array(1515).fill(0xff)), undefined);
  assert.equal(parseEthernet(changed(frame, 12, 0x05)), undefined);
  assert.throws(() => makeEthernet({ ...parsed, payload: new Uint8Array(1501) }), RangeError);
});

test("an ARP request lies as RFC 826 says", () => {
  const request = bytes("0001 0800 06 04 0001 525400123456 0a00020f 000000000000 0a000202");
  const fields = {
    operation: ARP_OPERATION.request,
    senderMac: mac("52:54:00:12:34:56"),
    senderIp: address("10.0.2.15"),
    targetMac: new Uint8Array(6),
    targetIp: address("10.0.2.2"),
  };
  assert.deepEqual(parseArp(request), fields);
  assert.equal(hex(makeArp(fields)), hex(request));
  for (const at of [1, 3, 4, 5]) assert.equal(parseArp(changed(request, at, 0x55)), undefined);
  assert.equal(parseArp(request.subarray(0, 27)), undefined);
});

test("an IPv4 header is taken if version, lengths and checksum are right", () => {
  // 115 bytes of UDP from 192.168.0.1 to 192.168.0.199, the example of Wikipedia's "IPv4 header checksum".
  const header = bytes("4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7");
  const payload = new Uint8Array(95).fill(7);
  const packet = Uint8Array.from([...header, ...payload]);
  const parsed = parseIpv4(Uint8Array.from([...packet, 0, 0])) ?? assert.fail();
  assert.equal(formatIpv4Address(parsed.destination), "192.168.0.199");
  assert.equal(parsed.protocol, IP_PROTOCOL.udp);
  assert.equal(parsed.dontFragment, true);
  assert.equal(parsed.timeToLive, 64);
  assert.deepEqual(parsed.payload, payload);
  assert.equal(parsed.bytes.length, 115);
  assert.equal(hex(makeIpv4(parsed)), hex(packet));
  for (let at = 0; at < 20; at++) assert.equal(parseIpv4(changed(packet, at, 0x5a)), undefined, `byte ${at}`);
  assert.equal(parseIpv4(packet.subarray(0, 114)), undefined);
  assert.equal(parseIpv4(packet.subarray(0, 19)), undefined);
});

/** A header of 20 bytes or more, with its checksum put in. */
function headed(text: string): Uint8Array {
  const header = bytes(text);
  const checksum = internetChecksum(header);
  return Object.assign(header, { 10: checksum >> 8, 11: checksum & 0xff });
}

test("options and fragments are told apart", () => {
  const options = parseIpv4(headed("4600 0018 1234 2003 4001 0000 0a000001 0a000002 94040000")) ?? assert.fail();
  assert.equal(hex(options.options), "94040000");
  assert.equal(options.payload.length, 0);
  assert.equal(options.moreFragments, true);
  assert.equal(options.fragmentOffset, 24);
  assert.equal(options.identification, 0x1234);
  // Right checksums, but a header of less than five words, one that is longer than the packet, a version that is not 4.
  assert.equal(parseIpv4(headed("4400 0014 0000 0000 4001 0000 0a000001 0a000002")), undefined);
  assert.equal(parseIpv4(headed("4600 0014 0000 0000 4001 0000 0a000001 0a000002 94040000")), undefined);
  assert.equal(parseIpv4(headed("6500 0014 0000 0000 4001 0000 0a000001 0a000002")), undefined);
});

test("an echo request is that of a common ping program", () => {
  // Windows' ping: identifier 1, sequence 1, 32 letters.
  const request = bytes(`0800 4d5a 0001 0001 ${Buffer.from("abcdefghijklmnopqrstuvwabcdefghi").toString("hex")}`);
  const parsed = parseIcmp(request);
  assert.ok(parsed?.kind === "echo-request");
  assert.equal(parsed.sequence, 1);
  assert.equal(hex(makeIcmp(parsed)), hex(request));
  // The reply's type is 8 less in the upper half of the first word, its checksum 0x800 more.
  assert.equal(hex(makeIcmp({ ...parsed, kind: "echo-reply" })).slice(0, 16), "0000555a00010001");
  assert.equal(parseIcmp(changed(request, 9, 0)), undefined);
  assert.equal(parseIcmp(request.subarray(0, 7)), undefined);
});

test("that a port is unreachable is told with the packet's header and eight bytes", () => {
  const packet = parseIpv4(
    makeIpv4({
      source: address("10.0.2.15"),
      destination: address("10.0.2.2"),
      protocol: IP_PROTOCOL.udp,
      payload: new Uint8Array(100).fill(9),
    }),
  );
  assert.ok(packet);
  const original = quotedPacket(packet);
  const message = makeIcmp({ kind: "unreachable", code: UNREACHABLE.port, mtu: 0, original });
  assert.equal(hex(message.subarray(0, 2)), "0303");
  assert.equal(message.length, 8 + 28);
  assert.deepEqual(parseIcmp(message), { kind: "unreachable", code: 3, mtu: 0, original });
});

test("a datagram's checksum covers its addresses, and 0 says that there is none", () => {
  const endpoints = { source: address("10.0.0.1"), destination: address("10.0.0.2") };
  const words = [0x0a00, 0x0001, 0x0a00, 0x0002, 0x0011, 0x000b, 0x0400, 0x0045, 0x000b, 0x6162, 0x6300];
  const sum = words.reduce((total, word) => total + word);
  assert.equal(sum, 0xdcd1);
  const datagram = bytes(`0400 0045 000b ${(0xffff - sum).toString(16)} 616263`);
  assert.equal(
    hex(makeUdp({ sourcePort: 1024, destinationPort: 69, payload: bytes("616263") }, endpoints)),
    hex(datagram),
  );
  const parsed = parseUdp(Uint8Array.from([...datagram, 0, 0]), endpoints) ?? assert.fail();
  assert.deepEqual(parsed, { sourcePort: 1024, destinationPort: 69, payload: bytes("616263") });
  assert.equal(parseUdp(datagram, { ...endpoints, source: address("10.0.0.3") }), undefined);
  assert.ok(parseUdp(Object.assign(datagram.slice(), { 6: 0, 7: 0 }), { ...endpoints, source: address("1.2.3.4") }));
  assert.equal(parseUdp(changed(datagram, 5, 12), endpoints), undefined);
  assert.equal(parseUdp(changed(datagram, 5, 7), endpoints), undefined);
});

test("a datagram whose checksum comes out as 0 has ffff there", () => {
  const endpoints = { source: address("0.0.0.0"), destination: address("0.0.0.0") };
  // 0011 + 000a + 000a + ffda is ffff.
  const datagram = makeUdp({ sourcePort: 0, destinationPort: 0, payload: bytes("ffda") }, endpoints);
  assert.equal(hex(datagram), "00000000000affffffda");
  assert.ok(parseUdp(datagram, endpoints));
});

test("a TCP segment has its flags, options and checksum", () => {
  const endpoints = { source: address("10.0.0.1"), destination: address("10.0.0.2") };
  const words = [0x0a00, 0x0001, 0x0a00, 0x0002, 0x0006, 0x0018].concat([
    0x8000, 0x0050, 0x1234, 0x5678, 0x0000, 0x0000, 0x6002, 0xfaf0, 0x0000, 0x0204, 0x05b4,
  ]);
  let sum = words.reduce((total, word) => total + word);
  sum = (sum & 0xffff) + (sum >> 16);
  const segment = bytes(
    `8000 0050 12345678 00000000 6002 faf0 ${(0xffff - sum).toString(16).padStart(4, "0")} 0000 020405b4`,
  );
  const parsed = parseTcp(segment, endpoints) ?? assert.fail();
  assert.deepEqual(parsed.flags, { fin: false, syn: true, rst: false, psh: false, ack: false, urg: false });
  assert.equal(parsed.sequence, 0x1234_5678);
  assert.equal(hex(parsed.options), "020405b4");
  assert.equal(hex(makeTcp(parsed, endpoints)), hex(segment));
  assert.equal(parseTcp(changed(segment, 12, 0x40), endpoints), undefined);
  assert.equal(parseTcp(changed(segment, 12, 0x70), endpoints), undefined);
  assert.equal(parseTcp(changed(segment, 20, 3), endpoints), undefined);
  assert.throws(() => makeTcp({ ...parsed, options: new Uint8Array(3) }, endpoints), RangeError);
});
