import assert from "node:assert/strict";
import { test } from "node:test";
import { parseNic } from "./nic-option.ts";

test("a card is on a network, with settings", () => {
  assert.deepEqual(parseNic("isolated"), { network: "isolated" });
  assert.deepEqual(parseNic("user,tftp=/srv"), { network: "user", files: "/srv" });
  assert.deepEqual(parseNic("isolated,model=e1000,mac=52:54:00:AB:cd:01,tftp=/srv/a,,b,bootfile=x/pxelinux.0"), {
    network: "isolated",
    model: "e1000",
    address: Uint8Array.of(0x52, 0x54, 0, 0xab, 0xcd, 1),
    files: "/srv/a,b",
    bootFile: "x/pxelinux.0",
  });
});

test("mistakes are told with what to change", () => {
  for (const [text, says] of [
    ["", /"" is no network; known are isolated, user/],
    ["bridge", /"bridge" is no network; known are isolated, user/],
    ["isolated,model=ne2000", /model=ne2000 must be one of virtio, e1000/],
    ["isolated,mac=1", /mac=1 must be six pairs/],
    ["isolated,mac=53:54:00:12:34:56", /of which the first is even/],
    ["isolated,bootfile=x", /bootfile=x needs tftp=DIRECTORY/],
    ["isolated,tftp=", /tftp= needs the name of a directory/],
    ["isolated,vlan=3", /"vlan=3" is no setting of a network card/],
  ] as const) {
    assert.throws(() => parseNic(text), { name: "CliError", message: says });
  }
});
