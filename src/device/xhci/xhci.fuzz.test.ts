import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { UsbTablet } from "../usb-tablet/usb-tablet.ts";
import { Area, CompletionCode, TrbControl, TrbType } from "./layout.ts";
import { COMMAND_RING, EP0_RING, EVENT_RING, INPUT_CONTEXT, INTERRUPT_RING, XhciRig } from "./testing/node/xhci-rig.ts";

const COMMANDS = [9, 10, 11, 12, 13, 14, 15, 16, 17, 23];
const STAGES = [TrbType.normal, TrbType.setupStage, TrbType.dataStage, TrbType.statusStage, TrbType.eventData];
const PLACES = [COMMAND_RING, EP0_RING, INTERRUPT_RING, EVENT_RING, INPUT_CONTEXT, 0x1000, 0x2000];

test("whatever a guest writes, the controller stays bounded, and a reset brings it back", () => {
  const random = new SeededRandom(3031);
  const tablet = new UsbTablet();
  const rig = new XhciRig([tablet]);
  const view = new DataView(rig.memory.bytes.buffer);
  const place = () => random.pick(PLACES) + random.below(64) * 4;
  const address = () => random.pick([0, place(), place() & ~0xf, random.next()]);
  const put = (ring: "commands" | "ep0" | "interrupts") => {
    const isCommand = ring === "commands";
    const type = random.below(30) ? random.pick(isCommand ? COMMANDS : STAGES) : random.below(64);
    const flags = isCommand
      ? (random.below(8) === 0 ? 0x200 : 0) | (random.pick([1, 3, random.below(32)]) << 16) | (random.below(4) << 24)
      : random.pick([TrbControl.mask.idt, TrbControl.mask.ioc, TrbControl.mask.chain, random.next() & 0xffff_03fe]);
    rig[ring].put({
      low: isCommand ? random.pick([INPUT_CONTEXT, address()]) : random.pick([0x0100_0680, 0x0001_0900, address()]),
      high: random.below(10) ? random.pick([0, 0x12_0000]) : random.next(),
      status: random.pick([8, 0, 64, random.next()]),
      control: ((type << 10) | (flags & ~(isCommand ? 0xfc01 : 0xfc03))) >>> 0,
    });
  };
  for (let i = 0; i < 30_000; i++) {
    switch (random.below(16)) {
      case 0:
        if (random.below(8) === 0) rig.xhci.writeMemory(random.below(0x3000), random.pick([1, 2, 4]), random.next());
        break;
      case 1: {
        const size = random.pick([1, 2, 4] as const);
        const value = rig.xhci.readMemory(random.below(0x3000) & -size, size);
        assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size));
        break;
      }
      case 2:
        if (random.below(4) === 0)
          view.setUint32(place(), random.pick([random.next(), random.below(64), address()]), true);
        break;
      case 3:
        if (random.below(4) === 0)
          rig.write32(Area.ports + random.below(4) * 0x10, random.pick([0x210, 0x202, 0x1_0060, random.next()]));
        break;
      case 4:
        if (random.below(20) === 0) rig.xhci.pci.writeConfig(4, 2, random.pick([0, 2, 6, 6, 6]));
        break;
      case 5:
        tablet.move({ x: random.below(0x9000) - 100, y: random.next(), wheel: random.below(3) - 1 });
        tablet.buttons(random.next());
        break;
      case 6:
        if (random.below(8) !== 0) break;
        rig.xhci.pci.writeConfig(4, 2, 6);
        rig.configured();
        break;
      case 12:
        rig.control(random.below(3), {
          bmRequestType: random.pick([0, 1, 2, 0x21, 0x80, 0x81, 0x82, 0xa1]),
          bRequest: random.below(16),
          wValue: random.pick([0, 1, 0x100, 0x200, 0x302, 0x2200, random.below(0x10000)]),
          wIndex: random.pick([0, 0, 0x81]),
          wLength: random.pick([0, 8, 64, random.below(0x10000)]),
        });
        break;
      case 13:
        rig.askInterrupt(random.below(3), { length: random.below(12), address: address(), bei: random.below(2) === 0 });
        break;
      case 7:
        rig.acknowledge();
        break;
      case 8:
        rig.takeAll();
        break;
      case 9:
        random.pick([() => rig.addressInput(), () => rig.configureInput()])();
        break;
      case 10:
      case 11:
        rig.doorbell(random.below(4), random.pick([0, 1, 3, random.below(32)]));
        break;
      default:
        put(random.pick(["commands", "ep0", "interrupts"]));
    }
    const { state } = rig.xhci;
    assert.ok(state.eventsWaiting.length <= 512 && state.slots.length <= 9 && state.portsc.length === 4);
    for (const slot of state.slots) {
      assert.ok((slot?.endpoints.length ?? 0) <= 32);
      for (const endpoint of slot?.endpoints ?? []) assert.ok((endpoint?.control?.data.length ?? 0) <= 0xffff);
    }
    assert.ok(tablet.state.reports.length <= 32);
  }
  rig.xhci.pci.writeConfig(4, 2, 6);
  rig.xhci.reset();
  rig.xhci.pci.writeConfig(4, 2, 6);
  const slot = rig.configured();
  const status = rig.control(slot, { bmRequestType: 0, bRequest: 9, wValue: 1 }).at(-1);
  assert.equal(status?.code, CompletionCode.success);
  rig.askInterrupt(slot);
  tablet.move({ x: 1, y: 2, wheel: 1 });
  assert.equal(rig.take()?.code, CompletionCode.shortPacket);
});
