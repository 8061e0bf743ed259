import assert from "node:assert/strict";
import { test } from "node:test";
import { i440fxBoard } from "./acpi/board.ts";
import { boardSetup } from "./board-setup.ts";

/** Configuration bytes by bus, device and function (CONFADD bits 8 to 23) and register, as the writes leave them. */
function configSpace() {
  const bytes = new Map<string, number>();
  let address = 0;
  for (const { port, size, value } of boardSetup(i440fxBoard(1)).ports) {
    if (port === 0xcf8 && size === 4) address = value;
    else if (port >= 0xcfc && port <= 0xcff) {
      assert.equal(size, 1);
      assert.equal(address >>> 31, 1);
      const register = (address & 0xfc) + (port & 3);
      bytes.set(`${((address >>> 8) & 0xffff).toString(16)}:${register.toString(16)}`, value);
    }
  }
  return bytes;
}

test("the BIOS area is writable RAM, power management is at the ports that ACPI names, PIRQs are steered", () => {
  const bytes = configSpace();
  assert.deepEqual([bytes.get("0:59"), bytes.get("0:5e"), bytes.get("0:5f")], [0x30, 0x33, 0x33]);
  assert.deepEqual([bytes.get("b:40"), bytes.get("b:41"), bytes.get("b:80")], [0x01, 0x06, 1]);
  assert.deepEqual(
    [0x60, 0x61, 0x62, 0x63].map((register) => bytes.get(`8:${register.toString(16)}`)),
    [10, 10, 11, 11],
  );
});

test("steered interrupts and the SCI are level-triggered at the 8259s", () => {
  const { ports } = boardSetup(i440fxBoard(1));
  const elcr = ports.filter(({ port }) => port === 0x4d0 || port === 0x4d1);
  assert.deepEqual(elcr, [
    { port: 0x4d0, size: 1, value: 0x00 },
    { port: 0x4d1, size: 1, value: 0x0e },
  ]);
});

test("the first DMA controller's requests are passed on", () => {
  const dma = boardSetup(i440fxBoard(1)).ports.filter(({ port }) => port >= 0xc0 && port < 0xe0);
  assert.deepEqual(dma, [
    { port: 0xd6, size: 1, value: 0xc0 },
    { port: 0xd4, size: 1, value: 0 },
  ]);
});

test("the boot processor takes the 8259s' interrupts through LINT0", () => {
  const { memory } = boardSetup(i440fxBoard(1));
  assert.deepEqual(memory, [
    { address: 0xfee0_00f0, value: 0x10f },
    { address: 0xfee0_0350, value: 0x700 },
    { address: 0xfee0_0360, value: 0x400 },
  ]);
});
