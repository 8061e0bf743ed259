import assert from "node:assert/strict";
import { test } from "node:test";
import { BROADCAST_IPV4 } from "../../../net/wire/addresses.ts";
import { DHCP_TYPE, type DhcpFields, type DhcpMessage, dhcpType, makeDhcp, parseDhcp } from "../../../net/wire/dhcp.ts";
import { addressOption, DHCP_OPTION, numberOption, textIn, textOption } from "../../../net/wire/dhcp-options.ts";
import { askForAddress } from "./dhcp-client.ts";
import { SECOND } from "./operation.ts";
import { ip, networkRig, OWN_IP, OWN_MAC, PEER_IP } from "./testing/rig.ts";

/** A rig whose peer answers messages of DHCP with what `answer` makes of them. */
function rig(answer: (message: DhcpMessage) => (Partial<DhcpFields> & { readonly type: number })[]) {
  const rigged = networkRig({ uuid: Uint8Array.from({ length: 16 }, (_, i) => i) });
  const { peer } = rigged;
  const asked: DhcpMessage[] = [];
  peer.onDatagram = ({ payload, destinationPort, sourcePort, destination }) => {
    assert.deepEqual([sourcePort, destinationPort, destination], [68, 67, BROADCAST_IPV4]);
    const message = parseDhcp(payload) as DhcpMessage;
    asked.push(message);
    for (const { type, options, ...more } of answer(message)) {
      const reply = makeDhcp({
        operation: "reply",
        transaction: message.transaction,
        clientMac: message.clientMac,
        yourAddress: OWN_IP,
        ...more,
        options: new Map([
          [DHCP_OPTION.messageType, numberOption(type, 1)],
          [DHCP_OPTION.serverIdentifier, addressOption(PEER_IP)],
          ...(options ?? []),
        ]),
      });
      peer.send({ sourcePort: 67, destinationPort: 68, payload: reply }, { destination: BROADCAST_IPV4 });
    }
  };
  return { ...rigged, asked };
}

const replyTo = (message: DhcpMessage) => (dhcpType(message) === DHCP_TYPE.discover ? DHCP_TYPE.offer : DHCP_TYPE.ack);

test("the BIOS asks as PXE's clients do, and takes what it is offered", () => {
  const { run, stack, asked } = rig((message) => [
    {
      type: replyTo(message),
      bootFile: "boot/nbp",
      serverAddress: ip("192.0.2.3"),
      options: new Map([
        [DHCP_OPTION.subnetMask, addressOption(ip("255.255.255.192"))],
        [DHCP_OPTION.routers, addressOption(ip("192.0.2.2"), ip("192.0.2.4"))],
      ]),
    },
  ]);
  const { result: lease } = run(askForAddress(stack, () => {}));
  const { discover, acknowledgment, reply, ...told } = lease ?? assert.fail();
  assert.deepEqual(told, {
    address: OWN_IP,
    mask: ip("255.255.255.192"),
    gateway: ip("192.0.2.2"),
    server: PEER_IP,
    bootServer: ip("192.0.2.3"),
    bootFile: "boot/nbp",
  });
  assert.deepEqual(
    [discover, acknowledgment, reply].map((bytes) => dhcpType(parseDhcp(bytes) as DhcpMessage)),
    [1, 5, 5],
  );
  assert.deepEqual(asked.map(dhcpType), [DHCP_TYPE.discover, DHCP_TYPE.request]);
  for (const { options, clientMac } of asked) {
    assert.deepEqual(clientMac, OWN_MAC);
    assert.equal(textIn(options.get(60)), "PXEClient:Arch:00000:UNDI:002001");
    assert.deepEqual(options.get(93), Uint8Array.of(0, 0));
    assert.deepEqual(options.get(94), Uint8Array.of(1, 2, 1));
    assert.deepEqual(options.get(97)?.subarray(0, 4), Uint8Array.of(0, 0, 1, 2));
    for (const wanted of [1, 3, 43, 54, 60, 66, 67, 128, 135])
      assert.ok(options.get(55)?.includes(wanted), `${wanted}`);
  }
  assert.deepEqual(asked[1]?.options.get(50), addressOption(OWN_IP));
  assert.deepEqual(asked[1]?.options.get(54), addressOption(PEER_IP));
});

test("without an answer the BIOS asks again after 4, 8 and 16 seconds, and gives up after a minute", () => {
  const { run, stack, peer } = rig(() => []);
  let dots = 0;
  assert.deepEqual(run(askForAddress(stack, () => dots++)), { result: undefined, at: 60 * SECOND });
  assert.deepEqual(
    peer.datagrams.map(({ at }) => at / SECOND),
    [0, 4, 12, 28],
  );
  assert.equal(dots, 4);
});

test("an offer with a boot file is preferred to an earlier one without", () => {
  const { run, stack, asked } = rig((message) =>
    dhcpType(message) === DHCP_TYPE.discover
      ? [
          { type: DHCP_TYPE.offer, yourAddress: ip("192.0.2.99") },
          { type: DHCP_TYPE.offer, bootFile: "nbp" },
        ]
      : [{ type: DHCP_TYPE.ack, bootFile: "nbp" }],
  );
  assert.equal(run(askForAddress(stack, () => {})).result?.bootFile, "nbp");
  assert.deepEqual(asked[1]?.options.get(50), addressOption(OWN_IP));
});

test("an offer without a boot file is taken when no other has come within 4 seconds", () => {
  const { run, stack, peer } = rig((message) => [{ type: replyTo(message) }]);
  const { result } = run(askForAddress(stack, () => {}));
  assert.equal(result?.bootFile, "");
  assert.equal(peer.datagrams[1]?.at, 4 * SECOND);
});

test("names in options count as those in the fields, which may hold options themselves", () => {
  const { run, stack } = rig((message) => [
    {
      type: replyTo(message),
      options: new Map([
        [DHCP_OPTION.serverName, textOption("192.0.2.7")],
        [DHCP_OPTION.bootFile, textOption("by-option\0")],
      ]),
    },
  ]);
  const { result } = run(askForAddress(stack, () => {}));
  assert.deepEqual([result?.bootFile, result?.bootServer], ["by-option", ip("192.0.2.7")]);
});

test("an acknowledgment without the offer's boot file does not make it forgotten", () => {
  const { run, stack } = rig((message) => [
    { type: replyTo(message), ...(replyTo(message) === DHCP_TYPE.offer ? { bootFile: "nbp" } : {}) },
  ]);
  const { result } = run(askForAddress(stack, () => {}));
  assert.deepEqual([result?.bootFile, result?.bootServer], ["nbp", PEER_IP]);
  assert.equal(dhcpType(parseDhcp(result?.reply as Uint8Array) as DhcpMessage), DHCP_TYPE.offer);
});

test("after a refusal the BIOS begins anew", () => {
  let refusals = 1;
  const { run, stack, asked } = rig((message) => {
    if (dhcpType(message) === DHCP_TYPE.request && refusals-- > 0) return [{ type: DHCP_TYPE.nak }];
    return [{ type: replyTo(message), bootFile: "nbp" }];
  });
  assert.ok(run(askForAddress(stack, () => {})).result);
  assert.deepEqual(asked.map(dhcpType), [1, 3, 1, 3]);
});

test("replies to others, requests, and offers of no address are not taken", () => {
  const { run, stack } = rig((message) => [
    { type: DHCP_TYPE.offer, transaction: message.transaction ^ 1, bootFile: "nbp" },
    { type: DHCP_TYPE.offer, operation: "request", bootFile: "nbp" },
    { type: DHCP_TYPE.offer, yourAddress: ip("0.0.0.0"), bootFile: "nbp" },
    { type: DHCP_TYPE.ack, bootFile: "nbp" },
  ]);
  assert.equal(run(askForAddress(stack, () => {})).result, undefined);
});
