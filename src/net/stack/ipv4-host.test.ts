import assert from "node:assert/strict";
import { test } from "node:test";
import {
  bytes,
  FakeGuest,
  hex,
  ip,
  mac,
  networkRig,
  SERVER,
  SERVER_MAC,
  stationOf,
} from "../testing/node/network-rig.ts";
import { formatIpv4Address, formatMacAddress } from "../wire/addresses.ts";
import { ARP_OPERATION, makeArp, parseArp } from "../wire/arp.ts";
import { ETHER_TYPE } from "../wire/ethernet.ts";
import { makeIcmp, parseIcmp } from "../wire/icmp.ts";
import { IP_PROTOCOL, makeIpv4, parseIpv4 } from "../wire/ipv4.ts";
import { makeTcp, parseTcp, type TcpFields } from "../wire/tcp.ts";
import { makeUdp } from "../wire/udp.ts";
import { Ipv4Host } from "./ipv4-host.ts";
import { MOST_NEIGHBOURS, Neighbours } from "./neighbours.ts";
import { parseSubnet } from "./subnet.ts";
import { VirtualNetwork } from "./virtual-network.ts";

const BROADCAST = mac("ff:ff:ff:ff:ff:ff");
const arpRequest = (senderIp: string, targetIp: string) =>
  makeArp({
    operation: ARP_OPERATION.request,
    senderMac: mac("52:54:00:12:34:56"),
    senderIp: ip(senderIp),
    targetMac: new Uint8Array(6),
    targetIp: ip(targetIp),
  });
const echo = (length = 56) =>
  makeIcmp({ kind: "echo-request", identifier: 7, sequence: 3, data: new Uint8Array(length).fill(0x61) });

test("a guest that asks for 10.0.2.2 is told the address that QEMU's user network has", async () => {
  const { guest, settle } = networkRig();
  guest.sendFrame(ETHER_TYPE.arp, arpRequest("10.0.2.15", "10.0.2.2"), BROADCAST);
  assert.equal(guest.frames.length, 0);
  await settle();
  const [reply, ...rest] = guest.take();
  assert.ok(reply);
  assert.equal(rest.length, 0);
  assert.equal(formatMacAddress(reply.destination), "52:54:00:12:34:56");
  assert.equal(
    hex(reply.payload.subarray(0, 28)),
    "0001080006040002" + "52550a000202" + "0a000202" + "525400123456" + "0a00020f",
  );
});

test("a guest that looks whether an address is free is told of the host's own only", async () => {
  const { guest, settle } = networkRig();
  for (const target of ["10.0.2.15", "10.0.2.3", "10.0.2.255"]) {
    guest.sendFrame(ETHER_TYPE.arp, arpRequest("0.0.0.0", target), BROADCAST);
  }
  await settle();
  assert.equal(guest.frames.length, 0);
  guest.sendFrame(ETHER_TYPE.arp, arpRequest("0.0.0.0", "10.0.2.2"), BROADCAST);
  await settle();
  assert.equal(parseArp(guest.take()[0]?.payload ?? assert.fail())?.senderIp, SERVER);
});

test("a ping of the host is answered, whatever its length", async () => {
  const { guest, settle } = networkRig();
  for (const length of [0, 56, 1472]) {
    guest.sendPacket(IP_PROTOCOL.icmp, echo(length));
    await settle();
    const [packet] = guest.takePackets();
    assert.ok(packet);
    assert.equal(formatIpv4Address(packet.source), "10.0.2.2");
    const reply = parseIcmp(packet.payload);
    assert.ok(reply?.kind === "echo-reply");
    assert.deepEqual([reply.identifier, reply.sequence, reply.data.length], [7, 3, length]);
  }
});

test("what is not for the host is not answered", async () => {
  const { guest, settle } = networkRig();
  const packet = (source: string, destination: string) =>
    makeIpv4({ source: ip(source), destination: ip(destination), protocol: IP_PROTOCOL.icmp, payload: echo() });
  guest.sendFrame(ETHER_TYPE.ipv4, packet("10.0.2.15", "10.0.2.2"), mac("52:54:00:00:00:01"));
  guest.sendFrame(ETHER_TYPE.ipv4, packet("10.0.2.15", "10.0.2.255"), BROADCAST);
  guest.sendFrame(ETHER_TYPE.ipv4, packet("10.0.2.15", "10.0.2.16"));
  guest.sendFrame(ETHER_TYPE.ipv4, packet("192.168.0.1", "10.0.2.2"));
  guest.sendFrame(ETHER_TYPE.ipv4, packet("10.0.2.2", "10.0.2.2"));
  guest.sendFrame(ETHER_TYPE.ipv4, packet("10.0.2.255", "10.0.2.2"));
  guest.sendFrame(ETHER_TYPE.ipv4, packet("0.0.0.0", "10.0.2.2"));
  guest.sendFrame(0x86dd, new Uint8Array(40), BROADCAST);
  guest.mac = mac("01:00:5e:00:00:01");
  guest.sendFrame(ETHER_TYPE.ipv4, packet("10.0.2.15", "10.0.2.2"));
  await settle();
  assert.equal(guest.frames.length, 0);
});

test("fragments are dropped", async () => {
  const { guest, settle } = networkRig();
  const packet = makeIpv4({
    source: ip("10.0.2.15"),
    destination: SERVER,
    protocol: IP_PROTOCOL.icmp,
    payload: echo(),
  });
  // The flag "more fragments" in the one, an offset of 8 bytes in the other, with the checksum less by as much.
  for (const [high, low] of [
    [0x20, 0],
    [0, 1],
  ] as const) {
    const fragment = packet.slice();
    fragment[6] = high;
    fragment[7] = low;
    fragment[10] = (fragment[10] as number) - high;
    fragment[11] = (fragment[11] as number) - low;
    assert.ok(parseIpv4(fragment));
    guest.sendFrame(ETHER_TYPE.ipv4, fragment);
  }
  await settle();
  assert.equal(guest.frames.length, 0);
});

test("a datagram to a port where nobody listens comes back as unreachable, one to all does not", async () => {
  const { guest, settle } = networkRig();
  guest.sendDatagram(1000, 53, bytes("0102030405"));
  guest.broadcast(1000, 53, bytes("01"));
  await settle();
  const packets = guest.takePackets();
  assert.equal(packets.length, 1);
  const message = parseIcmp(packets[0]?.payload ?? assert.fail());
  assert.ok(message?.kind === "unreachable");
  assert.equal(message.code, 3);
  assert.equal(hex(message.original.subarray(20, 24)), "03e80035");
});

test("a protocol that the host has not is unreachable, and so is a network beyond", async () => {
  const { guest, settle } = networkRig();
  guest.sendPacket(132, new Uint8Array(12));
  guest.sendPacket(IP_PROTOCOL.icmp, echo(), ip("1.1.1.1"));
  await settle();
  assert.deepEqual(
    guest.takePackets().map(({ payload }) => hex(payload.subarray(0, 2))),
    ["0302", "0300"],
  );
});

test("no message tells that a message of trouble could not be delivered", async () => {
  const { guest, settle } = networkRig();
  const trouble = makeIcmp({ kind: "unreachable", code: 3, mtu: 0, original: new Uint8Array(28) });
  guest.sendPacket(IP_PROTOCOL.icmp, trouble, ip("1.1.1.1"));
  guest.sendPacket(IP_PROTOCOL.icmp, trouble);
  await settle();
  assert.equal(guest.frames.length, 0);
});

async function answerTo(fields: Pick<TcpFields, "sequence" | "acknowledgment" | "flags" | "payload">) {
  const { guest, settle } = networkRig();
  const endpoints = { source: guest.address, destination: SERVER };
  guest.sendPacket(IP_PROTOCOL.tcp, makeTcp({ sourcePort: 4000, destinationPort: 80, ...fields }, endpoints));
  await settle();
  const [packet] = guest.takePackets();
  return packet && (parseTcp(packet.payload, packet) ?? assert.fail("no segment"));
}

test("a connection to the host is refused", async () => {
  const reset = await answerTo({ sequence: 0xffff_ffff, flags: { syn: true } });
  assert.ok(reset?.flags.rst && reset.flags.ack);
  assert.deepEqual([reset.sourcePort, reset.destinationPort], [80, 4000]);
  assert.deepEqual([reset.sequence, reset.acknowledgment], [0, 0]);
});

test("a segment of a connection that is not there is answered by a reset where the sender expects one", async () => {
  const inside = await answerTo({
    sequence: 5,
    acknowledgment: 77,
    flags: { ack: true, psh: true },
    payload: bytes("61"),
  });
  assert.ok(inside?.flags.rst && !inside.flags.ack);
  assert.equal(inside.sequence, 77);
  const strange = await answerTo({ sequence: 5, flags: { fin: true }, payload: bytes("6162") });
  assert.equal(strange?.acknowledgment, 8);
  assert.equal(await answerTo({ sequence: 5, flags: { rst: true } }), undefined);
});

test("each of two guests gets the answers to its own address", async () => {
  const { guest, hub, settle } = networkRig();
  const other = new FakeGuest(hub);
  other.mac = mac("52:54:00:00:00:02");
  other.address = ip("10.0.2.16");
  guest.sendPacket(IP_PROTOCOL.icmp, echo());
  other.sendPacket(IP_PROTOCOL.icmp, echo());
  await settle();
  const destinations = guest.take().filter(({ source }) => hex(source) === hex(SERVER_MAC));
  assert.deepEqual(
    destinations.map(({ destination }) => formatMacAddress(destination)),
    ["52:54:00:12:34:56", "52:54:00:00:00:02"],
  );
});

test("the host remembers 256 neighbours, those that it heard last", () => {
  const neighbours = new Neighbours();
  for (let i = 0; i < 300; i++) {
    neighbours.learn(ip(`10.0.${i >> 8}.${i & 0xff}`), Uint8Array.of(2, 0, 0, 0, i >> 8, i));
    neighbours.learn(ip("10.1.0.0"), new Uint8Array(6));
  }
  assert.equal(neighbours.size, MOST_NEIGHBOURS);
  assert.ok(neighbours.find(ip("10.1.0.0")) && neighbours.find(ip("10.0.1.43")));
  assert.equal(neighbours.find(ip("10.0.0.1")), undefined);
});

test("a packet for a host beyond goes to the gateway that was put in", () => {
  const sent: Uint8Array[] = [];
  const subnet = parseSubnet("10.0.2.0/24") ?? assert.fail();
  const host = new Ipv4Host({ mac: SERVER_MAC, address: SERVER, subnet }, (frame) => void sent.push(frame));
  const forwarded: string[] = [];
  host.forwardTo(({ destination }) => void forwarded.push(formatIpv4Address(destination)));
  const { guest, hub } = networkRig();
  hub.connect(stationOf(host));
  const endpoints = { source: guest.address, destination: ip("1.1.1.1") };
  const datagram = makeUdp({ sourcePort: 1, destinationPort: 2, payload: bytes("00") }, endpoints);
  guest.sendPacket(IP_PROTOCOL.udp, datagram, endpoints.destination);
  assert.deepEqual(forwarded, ["1.1.1.1"]);
  assert.equal(sent.length, 0);
});

test("networks are written with their prefix, and have room for hosts", () => {
  assert.deepEqual(parseSubnet("192.168.100.128/26"), {
    network: ip("192.168.100.128"),
    mask: ip("255.255.255.192"),
    broadcast: ip("192.168.100.191"),
  });
  for (const wrong of ["10.0.2.0", "10.0.2.1/24", "10.0.2.0/30", "0.0.0.0/0", "10.0.2.0/33", "10.0.2/24", "x/24"]) {
    assert.equal(parseSubnet(wrong), undefined, wrong);
  }
});

test("a network that cannot be is refused with a reason", () => {
  const { time, hub } = networkRig();
  const wiring = { time, hub, work: { run: () => {} } };
  for (const config of [{ subnet: "10.0.2.2/24" }, { bootFile: "é".repeat(64) }, { domain: "" }, { domain: "a b" }]) {
    assert.throws(() => new VirtualNetwork(config, wiring), RangeError);
  }
  assert.equal(formatIpv4Address(new VirtualNetwork({ subnet: "192.168.7.0/29" }, wiring).address), "192.168.7.2");
});
