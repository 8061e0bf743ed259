import assert from "node:assert/strict";
import { test } from "node:test";
import { formatMacAddress, parseIpv4Address, parseMacAddress } from "./addresses.ts";
import { DHCP_TYPE, dhcpType, makeDhcp, parseDhcp } from "./dhcp.ts";
import {
  addressesIn,
  addressIn,
  addressOption,
  CLIENT_ARCHITECTURE,
  DHCP_OPTION,
  isPxe,
  makeDhcpOptions,
  numberIn,
  numberOption,
  PXE_OPTION,
  parseDhcpOptions,
  textIn,
  textOption,
  wordsIn,
} from "./dhcp-options.ts";

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"));
const hex = (data: Uint8Array) => Buffer.from(data).toString("hex");
const address = (text: string) => parseIpv4Address(text) ?? assert.fail(text);
const ascii = (text: string) => Buffer.from(text).toString("hex");

/** A message with these fields, all in hexadecimal; the boot file's and server's fields are filled up with zeros. */
const message = (
  { head = "01010600", xid = "3903f326", flags = "0000 8000", addresses = "", sname = "", file = "" },
  rest: string,
) =>
  bytes(
    [
      head,
      xid,
      flags,
      addresses.padEnd(32, "0"),
      "525400123456".padEnd(32, "0"),
      sname.padEnd(128, "0"),
      file.padEnd(256, "0"),
      rest,
    ].join(""),
  );
const MAGIC = "63825363";

test("a PXE client's message is read field by field", () => {
  const parsed = parseDhcp(
    message(
      {},
      `${MAGIC} 350101 390205c0 370a 0103 0c 0f 2b 3c 42 43 80 81 5d020000 5e03010201 3c20 ${ascii("PXEClient:Arch:00000:UNDI:002001")} 00 00 ff`,
    ),
  );
  assert.ok(parsed);
  assert.equal(parsed.operation, "request");
  assert.equal(parsed.transaction, 0x3903f326);
  assert.equal(parsed.broadcast, true);
  assert.equal(formatMacAddress(parsed.clientMac), "52:54:00:12:34:56");
  assert.equal(dhcpType(parsed), DHCP_TYPE.discover);
  assert.equal(numberIn(parsed.options.get(DHCP_OPTION.maximumMessageSize)), 1472);
  assert.deepEqual([...(parsed.options.get(DHCP_OPTION.parameterRequestList) ?? [])].slice(-4), [66, 67, 128, 129]);
  assert.deepEqual(wordsIn(parsed.options.get(DHCP_OPTION.clientArchitecture)), [CLIENT_ARCHITECTURE.bios]);
  assert.equal(isPxe(parsed.options), true);
});

test("an offer lies as RFC 2131 says, with at least 300 bytes", () => {
  const offer = makeDhcp({
    operation: "reply",
    transaction: 0x3903f326,
    broadcast: true,
    yourAddress: address("10.0.2.15"),
    serverAddress: address("10.0.2.2"),
    clientMac: parseMacAddress("52:54:00:12:34:56") ?? assert.fail(),
    serverName: "server",
    bootFile: "boot.0",
    options: new Map([
      [DHCP_OPTION.messageType, numberOption(DHCP_TYPE.offer, 1)],
      [DHCP_OPTION.serverIdentifier, addressOption(address("10.0.2.2"))],
      [DHCP_OPTION.leaseTime, numberOption(86400, 4)],
      [DHCP_OPTION.nameServers, addressOption(address("10.0.2.3"), address("10.0.2.4"))],
      [DHCP_OPTION.domainName, textOption("lan")],
    ]),
  });
  const addresses = "00000000 0a00020f 0a000202 00000000".replaceAll(" ", "");
  const expected = hex(
    message(
      { head: "02010600", addresses, sname: ascii("server"), file: ascii("boot.0") },
      `${MAGIC} 350102 36040a000202 330400015180 06080a0002030a000204 0f03${ascii("lan")} ff`,
    ),
  );
  assert.equal(hex(offer), expected.padEnd(600, "0"));
  const parsed = parseDhcp(offer) ?? assert.fail();
  assert.equal(parsed.serverName, "server");
  assert.equal(parsed.bootFile, "boot.0");
  assert.equal(addressIn(parsed.options.get(DHCP_OPTION.serverIdentifier)), 0x0a000202);
  assert.deepEqual(addressesIn(parsed.options.get(DHCP_OPTION.nameServers)), [0x0a000203, 0x0a000204]);
  assert.equal(textIn(parsed.options.get(DHCP_OPTION.domainName)), "lan");
});

test("a BOOTP request has no options, or no message type among them", () => {
  const plain = parseDhcp(message({}, "00".repeat(64))) ?? assert.fail();
  assert.equal(plain.options.size, 0);
  assert.equal(dhcpType(plain), undefined);
  const short = parseDhcp(message({}, "")) ?? assert.fail();
  assert.equal(short.options.size, 0);
  const vendor = parseDhcp(message({}, `${MAGIC} 0c03${ascii("pc1")} ff`)) ?? assert.fail();
  assert.equal(dhcpType(vendor), undefined);
  assert.equal(textIn(vendor.options.get(DHCP_OPTION.hostName)), "pc1");
});

test("options may go on in the fields of the boot file and the server's name", () => {
  const both = parseDhcp(
    message(
      { file: `3501 01 0c02${ascii("ab")} ff`.replaceAll(" ", ""), sname: `0c02${ascii("cd")}ff` },
      `${MAGIC} 340103 ff`,
    ),
  );
  assert.ok(both);
  assert.equal(dhcpType(both), DHCP_TYPE.discover);
  assert.equal(textIn(both.options.get(DHCP_OPTION.hostName)), "abcd");
  assert.deepEqual([both.serverName, both.bootFile], ["", ""]);
  const one =
    parseDhcp(message({ file: `${ascii("x")}`, sname: `0c02${ascii("cd")}ff` }, `${MAGIC} 340102 ff`)) ?? assert.fail();
  assert.equal(textIn(one.options.get(DHCP_OPTION.hostName)), "cd");
  assert.equal(one.bootFile, "x");
});

test("a long option is split in parts of 255 bytes, which are joined again", () => {
  const value = Uint8Array.from({ length: 600 }, (_, i) => i);
  const made = makeDhcpOptions(
    new Map([
      [DHCP_OPTION.bootFile, value],
      [DHCP_OPTION.message, new Uint8Array(0)],
    ]),
  );
  assert.equal(made.length, 2 + 255 + 2 + 255 + 2 + 90 + 2 + 1);
  assert.deepEqual([made[0], made[1], made[257], made[258], made[514], made[515]], [67, 255, 67, 255, 67, 90]);
  const parsed = parseDhcpOptions(made);
  assert.deepEqual(parsed.get(DHCP_OPTION.bootFile), value);
  assert.deepEqual(parsed.get(DHCP_OPTION.message), new Uint8Array(0));
});

test("what is cut off, and what comes after the end, is no option", () => {
  assert.deepEqual([...parseDhcpOptions(bytes("0c0161 35"))], [[12, bytes("61")]]);
  assert.deepEqual([...parseDhcpOptions(bytes("0c0161 350201"))], [[12, bytes("61")]]);
  assert.deepEqual([...parseDhcpOptions(bytes("00ff0c0161"))], []);
  assert.deepEqual(
    [...parseDhcpOptions(makeDhcpOptions(new Map([[PXE_OPTION.discoveryControl, bytes("08")]])))],
    [[6, bytes("08")]],
  );
});

test("values of a wrong length are none", () => {
  assert.equal(numberIn(bytes("010203")), undefined);
  assert.equal(numberIn(undefined), undefined);
  assert.equal(numberIn(bytes("ffffffff")), 0xffff_ffff);
  assert.equal(addressIn(bytes("0a0002")), undefined);
  assert.equal(textIn(bytes("61620063")), "ab");
});

test("a message for other hardware, one that is too short and one of neither side is none", () => {
  assert.equal(parseDhcp(message({ head: "01060600" }, "")), undefined);
  assert.equal(parseDhcp(message({ head: "01011000" }, "")), undefined);
  assert.equal(parseDhcp(message({ head: "03010600" }, "")), undefined);
  assert.equal(parseDhcp(message({}, "").subarray(0, 235)), undefined);
});

test("a name that its field has no room for is refused", () => {
  const fields = { operation: "reply", transaction: 0, clientMac: new Uint8Array(6), options: new Map() } as const;
  assert.equal(parseDhcp(makeDhcp({ ...fields, bootFile: "x".repeat(127) }))?.bootFile.length, 127);
  assert.throws(() => makeDhcp({ ...fields, bootFile: "x".repeat(128) }), RangeError);
  assert.throws(() => makeDhcp({ ...fields, serverName: "é".repeat(32) }), RangeError);
});
