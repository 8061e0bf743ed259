import assert from "node:assert/strict";
import { test } from "node:test";
import { guestPhysical } from "../../bits/units.ts";
import { PlainMemory } from "../../machine/testing/rig.ts";
import { DriverQueue, INDIRECT, NEXT, WRITE } from "./testing/guest-driver.ts";
import { initialQueueState, MAX_CHAIN, Virtqueue } from "./virtqueue.ts";

const SIZE = 8;

function rig({ eventIndex = false, indirect = false, enable = true } = {}) {
  const memory = new PlainMemory(0x10000);
  const driver = new DriverQueue(memory, 0x1000, SIZE);
  const faults: string[] = [];
  const state = {
    ...initialQueueState(256),
    size: SIZE,
    descLow: driver.desc,
    driverLow: driver.driver,
    deviceLow: driver.device,
  };
  const queue = new Virtqueue({ state, memory, maxSize: 256, fault: (reason) => faults.push(reason) });
  queue.eventIndex = eventIndex;
  queue.indirect = indirect;
  if (enable) queue.enable();
  return { memory, driver, queue, faults };
}

/** What a chain that the driver described comes to: its lengths, or the fault. */
function outcome({ queue, faults }: ReturnType<typeof rig>) {
  const chain = queue.pop();
  return chain === undefined ? faults.at(-1) : [chain.readableLength, chain.writableLength];
}

test("a chain's buffers appear as one readable and one writable stream whatever the framing", () => {
  const { memory, driver, queue } = rig();
  memory.bytes.set([1, 2, 3, 4, 5], 0x4000);
  driver.add(
    { address: 0x4000, length: 2 },
    { address: 0x4002, length: 3 },
    { address: 0x5000, length: 1, writable: true },
    { address: 0x5800, length: 3, writable: true },
  );
  const chain = queue.pop()!;
  const read = new Uint8Array(8);
  assert.equal(chain.read(1, read), 4);
  assert.deepEqual([...read], [2, 3, 4, 5, 0, 0, 0, 0]);
  assert.equal(chain.write(0, Uint8Array.of(9, 8, 7, 6, 5)), 4);
  assert.equal(memory.bytes[0x5000], 9);
  assert.deepEqual([...memory.bytes.subarray(0x5800, 0x5803)], [8, 7, 6]);
  assert.equal(chain.write(2, Uint8Array.of(1)), 1);
  assert.equal(memory.bytes[0x5801], 1);
});

test("views of readable bytes are the RAM itself", () => {
  const { memory, driver, queue } = rig();
  driver.add({ address: 0x4000, length: 16 });
  const [view] = [...queue.pop()!.readableViews(4, 8)];
  memory.bytes[0x4004] = 0x5a;
  assert.equal(view?.[0], 0x5a);
  assert.equal(view?.length, 8);
});

test("chains come in the order made available and go back with the length written", () => {
  const { driver, queue } = rig();
  const first = driver.add({ address: 0x4000, length: 4 });
  const second = driver.add({ address: 0x4000, length: 4 });
  assert.equal(queue.pop()?.head, first);
  assert.equal(queue.pop()?.head, second);
  assert.equal(queue.pop(), undefined);
  queue.push(second, 7);
  queue.push(first, 0);
  assert.deepEqual(driver.takeUsed(), [
    { head: second, length: 7 },
    { head: first, length: 0 },
  ]);
});

test("the ring indices wrap around at 65536", () => {
  const { driver, queue, faults } = rig();
  for (let i = 0; i < 70000; i++) {
    driver.add({ address: 0x4000, length: 1 });
    const chain = queue.pop();
    assert.ok(chain !== undefined, String(faults));
    queue.push(chain.head, i);
    assert.deepEqual(driver.takeUsed(), [{ head: chain.head, length: i }]);
  }
});

test("an indirect table holds the whole chain, also after direct descriptors", () => {
  const { memory, driver, queue } = rig({ indirect: true });
  memory.bytes.set([1, 2, 3], 0x4000);
  driver.addIndirect(0x6000, { address: 0x4000, length: 3 }, { address: 0x5000, length: 5, writable: true });
  const alone = queue.pop();
  assert.deepEqual([alone?.readableLength, alone?.writableLength], [3, 5]);

  driver.describe(2, 0x4000, 3, NEXT, 3);
  // The device ignores the write flag of the descriptor that refers to the table.
  driver.describe(3, 0x6000, 32, INDIRECT | WRITE);
  driver.makeAvailable(2);
  const chain = queue.pop();
  assert.deepEqual([chain?.head, chain?.readableLength, chain?.writableLength], [2, 6, 5]);
});

test("buffers of no bytes are skipped wherever they point", () => {
  const { driver, queue } = rig();
  driver.add({ address: 2 ** 60, length: 0, writable: true }, { address: 0x4000, length: 4 });
  assert.equal(queue.pop()?.readableLength, 4);
});

const violations: [string, RegExp, (r: ReturnType<typeof rig>) => void][] = [
  ["a head outside the table", /outside a table/, ({ driver }) => driver.makeAvailable(SIZE)],
  [
    "a next outside the table",
    /outside a table/,
    ({ driver }) => {
      driver.describe(0, 0x4000, 4, NEXT, 0xffff);
      driver.makeAvailable(0);
    },
  ],
  [
    "a loop of descriptors",
    new RegExp(`more than ${MAX_CHAIN}`),
    ({ driver }) => {
      driver.describe(0, 0x4000, 4, NEXT, 1);
      driver.describe(1, 0x4000, 4, NEXT, 0);
      driver.makeAvailable(0);
    },
  ],
  ["a buffer beyond RAM", /not in RAM/, ({ driver }) => driver.add({ address: 0xfff0, length: 17 })],
  ["a buffer at an enormous address", /not in RAM/, ({ driver }) => driver.add({ address: 2 ** 63, length: 1 })],
  [
    "a readable buffer after a writable one",
    /after a device-writable/,
    ({ driver }) => driver.add({ address: 0x4000, length: 1, writable: true }, { address: 0x4000, length: 1 }),
  ],
  [
    "an available index that jumps",
    /more than the queue size/,
    ({ driver }) => {
      driver.availableIndex = SIZE + 1;
    },
  ],
  [
    "an indirect table inside an indirect table",
    /inside an indirect/,
    ({ driver }) => {
      driver.addIndirect(0x6000, { address: 0x4000, length: 1 });
      driver.describe(0, 0x6000, 16, INDIRECT, 0, 0x6000);
    },
  ],
  [
    "an indirect descriptor with a next",
    /with a next/,
    ({ driver }) => {
      driver.describe(0, 0x6000, 16, INDIRECT | NEXT, 1);
      driver.makeAvailable(0);
    },
  ],
  [
    "an indirect table of a broken size",
    /table of 24 bytes/,
    ({ driver }) => {
      driver.describe(0, 0x6000, 24, INDIRECT);
      driver.makeAvailable(0);
    },
  ],
  [
    "an empty indirect table",
    /table of 0 bytes/,
    ({ driver }) => {
      driver.describe(0, 0x6000, 0, INDIRECT);
      driver.makeAvailable(0);
    },
  ],
  [
    "an indirect table beyond RAM",
    /table is not in RAM/,
    ({ driver }) => {
      driver.describe(0, 0x6000, 0xffff_fff0, INDIRECT);
      driver.makeAvailable(0);
    },
  ],
];

for (const [what, reason, arrange] of violations) {
  test(`${what} is a fault`, () => {
    const r = rig({ indirect: true });
    arrange(r);
    assert.match(String(outcome(r)), reason);
  });
}

test("chains that were put back come again, across the wrap of the indices too", () => {
  const { driver, queue } = rig();
  for (let i = 0; i < 65534; i++) {
    driver.add({ address: 0x4000, length: 4 });
    queue.push(queue.pop()!.head, 0);
  }
  const heads = [1, 2, 3, 4].map((length) => driver.add({ address: 0x4000, length }));
  assert.deepEqual([queue.pop()?.head, queue.pop()?.head, queue.pop()?.head], heads.slice(0, 3));
  queue.putBack(3);
  assert.deepEqual(
    heads.map(() => queue.pop()?.head),
    heads,
  );
  assert.equal(queue.pop(), undefined);
});

test("an indirect descriptor is a fault where the feature was not negotiated", () => {
  const r = rig();
  r.driver.addIndirect(0x6000, { address: 0x4000, length: 1 });
  assert.match(String(outcome(r)), /without VIRTIO_F_INDIRECT_DESC/);
});

test("a chain of more than 2^32 bytes is a fault", () => {
  const memory = new PlainMemory(0x10000);
  const huge = {
    view: (address: number, length: number) => memory.view(guestPhysical(address % 0x8000), length % 0x8000),
    has: () => true,
  };
  const driver = new DriverQueue(memory, 0x1000, SIZE);
  const faults: string[] = [];
  const state = {
    ...initialQueueState(SIZE),
    descLow: driver.desc,
    driverLow: driver.driver,
    deviceLow: driver.device,
  };
  const queue = new Virtqueue({ state, memory: huge, maxSize: SIZE, fault: (reason) => faults.push(reason) });
  queue.enable();
  const most = { address: 0x4000, length: 0x8000_0000, writable: true };
  driver.add(most, most);
  assert.equal(queue.pop()?.writableLength, 2 ** 32);
  driver.add(most, most, { address: 0x4000, length: 1, writable: true });
  assert.equal(queue.pop(), undefined);
  assert.match(faults[0]!, /2\^32/);
});

const unusable: [string, object, RegExp][] = [
  ["of size 0", { size: 0 }, /power of two/],
  ["of a size that is no power of two", { size: 12 }, /power of two/],
  ["larger than the device allows", { size: 512 }, /power of two/],
  ["with a misaligned descriptor table", { descLow: 0x1008 }, /aligned/],
  ["with a misaligned available ring", { driverLow: 0x2001 }, /aligned/],
  ["with a misaligned used ring", { deviceLow: 0x2002 }, /aligned/],
  ["with its table outside RAM", { descHigh: 1 }, /not in RAM/],
  ["with its available ring outside RAM", { driverLow: 0xfffe }, /not in RAM/],
  ["with its used ring outside RAM", { deviceHigh: 0xffff_ffff }, /not in RAM/],
];

for (const [what, change, reason] of unusable) {
  test(`a queue ${what} cannot be enabled`, () => {
    const { queue, faults } = rig({ enable: false });
    Object.assign(queue.state, change);
    queue.enable();
    assert.equal(queue.state.enabled, false);
    assert.match(faults[0]!, reason);
  });
}

test("a driver that sets NO_INTERRUPT is left alone", () => {
  const { driver, queue } = rig();
  const push = () => {
    driver.add({ address: 0x4000, length: 1 });
    queue.push(queue.pop()!.head, 0);
    return queue.takeNotification();
  };
  assert.equal(push(), true);
  driver.availableFlags = 1;
  assert.equal(push(), false);
  driver.availableFlags = 0;
  assert.equal(push(), true);
  assert.equal(queue.takeNotification(), false);
});

test("with EVENT_IDX the driver hears of the used entry it named, once", () => {
  const { driver, queue } = rig({ eventIndex: true });
  const heard = [];
  driver.usedEvent = 2;
  for (let i = 0; i < 5; i++) {
    driver.add({ address: 0x4000, length: 1 });
    queue.push(queue.pop()!.head, 0);
    heard.push(queue.takeNotification());
  }
  assert.deepEqual(heard, [false, false, true, false, false]);
});

test("with EVENT_IDX a batch that passes the named entry notifies", () => {
  const { driver, queue } = rig({ eventIndex: true });
  driver.usedEvent = 1;
  for (let i = 0; i < 4; i++) driver.add({ address: 0x4000, length: 1 });
  for (let i = 0; i < 4; i++) queue.push(queue.pop()!.head, 0);
  assert.equal(queue.takeNotification(), true);
});

test("with EVENT_IDX an empty queue asks for a notification of the next chain", () => {
  const { driver, queue } = rig({ eventIndex: true });
  for (let i = 0; i < 3; i++) driver.add({ address: 0x4000, length: 1 });
  while (queue.pop() !== undefined);
  assert.equal(driver.availableEvent, 3);
});
