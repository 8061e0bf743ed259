import assert from "node:assert/strict";
import { test } from "node:test";
import type { PointerKind } from "./definition.ts";
import { Machine } from "./machine.ts";
import { nodeHost } from "./node/host.ts";

const SLOTS = 32;

async function machine(pointer?: PointerKind): Promise<Machine> {
  return Machine.create(
    {
      memory: 4 << 20,
      cpu: "max",
      clock: "icount",
      disks: [],
      serial: { write: () => {} },
      debugExit: false,
      noReboot: true,
      ...(pointer ? { pointer } : {}),
    },
    nodeHost(),
  );
}

/** Class codes of the functions 0 on the PCI bus. */
function classes({ board }: Machine): number[] {
  return Array.from({ length: SLOTS }, (_, slot) => {
    board.ports.write(0xcf8, 4, 0x8000_0008 + slot * 0x800);
    return board.ports.read(0xcfc, 4) >>> 8;
  });
}

test("a machine has a USB controller where it is to have a tablet", async () => {
  for (const [pointer, controllers] of [
    [undefined, 0],
    ["mouse", 0],
    ["tablet", 1],
  ] as const) {
    const made = await machine(pointer);
    assert.equal(classes(made).filter((code) => code === 0x0c_03_30).length, controllers, `${pointer}`);
    assert.equal(made.board.devices.has("xhci") && made.board.devices.has("usb-tablet"), controllers === 1);
    assert.equal(made.input.takesPlaces, false);
    made.processor.close();
  }
});
