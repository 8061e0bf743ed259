/** What arrives from a network's outside while a machine runs, sleeps, or is paused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../isa/assemble.ts";
import type { EthernetPort } from "../net/link.ts";
import { FakeOutside } from "../net/testing/fake-outside.ts";
import { ip, mac } from "../net/testing/node/network-rig.ts";
import { ETHER_TYPE, makeEthernet, parseEthernet } from "../net/wire/ethernet.ts";
import { IP_PROTOCOL, makeIpv4, parseIpv4 } from "../net/wire/ipv4.ts";
import { makeUdp, parseUdp } from "../net/wire/udp.ts";
import type { Host, MachineDefinition } from "./definition.ts";
import { Machine } from "./machine.ts";

/** Halts for good. */
const KERNEL = `
  header: dd 0x1badb002, 0x10000, 0xe4514ffe
  dd header, header, 0, 0, start
  start: cli
  stop: hlt
  jmp stop
`;
const GUEST = { address: ip("10.0.2.15"), mac: mac("52:54:00:00:00:01") };
const SERVER = ip("203.0.113.5");
const MINUTE = 60e9;

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

/** A host whose clock moves a microsecond each time it is looked at, and on which sleep ends by being woken alone. */
function sleepyHost() {
  const clock = { now: 0, sleeps: 0 };
  const host: Host = {
    monotonic: () => {
      clock.now += 1000;
      return clock.now;
    },
    unixTime: () => 0,
    random: (target) => target.fill(1),
    yield: turn,
    sleep(ns) {
      if (ns < 1e6) {
        clock.now += ns;
        return { done: turn(), wake: () => {} };
      }
      clock.sleeps++;
      const { promise, resolve } = Promise.withResolvers<void>();
      return { done: promise, wake: resolve };
    },
  };
  return { clock, host };
}

/** A machine whose guest is halted, and a station beside its card that has asked something outside. */
async function rig() {
  const outside = new FakeOutside();
  const { clock, host } = sleepyHost();
  const { bytes } = assemble(KERNEL, { bits: 32, origin: 0x10_0000n });
  const definition: MachineDefinition = {
    memory: 16 << 20,
    cpu: "max",
    clock: "real",
    kernel: { image: bytes, commandLine: "" },
    disks: [],
    nics: [{ model: "virtio", address: mac("52:54:00:12:34:56"), network: { kind: "user", outside } }],
    serial: { write: () => {} },
    debugExit: false,
    noReboot: true,
  };
  const machine = await Machine.create(definition, host);
  const heard: string[] = [];
  const port = machine.board.nics[0]?.hub.connect({
    receive: (frame) => {
      const packet = parseIpv4(parseEthernet(frame)?.payload ?? assert.fail()) ?? assert.fail();
      heard.push(new TextDecoder().decode(parseUdp(packet.payload, packet)?.payload));
      return true;
    },
  });
  const ended = machine.run();
  await turns();
  ask(port ?? assert.fail());
  await turns();
  return { machine, outside, clock, heard, ended };
}

function ask(port: EthernetPort): void {
  const ends = { source: GUEST.address, destination: SERVER };
  const payload = makeUdp({ sourcePort: 1, destinationPort: 7, payload: Uint8Array.of(1) }, ends);
  const packet = makeIpv4({ ...ends, protocol: IP_PROTOCOL.udp, payload });
  const addresses = { source: GUEST.mac, destination: mac("52:55:0a:00:02:02") };
  port.transmit(makeEthernet({ ...addresses, type: ETHER_TYPE.ipv4, payload: packet }));
}

const answer = (outside: FakeOutside, text: string) =>
  outside.datagrams[0]?.receive({ address: SERVER, port: 7 }, new TextEncoder().encode(text));

test("an answer reaches a guest that is halted at once, not when its sleep would end", async () => {
  const { machine, outside, clock, heard, ended } = await rig();
  assert.deepEqual(heard, []);
  const { sleeps } = clock;
  answer(outside, "hello");
  await turns();
  assert.deepEqual(heard, ["hello"]);
  // And it sleeps again.
  assert.equal(clock.sleeps, sleeps + 1);
  machine.stop();
  assert.deepEqual(await ended, { kind: "stopped" });
});

test("an answer that comes while the machine is paused waits for it, and does not move its time", async () => {
  const { machine, outside, clock, heard, ended } = await rig();
  machine.pause();
  await turns();
  const before = machine.processor.tsc();
  clock.now += 10 * MINUTE;
  answer(outside, "hello");
  await turns();
  assert.deepEqual(heard, []);
  machine.resume();
  await turns();
  assert.deepEqual(heard, ["hello"]);
  const passed = Number(machine.processor.tsc() - before);
  assert.ok(passed > 0 && passed < MINUTE, `${passed} ns`);
  machine.stop();
  await ended;
});

test("sockets are closed at the machine's end", async () => {
  const { machine, outside, ended } = await rig();
  assert.equal(outside.datagrams[0]?.isClosed, false);
  machine.stop();
  await ended;
  assert.equal(outside.datagrams[0]?.isClosed, true);
});
