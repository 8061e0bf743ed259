import assert from "node:assert/strict";
import { test } from "node:test";
import { UNSPECIFIED_IPV4 } from "../../../net/wire/addresses.ts";
import { ARP_OPERATION, makeArp, parseArp } from "../../../net/wire/arp.ts";
import { ETHER_TYPE, makeEthernet, parseEthernet } from "../../../net/wire/ethernet.ts";
import { makeIpv4 } from "../../../net/wire/ipv4.ts";
import { makeUdp } from "../../../net/wire/udp.ts";
import { SECOND } from "./operation.ts";
import { ip, mac, networkRig, OWN_IP, OWN_MAC, PEER_IP, PEER_MAC } from "./testing/rig.ts";

const PAYLOAD = Uint8Array.of(1, 2, 3);
const SEND = { destinationPort: 7, sourcePort: 9, payload: PAYLOAD };

test("a datagram goes to its destination after one question who that is", () => {
  const { run, configure, peer, stack } = networkRig();
  configure();
  for (let i = 0; i < 2; i++) assert.equal(run(stack.udp.send({ ...SEND, destination: PEER_IP })).result, true);
  const types = peer.frames.map((frame) => parseEthernet(frame)?.type);
  assert.deepEqual(types, [ETHER_TYPE.arp, ETHER_TYPE.ipv4, ETHER_TYPE.ipv4]);
  assert.deepEqual(parseEthernet(peer.frames[1] as Uint8Array)?.destination, PEER_MAC);
  assert.deepEqual(peer.datagrams[0]?.payload, PAYLOAD);
  assert.equal(peer.datagrams[0]?.source, OWN_IP);
});

test("a datagram for another network goes to the gateway, and there is no way without one", () => {
  const { run, configure, peer, stack } = networkRig();
  configure();
  const destination = ip("198.51.100.1");
  assert.equal(run(stack.udp.send({ ...SEND, destination })).result, true);
  assert.equal(peer.datagrams[0]?.destination, destination);
  stack.ip.configure(OWN_IP, ip("255.255.255.0"), UNSPECIFIED_IPV4);
  assert.equal(run(stack.udp.send({ ...SEND, destination })).result, false);
  // A program may know one.
  assert.equal(run(stack.udp.send({ ...SEND, destination, gateway: PEER_IP })).result, true);
});

test("who does not answer is asked for four times in four seconds", () => {
  const { run, configure, peer, stack } = networkRig();
  configure();
  peer.answersArp = false;
  assert.deepEqual(run(stack.udp.send({ ...SEND, destination: PEER_IP })), { result: false, at: 4 * SECOND });
  assert.equal(peer.frames.length, 4);
});

test("the BIOS tells others where its address is", () => {
  const { configure, peer, time } = networkRig();
  const ask = (targetIp: number) => {
    const question = { operation: ARP_OPERATION.request, senderMac: PEER_MAC, senderIp: PEER_IP };
    const payload = makeArp({ ...question, targetMac: new Uint8Array(6), targetIp: targetIp as typeof OWN_IP });
    peer.sendFrame(
      makeEthernet({ destination: mac("ff:ff:ff:ff:ff:ff"), source: PEER_MAC, type: ETHER_TYPE.arp, payload }),
    );
    time.advance(1e6);
    return peer.frames.splice(0).map((frame) => parseArp(parseEthernet(frame)?.payload as Uint8Array));
  };
  assert.deepEqual(ask(OWN_IP), []);
  configure();
  assert.deepEqual(ask(ip("192.0.2.11")), []);
  const [answer] = ask(OWN_IP);
  assert.deepEqual([answer?.operation, answer?.senderIp, answer?.targetIp], [ARP_OPERATION.reply, OWN_IP, PEER_IP]);
  assert.deepEqual(answer?.senderMac, OWN_MAC);
});

test("packets for others, fragments and damaged packets are not taken", () => {
  const { configure, peer, time, stack } = networkRig();
  configure();
  stack.udp.open(7);
  const waiting = () => stack.udp.state.open[0]?.waiting.length;
  const packet = (change: (bytes: Uint8Array) => void, destination = OWN_IP) => {
    const payload = makeUdp({ sourcePort: 9, destinationPort: 7, payload: PAYLOAD }, { source: PEER_IP, destination });
    const bytes = makeIpv4({ source: PEER_IP, destination, protocol: 17, payload });
    change(bytes);
    peer.sendFrame(makeEthernet({ destination: OWN_MAC, source: PEER_MAC, type: ETHER_TYPE.ipv4, payload: bytes }));
    time.advance(1e6);
  };
  packet(() => {}, ip("192.0.2.11"));
  // More fragments, with the checksum made right again.
  packet((bytes) => {
    bytes[6] = 0x20;
    bytes[10] = (bytes[10] as number) - 0x20;
  });
  packet((bytes) => {
    bytes[bytes.length - 1] = 0xee;
  });
  assert.equal(waiting(), 0);
  packet(() => {});
  packet(() => {}, ip("192.0.2.255"));
  assert.equal(waiting(), 2);
});

test("what comes to a port that nobody reads does not pile up: the latest is kept", () => {
  const { configure, peer, time, stack } = networkRig();
  configure();
  stack.udp.open(7);
  for (let i = 0; i < 200; i++) peer.send({ sourcePort: 9, destinationPort: 7, payload: Uint8Array.of(i) });
  time.advance(1e6);
  const waiting = stack.udp.state.open[0]?.waiting ?? [];
  assert.equal(waiting.length, 64);
  assert.equal(waiting.at(-1)?.payload[0], 199);
});

test("neighbours that nobody asked for do not pile up", () => {
  const { configure, time, stack, peer } = networkRig();
  configure();
  for (let i = 0; i < 100; i++) {
    const senderIp = ip(`192.0.2.${100 + i}`);
    const payload = makeArp({ operation: 2, senderMac: PEER_MAC, senderIp, targetMac: OWN_MAC, targetIp: OWN_IP });
    peer.sendFrame(makeEthernet({ destination: OWN_MAC, source: PEER_MAC, type: ETHER_TYPE.arp, payload }));
  }
  time.advance(1e6);
  assert.equal(stack.ip.state.neighbours.length, 16);
});
