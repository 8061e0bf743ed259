import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeOutside } from "../testing/fake-outside.ts";
import { hex, ip, mac, networkRig } from "../testing/node/network-rig.ts";
import { formatIpv4Address } from "../wire/addresses.ts";
import { ARP_OPERATION, makeArp, parseArp } from "../wire/arp.ts";
import { DHCP_TYPE } from "../wire/dhcp.ts";
import { DHCP_OPTION, numberOption } from "../wire/dhcp-options.ts";
import { ETHER_TYPE } from "../wire/ethernet.ts";
import { makeIcmp, parseIcmp } from "../wire/icmp.ts";
import { IP_PROTOCOL, makeIpv4 } from "../wire/ipv4.ts";
import { makeTcp, parseTcp, type TcpFields } from "../wire/tcp.ts";
import { makeTcpOptions } from "../wire/tcp-options.ts";
import { makeUdp } from "../wire/udp.ts";
import { FLOW_IDLE_TIME, MOST_FLOWS } from "./flows.ts";
import { isForwarded } from "./gateway.ts";
import { LATENCY } from "./outbox.ts";
import { MOST_CONNECTIONS } from "./tcp-gateway.ts";

const SERVER = ip("93.184.216.34");
const NAME_SERVER = ip("10.0.2.3");
const NAME_SERVER_MAC = mac("52:55:0a:00:02:03");
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (content: string) => new TextEncoder().encode(content);

function rig() {
  const outside = new FakeOutside();
  const { guest, time, network } = networkRig({}, outside);
  const sendUdp = (destination: typeof SERVER, port: number, payload: Uint8Array, sourcePort = 4000) => {
    const endpoints = { source: guest.address, destination };
    const datagram = makeUdp({ sourcePort, destinationPort: port, payload }, endpoints);
    guest.sendPacket(IP_PROTOCOL.udp, datagram, destination);
  };
  const sendTcp = (fields: Partial<TcpFields>, destination = SERVER) => {
    const segment = makeTcp(
      { sourcePort: 4000, destinationPort: 80, sequence: 100, flags: { ack: true }, window: 8000, ...fields },
      { source: guest.address, destination },
    );
    guest.sendPacket(IP_PROTOCOL.tcp, segment, destination);
  };
  const takeTcp = () => {
    time.advance(LATENCY);
    return guest.takePackets().map((packet) => {
      assert.equal(packet.protocol, IP_PROTOCOL.tcp);
      return { ...(parseTcp(packet.payload, packet) ?? assert.fail()), source: packet.source };
    });
  };
  const takeIcmp = () => {
    time.advance(LATENCY);
    return guest.takePackets().map((packet) => {
      const message = parseIcmp(packet.payload);
      return message?.kind === "unreachable" ? message.code : message?.kind;
    });
  };
  const sendSyn = (fields: Partial<TcpFields> = {}, destination = SERVER) => {
    const options = makeTcpOptions({ maximumSegmentSize: 1460 });
    sendTcp({ flags: { syn: true }, options, ...fields }, destination);
  };
  /** A connection that is there; returns its other end, and the number that the guest's next segment acknowledges. */
  const connect = () => {
    sendSyn();
    const connection = outside.connections.at(-1) ?? assert.fail();
    connection.tell.connected();
    const [answer] = takeTcp();
    const acknowledgment = ((answer?.sequence ?? assert.fail()) + 1) >>> 0;
    sendTcp({ sequence: 101, acknowledgment });
    return { connection, acknowledgment };
  };
  return { outside, guest, time, network, sendUdp, sendTcp, sendSyn, takeTcp, takeIcmp, connect };
}

test("a guest is told of a router and a name server", () => {
  const { guest, time } = rig();
  guest.sendDhcp({ options: new Map([[DHCP_OPTION.messageType, numberOption(DHCP_TYPE.discover, 1)]]) });
  time.advance(LATENCY);
  const [offer] = guest.takeDhcp();
  assert.equal(hex(offer?.options.get(DHCP_OPTION.routers) ?? assert.fail()), "0a000202");
  assert.equal(hex(offer?.options.get(DHCP_OPTION.nameServers) ?? assert.fail()), "0a000203");
});

test("a guest's SYN is answered once the host has its connection, in the name of the host it means", () => {
  const { outside, sendSyn, takeTcp } = rig();
  sendSyn();
  sendSyn();
  assert.deepEqual(
    outside.connections.map(({ target }) => target),
    [{ address: SERVER, port: 80 }],
  );
  assert.deepEqual(takeTcp(), []);
  outside.connections[0]?.tell.connected();
  const [answer, ...rest] = takeTcp();
  assert.equal(rest.length, 0);
  assert.equal(answer?.source, SERVER);
  assert.deepEqual([answer?.flags.syn, answer?.flags.ack, answer?.acknowledgment], [true, true, 101]);
});

test("what one side says the other hears, until both have ended", () => {
  const { connect, sendTcp, takeTcp, network, outside, time } = rig();
  const { connection, acknowledgment } = connect();
  sendTcp({ sequence: 101, acknowledgment, payload: bytes("GET /") });
  assert.equal(connection.written, "GET /");
  connection.tell.data(bytes("hello"));
  const [heard] = takeTcp();
  assert.deepEqual([text(heard?.payload ?? assert.fail()), heard?.acknowledgment], ["hello", 106]);
  sendTcp({ sequence: 106, acknowledgment: acknowledgment + 5, flags: { fin: true, ack: true } });
  assert.equal(connection.hasEnded, true);
  connection.tell.data(bytes("bye"));
  connection.tell.ended();
  assert.deepEqual(
    takeTcp().map(({ payload, flags }) => [text(payload), flags.fin]),
    [
      ["", false],
      ["bye", false],
      ["", true],
    ],
  );
  sendTcp({ sequence: 107, acknowledgment: acknowledgment + 9 });
  connection.tell.closed(false);
  assert.equal(connection.isDestroyed, false);
  time.advance(1e9);
  // The same ends make another connection.
  connect();
  assert.equal(outside.connections.length, 2);
  network.reset();
  assert.equal(outside.connections[1]?.isDestroyed, true);
});

test("a refused connection is reset, and one that leads nowhere is told to be unreachable", () => {
  const { outside, sendSyn, takeTcp, takeIcmp } = rig();
  sendSyn();
  outside.connections[0]?.tell.failed("refused");
  const [reset] = takeTcp();
  assert.deepEqual([reset?.flags.rst, reset?.acknowledgment, reset?.source], [true, 101, SERVER]);
  sendSyn();
  outside.connections[1]?.tell.failed("unreachable");
  assert.deepEqual(takeIcmp(), [1]);
});

test("a reset of either side is one of the other", () => {
  const { connect, sendTcp, takeTcp } = rig();
  const first = connect();
  first.connection.tell.closed(true);
  assert.deepEqual(
    takeTcp().map(({ flags }) => flags.rst),
    [true],
  );
  const second = connect();
  sendTcp({ sequence: 101, flags: { rst: true } });
  assert.equal(second.connection.isDestroyed, true);
  assert.deepEqual(takeTcp(), []);
});

test("a guest that does not want to wait for a connection may leave it", () => {
  const { outside, sendSyn, sendTcp } = rig();
  sendSyn();
  sendTcp({ sequence: 101, flags: { rst: true } });
  assert.equal(outside.connections[0]?.isDestroyed, true);
});

test("a host that takes nothing closes the guest's window, and opens it again", () => {
  const { connect, sendTcp, takeTcp } = rig();
  const { connection, acknowledgment } = connect();
  let sequence = 101;
  let window = 0xffff;
  for (let i = 0; i < 1000 && window > 0; i++) {
    const payload = new Uint8Array(Math.min(1460, window));
    sendTcp({ sequence, acknowledgment, payload });
    sequence += payload.length;
    // Without a shift the guest sees 65535 bytes at the most.
    window = takeTcp().at(-1)?.window ?? window - payload.length;
  }
  assert.equal(window, 0);
  assert.equal(connection.written.length, 256 * 1024);
  connection.drain();
  assert.equal(takeTcp().at(-1)?.window, 0xffff);
});

test("a guest that takes nothing has the host's socket left alone, until it does", () => {
  const { connect, sendTcp, takeTcp } = rig();
  const { connection, acknowledgment } = connect();
  let told = 0;
  while (!connection.isPaused) {
    connection.tell.data(new Uint8Array(65_536));
    told += 65_536;
  }
  assert.equal(told, 256 * 1024);
  let acknowledged = 0;
  while (connection.isPaused) {
    for (const { payload } of takeTcp()) acknowledged += payload.length;
    sendTcp({ sequence: 101, acknowledgment: acknowledgment + acknowledged });
  }
  assert.ok(acknowledged >= 128 * 1024 && acknowledged < 150 * 1024, `${acknowledged}`);
});

test("segments of connections that there are not are answered with resets", () => {
  const { outside, sendTcp, takeTcp } = rig();
  sendTcp({ acknowledgment: 77 });
  sendTcp({ flags: { rst: true } });
  assert.deepEqual(
    takeTcp().map(({ flags, sequence }) => [flags.rst, sequence]),
    [[true, 77]],
  );
  assert.equal(outside.connections.length, 0);
});

test("connections beyond a thousand are refused, until others have ended", () => {
  const { outside, sendSyn, takeTcp } = rig();
  for (let i = 0; i < MOST_CONNECTIONS + 1; i++) sendSyn({ sourcePort: 10_000 + i });
  assert.equal(outside.connections.length, MOST_CONNECTIONS);
  assert.deepEqual(
    takeTcp().map(({ flags, destinationPort }) => [flags.rst, destinationPort]),
    [[true, 10_000 + MOST_CONNECTIONS]],
  );
  outside.connections[5]?.tell.failed("refused");
  sendSyn({ sourcePort: 9 });
  assert.equal(outside.connections.length, MOST_CONNECTIONS + 1);
});

test("datagrams go out from one socket for each of the guest's ports, and answers come in from their hosts only", () => {
  const { outside, guest, sendUdp, time } = rig();
  const other = ip("198.51.100.1");
  sendUdp(SERVER, 123, bytes("one"));
  sendUdp(other, 124, bytes("two"));
  sendUdp(SERVER, 123, bytes("three"), 4001);
  assert.deepEqual(
    outside.datagrams.map(({ sent }) => sent.map(({ to, bytes: payload }) => [to.address, to.port, text(payload)])),
    [
      [
        [SERVER, 123, "one"],
        [other, 124, "two"],
      ],
      [[SERVER, 123, "three"]],
    ],
  );
  outside.datagrams[0]?.receive({ address: other, port: 9999 }, bytes("answer"));
  outside.datagrams[0]?.receive({ address: ip("198.51.100.2"), port: 124 }, bytes("unasked"));
  outside.datagrams[1]?.receive({ address: other, port: 124 }, bytes("unasked"));
  outside.datagrams[0]?.receive({ address: other, port: 124 }, new Uint8Array(1473));
  time.advance(LATENCY);
  assert.deepEqual(
    guest.takeDatagrams().map((datagram) => ({
      from: `${formatIpv4Address(datagram.packet.source)}:${datagram.sourcePort}`,
      to: datagram.destinationPort,
      payload: text(datagram.payload),
    })),
    [{ from: "198.51.100.1:9999", to: 4000, payload: "answer" }],
  );
});

test("sockets for datagrams are closed after a while without use, and the oldest when there are too many", () => {
  const { outside, sendUdp, time } = rig();
  sendUdp(SERVER, 123, bytes("one"), 1);
  time.advance(FLOW_IDLE_TIME - 1);
  sendUdp(SERVER, 123, bytes("two"), 2);
  time.advance(1);
  assert.deepEqual(
    outside.datagrams.map(({ isClosed }) => isClosed),
    [true, false],
  );
  for (let port = 3; port < 3 + MOST_FLOWS; port++) sendUdp(SERVER, 123, bytes("x"), port);
  assert.equal(outside.datagrams[1]?.isClosed, true);
  assert.equal(outside.datagrams.filter(({ isClosed }) => !isClosed).length, MOST_FLOWS);
});

test("the name server is a host of the network, whose questions and answers are the host's", () => {
  const { outside, guest, takeTcp, time } = rig();
  const arp = makeArp({
    operation: ARP_OPERATION.request,
    senderMac: guest.mac,
    senderIp: guest.address,
    targetMac: new Uint8Array(6),
    targetIp: NAME_SERVER,
  });
  guest.sendFrame(ETHER_TYPE.arp, arp, mac("ff:ff:ff:ff:ff:ff"));
  time.advance(LATENCY);
  const [reply] = guest.take();
  assert.equal(hex(parseArp(reply?.payload ?? assert.fail())?.senderMac ?? assert.fail()), hex(NAME_SERVER_MAC));

  const toNameServer = (protocol: number, payload: Uint8Array) => {
    const packet = makeIpv4({ source: guest.address, destination: NAME_SERVER, protocol, payload });
    guest.sendFrame(ETHER_TYPE.ipv4, packet, NAME_SERVER_MAC);
  };
  const endpoints = { source: guest.address, destination: NAME_SERVER };
  toNameServer(
    IP_PROTOCOL.udp,
    makeUdp({ sourcePort: 4000, destinationPort: 53, payload: bytes("question") }, endpoints),
  );
  assert.deepEqual(outside.questions[0]?.asked.map(text), ["question"]);
  outside.questions[0]?.receive(bytes("answer"));
  time.advance(LATENCY);
  const [answer] = guest.takeDatagrams();
  assert.deepEqual(
    [answer?.packet.source, answer?.sourcePort, answer?.destinationPort, text(answer?.payload ?? assert.fail())],
    [NAME_SERVER, 53, 4000, "answer"],
  );

  const syn = { sourcePort: 4000, sequence: 100, flags: { syn: true }, window: 8000 };
  toNameServer(IP_PROTOCOL.tcp, makeTcp({ ...syn, destinationPort: 53 }, endpoints));
  assert.deepEqual(
    outside.connections.map(({ target }) => target),
    ["name-server"],
  );
  outside.connections[0]?.tell.connected();
  assert.deepEqual(
    takeTcp().map(({ source, flags }) => [source, flags.syn]),
    [[NAME_SERVER, true]],
  );
  toNameServer(IP_PROTOCOL.tcp, makeTcp({ ...syn, destinationPort: 80 }, endpoints));
  assert.deepEqual(
    takeTcp().map(({ flags }) => flags.rst),
    [true],
  );
  assert.equal(outside.connections.length, 1);
});

test("what is for the gateway itself, for no host, or for a link is not passed on", () => {
  const { outside, sendSyn, sendUdp, takeTcp, takeIcmp } = rig();
  sendSyn({}, ip("10.0.2.2"));
  assert.deepEqual(
    takeTcp().map(({ flags }) => flags.rst),
    [true],
  );
  sendUdp(ip("10.0.2.2"), 123, bytes("x"));
  assert.deepEqual(takeIcmp(), [3]);
  for (const address of ["127.0.0.1", "127.255.1.2", "0.0.0.1", "169.254.169.254", "224.0.0.251", "240.0.0.1"]) {
    assert.equal(isForwarded(ip(address)), false, address);
    sendSyn({}, ip(address));
    sendUdp(ip(address), 123, bytes("x"));
    assert.deepEqual(takeIcmp(), [0, 0], address);
  }
  for (const address of ["255.255.255.255", "10.0.2.255"]) sendSyn({}, ip(address));
  assert.deepEqual(outside.connections, []);
  assert.deepEqual(outside.datagrams, []);
  for (const address of ["1.0.0.1", "10.0.3.1", "126.0.0.1", "128.0.0.1", "192.168.1.1", "223.255.255.255"]) {
    assert.equal(isForwarded(ip(address)), true, address);
  }
});

test("pings of hosts outside, and other protocols, are answered as prohibited", () => {
  const { guest, takeIcmp } = rig();
  const echo = makeIcmp({ kind: "echo-request", identifier: 1, sequence: 1, data: new Uint8Array(8) });
  guest.sendPacket(IP_PROTOCOL.icmp, echo, SERVER);
  guest.sendPacket(47, new Uint8Array(8), SERVER);
  assert.deepEqual(takeIcmp(), [13, 13]);
});

test("a reset of the machine ends connections without a word, and closes sockets", () => {
  const { outside, guest, network, connect, sendUdp, sendTcp, takeTcp, time } = rig();
  const { connection } = connect();
  sendUdp(SERVER, 123, bytes("x"));
  connection.tell.data(bytes("late"));
  network.reset();
  assert.equal(connection.isDestroyed, true);
  assert.equal(outside.datagrams[0]?.isClosed, true);
  time.advance(100e9);
  assert.deepEqual(guest.take(), []);
  sendTcp({ sequence: 101, acknowledgment: 5 });
  assert.equal(takeTcp()[0]?.flags.rst, true);
});
