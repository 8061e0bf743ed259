import assert from "node:assert/strict";
import { test } from "node:test";
import { STALL } from "../usb/usb-device.ts";
import { UsbTablet } from "./usb-tablet.ts";

const IN = 0x80;

function rig() {
  const tablet = new UsbTablet();
  let ready = 0;
  tablet.attach(() => ready++);
  const request = (bmRequestType: number, bRequest: number, wValue = 0, wIndex = 0, wLength = 0xff) => {
    const answer = tablet.control({ bmRequestType, bRequest, wValue, wIndex, wLength });
    return answer === STALL ? STALL : [...answer];
  };
  const configure = () => request(0, 9, 1);
  const poll = () => {
    const packet = tablet.interruptIn(1);
    return packet instanceof Uint8Array ? Buffer.from(packet).toString("hex") : packet;
  };
  return { tablet, request, configure, poll, readyCalls: () => ready };
}

test("descriptors have the lengths that they tell, and lead to one interrupt IN endpoint of a HID interface", () => {
  const { request } = rig();
  const device = request(IN, 6, 0x100) as number[];
  assert.deepEqual([device.length, device[0], device[1], device[4], device[7], device[17]], [18, 18, 1, 0, 8, 1]);
  const all = request(IN, 6, 0x200) as number[];
  assert.equal(all.length, all[2]! | (all[3]! << 8));
  const kinds: number[] = [];
  for (let at = 0; at < all.length; at += all[at]!) kinds.push(all[at + 1]!);
  assert.deepEqual(kinds, [2, 4, 0x21, 5]);
  assert.deepEqual(all.slice(9, 18), [9, 4, 0, 0, 1, 3, 0, 0, 0]);
  assert.deepEqual(all.slice(27, 34), [7, 5, 0x81, 3, 8, 0, 8]);
  const report = request(IN | 1, 6, 0x2200) as number[];
  assert.equal(report.length, all[25]! | (all[26]! << 8));
  assert.deepEqual(request(IN | 1, 6, 0x2100), all.slice(18, 27));
  assert.deepEqual(request(IN, 6, 0x300), [4, 3, 9, 4]);
  const product = request(IN, 6, 0x302) as number[];
  assert.equal(Buffer.from(product.slice(2)).toString("utf16le"), "USB Tablet");
  for (const value of [0x303, 0x400, 0x600, 0x101, 0x201]) assert.equal(request(IN, 6, value), STALL);
});

test("the report descriptor's items sum up to reports of six bytes", () => {
  const { request } = rig();
  const items = request(IN | 1, 6, 0x2200) as number[];
  let [size, count, bits, depth] = [0, 0, 0, 0];
  for (let at = 0; at < items.length; ) {
    const prefix = items[at]!;
    const length = [0, 1, 2, 4][prefix & 3]!;
    const value = items.slice(at + 1, at + 1 + length).reduceRight((sum, byte) => sum * 256 + byte, 0);
    if ((prefix & 0xfc) === 0x74) size = value;
    if ((prefix & 0xfc) === 0x94) count = value;
    if ((prefix & 0xfc) === 0x80) bits += size * count;
    if ((prefix & 0xfc) === 0xa0) depth++;
    if ((prefix & 0xfc) === 0xc0) depth--;
    at += 1 + length;
  }
  assert.deepEqual([bits, depth], [48, 0]);
});

test("it is in use once configured and asked for reports, until the guest asks no more", () => {
  const { tablet, configure, poll, request } = rig();
  assert.equal(poll(), STALL);
  assert.equal(tablet.isInUse, false);
  assert.deepEqual(configure(), []);
  assert.deepEqual(request(IN, 8), [1]);
  assert.equal(tablet.isInUse, false);
  assert.equal(poll(), undefined);
  assert.equal(tablet.isInUse, true);
  tablet.stopAsking(1);
  assert.equal(tablet.isInUse, false);
  poll();
  tablet.busReset();
  assert.equal(tablet.isInUse, false);
  configure();
  poll();
  request(0, 9, 0);
  assert.equal(tablet.isInUse, false);
  assert.equal(request(0, 9, 2), STALL);
});

test("reports tell places, buttons and the wheel, and motion adds up while the guest is busy", () => {
  const { tablet, configure, poll, readyCalls } = rig();
  configure();
  poll();
  tablet.move({ x: 0x1234, y: 0x7fff });
  assert.equal(readyCalls(), 1);
  assert.equal(poll(), "003412ff7f00");
  tablet.move({ x: 0x1234, y: 0x7fff });
  assert.equal(poll(), undefined, "nothing has changed");
  tablet.move({ x: -5, y: 0x9999, wheel: 1 });
  tablet.move({ x: 1, y: 2, wheel: 1 });
  assert.equal(poll(), "0001000200fe");
  assert.equal(poll(), undefined);
});

test("a press and a release are seen where they were made", () => {
  const { tablet, configure, poll } = rig();
  configure();
  poll();
  tablet.move({ x: 1, y: 1 });
  tablet.buttons(1);
  tablet.move({ x: 2, y: 2 });
  tablet.buttons(0);
  tablet.move({ x: 3, y: 3 });
  const reports = Array.from({ length: 6 }, poll);
  assert.deepEqual(reports.slice(0, 3), ["000100010000", "010100010000", "010200020000"]);
  assert.deepEqual(reports.slice(3), ["000200020000", "000300030000", undefined]);
  for (let i = 0; i < 1000; i++) tablet.buttons(i & 31);
  let last: ReturnType<typeof poll>;
  for (let packet = poll(); packet !== undefined; packet = poll()) last = packet;
  assert.equal(last, "070300030000", "the last state comes in any case");
});

test("requests of HID and of USB are answered as the tablet can", () => {
  const { tablet, request, configure, poll } = rig();
  assert.deepEqual(request(0, 5, 7), []);
  assert.equal(request(0, 5, 128), STALL);
  assert.equal(tablet.state.address, 7);
  assert.equal(request(1, 11), STALL, "no interface before a configuration");
  configure();
  assert.deepEqual(request(1, 11), []);
  assert.equal(request(1, 11, 1), STALL);
  assert.deepEqual(request(IN | 1, 10), [0]);
  assert.deepEqual(
    [request(IN, 0), request(IN | 1, 0), request(IN | 2, 0, 0, 0x81)],
    [
      [0, 0],
      [0, 0],
      [0, 0],
    ],
  );
  assert.deepEqual(request(0x21, 0x0a, 0), []);
  assert.equal(request(0x21, 0x0a, 0x0400), STALL, "an idle rate");
  assert.deepEqual(request(IN | 0x21, 2), [0]);
  assert.deepEqual([request(0x21, 0x0b, 1), request(0x21, 0x0b, 0), request(IN | 0x21, 3)], [[], STALL, [1]]);
  tablet.move({ x: 5, y: 6 });
  assert.deepEqual(request(IN | 0x21, 1, 0x100), [0, 5, 0, 6, 0, 0]);
  assert.equal(request(IN | 0x21, 1, 0x300), STALL);
  assert.deepEqual(request(2, 3, 0, 0x81), []);
  assert.equal(poll(), STALL);
  assert.deepEqual(request(IN | 2, 0, 0, 0x81), [1, 0]);
  assert.deepEqual(request(2, 1, 0, 0x81), []);
  assert.equal(poll(), undefined);
});
