import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, type FakeGuest, hex, ip, mac, networkRig, SERVER, stationOf } from "../testing/node/network-rig.ts";
import { formatIpv4Address, formatMacAddress } from "../wire/addresses.ts";
import { DHCP_TYPE, type DhcpMessage, dhcpType, makeDhcp } from "../wire/dhcp.ts";
import {
  addressIn,
  addressOption,
  DHCP_OPTION,
  numberIn,
  numberOption,
  textIn,
  textOption,
} from "../wire/dhcp-options.ts";
import { IP_PROTOCOL } from "../wire/ipv4.ts";
import { makeUdp } from "../wire/udp.ts";
import { DhcpServer } from "./dhcp-server.ts";
import { Ipv4Host } from "./ipv4-host.ts";
import { Leases } from "./leases.ts";
import { parseSubnet } from "./subnet.ts";
import { UdpPorts } from "./udp-ports.ts";

const DAY = 86_400e9;
const type = (of: keyof typeof DHCP_TYPE): [number, Uint8Array] => [
  DHCP_OPTION.messageType,
  numberOption(DHCP_TYPE[of], 1),
];
const wanted = (address: string): [number, Uint8Array] => [DHCP_OPTION.requestedAddress, addressOption(ip(address))];
const server = (address: string): [number, Uint8Array] => [DHCP_OPTION.serverIdentifier, addressOption(ip(address))];
const options = (...list: [number, Uint8Array][]) => ({ options: new Map(list) });
const told = (message: DhcpMessage) => [
  Object.entries(DHCP_TYPE).find(([, number]) => number === dhcpType(message))?.[0],
  formatIpv4Address(message.yourAddress),
];

function rig(config = {}) {
  const network = networkRig(config);
  const { guest, settle } = network;
  return {
    ...network,
    /** Type and address of the one answer, or nothing. */
    ask: async (fields: Parameters<FakeGuest["sendDhcp"]>[0]) => {
      guest.sendDhcp(fields);
      await settle();
      const answers = guest.takeDhcp();
      assert.ok(answers.length <= 1);
      return answers[0] && told(answers[0]);
    },
  };
}

test("a guest gets the first address of the pool, for a day, and no router nor name server", async () => {
  const { guest, settle, network } = rig();
  guest.sendDhcp(options(type("discover")));
  await settle();
  const [frame] = guest.take();
  assert.equal(formatMacAddress(frame?.destination ?? assert.fail()), "52:54:00:12:34:56");
  guest.sendDhcp(options(type("discover")));
  await settle();
  const [datagram] = guest.takeDatagrams();
  assert.ok(datagram);
  assert.deepEqual([datagram.sourcePort, datagram.destinationPort], [67, 68]);
  assert.deepEqual([datagram.packet.source, datagram.packet.destination], [SERVER, ip("10.0.2.15")]);
  guest.sendDhcp(options(type("request"), wanted("10.0.2.15"), server("10.0.2.2")));
  await settle();
  const [ack] = guest.takeDhcp();
  assert.ok(ack);
  assert.deepEqual(told(ack), ["ack", "10.0.2.15"]);
  assert.equal(ack.transaction, 0x1234_5678);
  assert.equal(ack.bootFile, "");
  assert.deepEqual([...ack.options.keys()], [53, 54, 51, 58, 59, 1, 28]);
  const value = (code: number) => ack.options.get(code);
  assert.equal(formatIpv4Address(addressIn(value(DHCP_OPTION.subnetMask)) ?? assert.fail()), "255.255.255.0");
  assert.equal(formatIpv4Address(addressIn(value(DHCP_OPTION.broadcastAddress)) ?? assert.fail()), "10.0.2.255");
  assert.deepEqual(
    [51, 58, 59].map((code) => numberIn(value(code))),
    [86400, 43200, 75600],
  );
  assert.equal(network.state.leases.length, 1);
});

test("a guest that cannot hear its own address yet is answered at all stations", async () => {
  const { guest, settle } = rig();
  guest.sendDhcp({ ...options(type("discover")), broadcast: true });
  await settle();
  const frame = guest.take()[0] ?? assert.fail();
  assert.equal(hex(frame.destination), "ffffffffffff");
  assert.equal(hex(frame.payload.subarray(16, 20)), "ffffffff");
});

test("a guest keeps its address, another gets another", async () => {
  const { ask, guest } = rig();
  assert.deepEqual(await ask(options(type("discover"))), ["offer", "10.0.2.15"]);
  assert.deepEqual(await ask(options(type("request"), wanted("10.0.2.15"), server("10.0.2.2"))), ["ack", "10.0.2.15"]);
  guest.mac = mac("52:54:00:00:00:02");
  assert.deepEqual(await ask(options(type("discover"), wanted("10.0.2.15"))), ["offer", "10.0.2.16"]);
  guest.mac = mac("52:54:00:00:00:03");
  assert.deepEqual(await ask(options(type("discover"), wanted("10.0.2.99"))), ["offer", "10.0.2.99"]);
  assert.deepEqual(await ask(options(type("discover"), wanted("10.0.2.2"))), ["offer", "10.0.2.99"]);
  guest.mac = mac("52:54:00:12:34:56");
  assert.deepEqual(await ask(options(type("discover"), wanted("10.0.2.50"))), ["offer", "10.0.2.15"]);
});

test("a guest that comes with an address gets it if it is free, and is refused if it is not", async () => {
  const { ask, guest } = rig();
  assert.deepEqual(await ask(options(type("request"), wanted("10.0.2.20"))), ["ack", "10.0.2.20"]);
  assert.deepEqual(await ask(options(type("request"), wanted("10.0.2.21"))), ["nak", "0.0.0.0"]);
  guest.mac = mac("52:54:00:00:00:02");
  assert.deepEqual(await ask(options(type("request"), wanted("10.0.2.20"))), ["nak", "0.0.0.0"]);
  for (const wrong of ["192.168.1.5", "10.0.2.2", "10.0.2.255", "10.0.2.14"]) {
    assert.deepEqual(await ask(options(type("request"), wanted(wrong))), ["nak", "0.0.0.0"], wrong);
  }
  assert.equal(await ask(options(type("request"))), undefined);
});

test("a refusal goes to all stations and says who refuses", async () => {
  const { guest, settle } = rig({ bootFile: "boot" });
  guest.sendDhcp(options(type("request"), wanted("192.168.1.5")));
  await settle();
  const [datagram] = guest.takeDatagrams();
  assert.equal(datagram?.packet.destination, ip("255.255.255.255"));
  guest.sendDhcp(options(type("request"), wanted("192.168.1.5")));
  await settle();
  const [nak] = guest.takeDhcp();
  assert.ok(nak);
  assert.deepEqual([nak.serverAddress, nak.bootFile], [0, ""]);
  assert.deepEqual([...nak.options.keys()], [53, 54]);
});

test("a lease is renewed from the address itself, and runs out after a day", async () => {
  const { ask, guest, time, network } = rig();
  await ask(options(type("request"), wanted("10.0.2.15")));
  time.advance(DAY / 2);
  const renewal = { ...options(type("request")), clientAddress: ip("10.0.2.15") };
  assert.deepEqual(await ask(renewal), ["ack", "10.0.2.15"]);
  guest.mac = mac("52:54:00:00:00:02");
  const other = options(type("request"), wanted("10.0.2.15"));
  time.advance(0.9 * DAY);
  assert.deepEqual(await ask(other), ["nak", "0.0.0.0"]);
  time.advance(0.2 * DAY);
  assert.deepEqual(await ask(other), ["ack", "10.0.2.15"]);
  assert.equal(network.state.leases.length, 1);
});

test("an address that was given back is free, but first its guest's again", async () => {
  const { ask, guest } = rig({ subnet: "10.0.2.0/29" });
  await ask(options(type("request"), wanted("10.0.2.3")));
  assert.equal(
    await ask({ ...options(type("release"), server("10.0.2.2")), clientAddress: ip("10.0.2.3") }),
    undefined,
  );
  guest.mac = mac("52:54:00:00:00:02");
  assert.deepEqual(await ask(options(type("discover"))), ["offer", "10.0.2.4"]);
  guest.mac = mac("52:54:00:12:34:56");
  assert.deepEqual(await ask(options(type("discover"))), ["offer", "10.0.2.3"]);
});

test("when all addresses are taken, there is none until an offer runs out", async () => {
  const { ask, guest, time, network } = rig({ subnet: "10.0.2.0/29" });
  const offers: unknown[] = [];
  for (let i = 0; i < 5; i++) {
    guest.mac = Uint8Array.of(2, 0, 0, 0, 0, i);
    offers.push((await ask(options(type("discover"))))?.[1]);
    time.advance(1e9);
  }
  assert.deepEqual(offers, ["10.0.2.3", "10.0.2.4", "10.0.2.5", "10.0.2.6", undefined]);
  time.advance(60e9);
  assert.deepEqual(await ask(options(type("discover"))), ["offer", "10.0.2.3"]);
  assert.equal(network.state.leases.length, 4);
});

test("an address that the guest found in use is not given again for a while", async () => {
  const { ask, guest, time } = rig();
  await ask(options(type("request"), wanted("10.0.2.15")));
  assert.equal(await ask(options(type("decline"), wanted("10.0.2.15"), server("10.0.2.2"))), undefined);
  assert.deepEqual(await ask(options(type("discover"), wanted("10.0.2.15"))), ["offer", "10.0.2.16"]);
  guest.mac = mac("52:54:00:00:00:02");
  time.advance(590e9);
  assert.deepEqual(await ask(options(type("request"), wanted("10.0.2.15"))), ["nak", "0.0.0.0"]);
  time.advance(10e9);
  assert.deepEqual(await ask(options(type("request"), wanted("10.0.2.15"))), ["ack", "10.0.2.15"]);
});

test("a guest that takes another server's offer frees the address", async () => {
  const { ask, guest } = rig();
  await ask(options(type("discover")));
  assert.equal(await ask(options(type("request"), wanted("10.0.9.9"), server("10.0.9.1"))), undefined);
  guest.mac = mac("52:54:00:00:00:02");
  assert.deepEqual(await ask(options(type("request"), wanted("10.0.2.15"))), ["ack", "10.0.2.15"]);
});

test("a guest with an address of its own is told the rest, without a lease", async () => {
  const { guest, settle, network } = rig({ domain: "lan" });
  guest.sendDhcp({ ...options(type("inform")), clientAddress: ip("10.0.2.200") });
  guest.sendDhcp(options(type("inform")));
  await settle();
  const [ack, ...rest] = guest.takeDhcp();
  assert.ok(ack);
  assert.equal(rest.length, 0);
  assert.deepEqual(told(ack), ["ack", "0.0.0.0"]);
  assert.deepEqual([...ack.options.keys()], [53, 54, 1, 28, 15]);
  assert.equal(textIn(ack.options.get(DHCP_OPTION.domainName)), "lan");
  assert.equal(network.state.leases.length, 0);
});

test("a guest that speaks BOOTP gets an address for good, and the boot file", async () => {
  const { guest, settle, time, ask } = rig({ bootFile: "boot.0" });
  guest.sendDhcp(options());
  await settle();
  const [reply] = guest.takeDhcp();
  assert.ok(reply);
  assert.deepEqual(told(reply), [undefined, "10.0.2.15"]);
  assert.deepEqual([reply.bootFile, reply.serverAddress], ["boot.0", SERVER]);
  assert.deepEqual([...reply.options.keys()], [1, 28]);
  time.advance(30 * DAY);
  guest.mac = mac("52:54:00:00:00:02");
  assert.deepEqual(await ask(options(type("request"), wanted("10.0.2.15"))), ["nak", "0.0.0.0"]);
  assert.equal(await ask({ ...options(), serverName: "another" }), undefined);
});

test("what a relay passes on, replies and messages of no known type are ignored", async () => {
  const { ask, guest } = rig();
  assert.equal(await ask({ ...options(type("discover")), relayAddress: ip("10.0.2.9") }), undefined);
  assert.equal(await ask({ ...options(type("discover")), operation: "reply" }), undefined);
  assert.equal(await ask(options([DHCP_OPTION.messageType, numberOption(99, 1)])), undefined);
  assert.equal(await ask(options([DHCP_OPTION.messageType, bytes("010203")])), undefined);
  guest.mac = mac("52:54:00:12:34:56");
  assert.equal(await ask({ ...options(type("discover")), clientMac: mac("ff:ff:ff:ff:ff:ff") }), undefined);
});

/** The first message of iPXE's, as an e1000 sent it on QEMU's user network; the machine's identifier was put in. */
const IPXE_DISCOVER = `
  01010600 0f9ac8df 00040000 00000000 00000000 00000000 00000000 525400123456 00000000000000000000 ${"00".repeat(192)}
  63825363 350101 390205c0 5d020000 5e03010201 3c20${Buffer.from("PXEClient:Arch:00000:UNDI:002001").toString("hex")}
  4d0469505845 3717010306070c0f111a2b3c42437780818283848586 87afcb
  af30b10501808610 0eeb030100001701012201011301011101012701011901012901011001022101011501011801011201 01
  3d0701525400123456 611100 00112233445566778899aabbccddeeff ff`;

test("a PXE client is told the boot file in all the ways that such clients look for it", async () => {
  const { guest, settle } = rig({ bootFile: "pxe/boot.0" });
  guest.broadcast(68, 67, bytes(IPXE_DISCOVER));
  await settle();
  const [offer] = guest.takeDhcp();
  assert.ok(offer);
  assert.deepEqual(told(offer), ["offer", "10.0.2.15"]);
  assert.deepEqual([offer.bootFile, offer.serverAddress], ["pxe/boot.0", SERVER]);
  const text = (code: number) => textIn(offer.options.get(code));
  assert.equal(text(DHCP_OPTION.serverName), "10.0.2.2");
  assert.equal(text(DHCP_OPTION.bootFile), "pxe/boot.0");
  assert.equal(text(DHCP_OPTION.vendorClass), "PXEClient");
  assert.equal(hex(offer.options.get(DHCP_OPTION.vendorSpecific) ?? assert.fail()), "060108ff");
  assert.equal(
    hex(offer.options.get(DHCP_OPTION.clientMachine) ?? assert.fail()),
    "0000112233445566778899aabbccddeeff",
  );
  assert.equal(hex(offer.options.get(DHCP_OPTION.clientIdentifier) ?? assert.fail()), "01525400123456");
});

test("without a boot file, a PXE client gets an address and nothing of PXE", async () => {
  const { guest, settle } = rig();
  guest.broadcast(68, 67, bytes(IPXE_DISCOVER));
  await settle();
  const [offer] = guest.takeDhcp();
  assert.deepEqual([...(offer?.options.keys() ?? [])], [53, 54, 51, 58, 59, 1, 28, 61]);
});

test("another client is told the boot file in options only where it asks for them", async () => {
  const { guest, settle } = rig({ bootFile: "boot.0" });
  const list = (...codes: number[]): [number, Uint8Array] => [DHCP_OPTION.parameterRequestList, Uint8Array.from(codes)];
  guest.sendDhcp(options(type("discover"), list(1, 67)));
  guest.sendDhcp(options(type("discover"), list(1)));
  await settle();
  const [asked, notAsked] = guest.takeDhcp();
  assert.equal(textIn(asked?.options.get(DHCP_OPTION.bootFile)), "boot.0");
  assert.equal(asked?.options.has(DHCP_OPTION.serverName), false);
  assert.equal(notAsked?.options.has(DHCP_OPTION.bootFile), false);
  assert.equal(notAsked?.bootFile, "boot.0");
});

test("an option is sent back only as long as an answer fits a frame", async () => {
  const { guest, settle } = rig({ bootFile: "b".repeat(127), domain: "d".repeat(63) });
  const machine = (length: number): [number, Uint8Array] => [DHCP_OPTION.clientMachine, new Uint8Array(length)];
  const identifier = (length: number): [number, Uint8Array] => [DHCP_OPTION.clientIdentifier, new Uint8Array(length)];
  const pxe: [number, Uint8Array] = [DHCP_OPTION.vendorClass, textOption("PXEClient")];
  guest.sendDhcp(options(type("discover"), pxe, machine(255), identifier(255)));
  guest.sendDhcp(options(type("discover"), pxe, machine(256), identifier(600)));
  await settle();
  const [long, tooLong] = guest.takeDhcp();
  assert.deepEqual([long?.options.get(97)?.length, long?.options.get(61)?.length], [255, 255]);
  assert.deepEqual([tooLong?.options.get(97), tooLong?.options.get(61)], [undefined, undefined]);
});

test("a network with a way out tells its routers and name servers", () => {
  const { time } = networkRig();
  const subnet = parseSubnet("10.0.2.0/24") ?? assert.fail();
  const sent: Uint8Array[] = [];
  const host = new Ipv4Host({ mac: new Uint8Array(6), address: SERVER, subnet }, (frame) => void sent.push(frame));
  const leases = new Leases({ leases: [] }, { first: ip("10.0.2.15"), last: ip("10.0.2.254") }, time);
  const config = { address: SERVER, subnet, routers: [SERVER], nameServers: [ip("10.0.2.3"), ip("10.0.2.4")] };
  new DhcpServer(config, { udp: new UdpPorts(host), leases });
  const { guest, hub } = networkRig();
  hub.connect(stationOf(host));
  guest.sendDhcp(options(type("discover")));
  assert.equal(sent.length, 1);
  const text = hex(sent[0] ?? assert.fail());
  assert.ok(text.includes("03040a000202" + "06080a0002030a000204"));
});

test("a server that goes on from a snapshot knows its leases", async () => {
  const saved = rig();
  await saved.ask(options(type("request"), wanted("10.0.2.15")));
  const { ask, guest, network } = rig();
  Object.assign(network.state, structuredClone(saved.network.state));
  guest.mac = mac("52:54:00:00:00:02");
  assert.deepEqual(await ask(options(type("discover"))), ["offer", "10.0.2.16"]);
});

test("a message to the server's own address is answered as one to all is", async () => {
  const { guest, settle } = rig();
  guest.sendDhcp(options(type("request"), wanted("10.0.2.15")));
  await settle();
  guest.take();
  const endpoints = { source: guest.address, destination: SERVER };
  const renewal = makeDhcp({
    operation: "request",
    transaction: 1,
    clientMac: guest.mac,
    clientAddress: guest.address,
    ...options(type("request")),
  });
  guest.sendPacket(IP_PROTOCOL.udp, makeUdp({ sourcePort: 68, destinationPort: 67, payload: renewal }, endpoints));
  await settle();
  assert.deepEqual(guest.takeDhcp().map(told), [["ack", "10.0.2.15"]]);
});
