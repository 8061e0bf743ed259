import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { FakeOutside } from "../testing/fake-outside.ts";
import { ip, networkRig, SERVER_MAC } from "../testing/node/network-rig.ts";
import { ETHER_TYPE, parseEthernet } from "../wire/ethernet.ts";
import { IP_PROTOCOL, makeIpv4, parseIpv4 } from "../wire/ipv4.ts";
import { makeTcp, parseTcp } from "../wire/tcp.ts";
import { makeUdp } from "../wire/udp.ts";
import { MOST_FLOWS } from "./flows.ts";
import { isForwarded } from "./gateway.ts";
import { MOST_FRAMES } from "./outbox.ts";
import { MOST_CONNECTIONS } from "./tcp-gateway.ts";

const NAME_SERVER_MAC = Uint8Array.of(...SERVER_MAC.subarray(0, 5), 3);
const PLACES = ["1.2.3.4", "8.8.8.8", "10.0.2.2", "10.0.2.3", "127.0.0.1", "255.255.255.255", "10.0.2.77"].map(ip);
const GUESTS = ["10.0.2.15", "10.0.2.16", "0.0.0.0", "10.0.2.3", "1.2.3.4"].map(ip);
/** Most that a connection to the host may hold: a window. */
const LARGEST_BUFFER = 256 * 1024;

test("whatever guests send and hosts outside do, nothing throws, and all that is kept is bounded", () => {
  const outside = new FakeOutside();
  const { guest, network, time } = networkRig({}, outside);
  const random = new SeededRandom(9293);
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)] as T;
  /** The last number that each of the guest's ports was acknowledged with, and the number behind what it was sent. */
  const heard = new Map<number, { acknowledgment: number; next: number }>();
  let accepted = 0;
  let passedOn = 0;
  for (let i = 0; i < 20_000; i++) {
    const source = pick(random.below(4) ? GUESTS.slice(0, 2) : GUESTS);
    const destination = pick(random.below(4) ? PLACES.slice(0, 2) : PLACES);
    const sourcePort = random.below(random.below(8) ? 20 : 3000);
    const destinationPort = pick([53, 80, 80, random.below(0x10000)]);
    const endpoints = { source, destination };
    const known = random.below(4) ? heard.get(sourcePort) : undefined;
    const payload = new Uint8Array(random.below(3) ? random.below(1400) : 0);
    const isSyn = known === undefined && random.below(2) === 0;
    const upper = random.below(4)
      ? makeTcp(
          {
            sourcePort,
            destinationPort,
            sequence: known?.acknowledgment ?? random.next(),
            acknowledgment: known?.next ?? random.next(),
            flags: { syn: isSyn, ack: !isSyn, fin: random.below(30) === 0, rst: random.below(50) === 0 },
            window: random.below(0x10000),
            options: new Uint8Array(4 * random.below(5)).map(() => random.below(9)),
            payload: isSyn ? new Uint8Array(0) : payload,
          },
          endpoints,
        )
      : makeUdp({ sourcePort, destinationPort, payload }, endpoints);
    const protocol = random.below(20) ? (upper.length > 8 + payload.length ? IP_PROTOCOL.tcp : IP_PROTOCOL.udp) : 1;
    const mac = destination === ip("10.0.2.3") ? NAME_SERVER_MAC : SERVER_MAC;
    guest.sendFrame(ETHER_TYPE.ipv4, makeIpv4({ ...endpoints, protocol, payload: upper }), mac);
    assert.equal(guest.frames.length, 0, "sent from within receive");

    const connection = outside.connections.at(-1 - random.below(Math.min(outside.connections.length, 30)));
    if (connection && !connection.isDestroyed) {
      const act = random.below(12);
      if (connection.backlog > 0 && act < 4) connection.drain();
      else if (act === 4) connection.tell.connected();
      else if (act < 7 && !connection.isPaused) connection.tell.data(new Uint8Array(random.below(65_536)));
      else if (act === 8 && random.below(10) === 0) connection.tell.ended();
      assert.ok(connection.backlog <= LARGEST_BUFFER);
      passedOn = Math.max(passedOn, connection.written.length);
    }
    const socket = outside.datagrams.at(-1);
    if (socket && !socket.isClosed) socket.receive({ address: pick(PLACES), port: 80 }, payload);
    if (random.below(5) === 0) outside.questions.at(-1)?.receive(payload);
    if (random.below(50) === 0) time.advance(random.below(3) ? 1e6 : random.below(2e9));
    if (random.below(5000) === 0) network.reset();

    assert.ok(network.connections <= MOST_CONNECTIONS);
    assert.ok(guest.frames.length < 2 * MOST_FRAMES);
    for (const frame of guest.frames.splice(0)) {
      const ethernet = parseEthernet(frame) ?? assert.fail();
      if (ethernet.type !== ETHER_TYPE.ipv4) continue;
      const packet = parseIpv4(ethernet.payload) ?? assert.fail();
      if (packet.protocol !== IP_PROTOCOL.tcp) continue;
      const segment = parseTcp(packet.payload, packet) ?? assert.fail();
      if (segment.flags.syn) accepted++;
      const next = segment.sequence + segment.payload.length + Number(segment.flags.syn) + Number(segment.flags.fin);
      heard.set(segment.destinationPort, { acknowledgment: segment.acknowledgment, next: next >>> 0 });
      if (segment.flags.rst) heard.delete(segment.destinationPort);
    }
  }
  assert.ok(accepted > 100, `${accepted} connections`);
  assert.ok(passedOn > 1000, `${passedOn} bytes of a guest's`);
  for (const { target } of outside.connections) assert.ok(target === "name-server" || isForwarded(target.address));
  assert.ok(outside.datagrams.filter(({ isClosed }) => !isClosed).length <= MOST_FLOWS);
  for (const { to } of outside.datagrams.flatMap(({ sent }) => sent)) assert.ok(isForwarded(to.address));
});
