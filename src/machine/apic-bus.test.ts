import assert from "node:assert/strict";
import { test } from "node:test";
import { ApicBus, type ApicBusAgent, type InterruptMessage } from "./apic-bus.ts";

class Agent implements ApicBusAgent {
  readonly taken: InterruptMessage[] = [];
  readonly #id: number;
  takesInterrupts = true;
  processorPriority = 0;
  constructor(id: number) {
    this.#id = id;
  }
  addressedBy({ destination, broadcast }: InterruptMessage): boolean {
    return broadcast || destination === this.#id;
  }
  accept(message: InterruptMessage): void {
    this.taken.push(message);
  }
}

function rig(count: number) {
  const bus = new ApicBus();
  const agents = Array.from({ length: count }, (_, id) => new Agent(id));
  for (const agent of agents) bus.attachLocalApic(agent);
  return { bus, agents };
}

test("a device's message names destination, mode, vector and trigger in its address and data", () => {
  const { bus, agents } = rig(3);
  bus.send(0xfee02000, 0x0041);
  bus.send(0xfee02004, 0xc242);
  bus.send(0xfee02000, 0x8043);
  bus.send(0xfed02000, 0x0044);
  bus.send(0x1_fee02000, 0x0045);
  assert.deepEqual(agents[2]!.taken, [
    { destination: 2, broadcast: false, logical: false, mode: 0, vector: 0x41, level: false },
    { destination: 2, broadcast: false, logical: true, mode: 2, vector: 0x42, level: true },
  ]);
});

test("a redirection hint and lowest-priority delivery pick one of the destinations", () => {
  const { bus, agents } = rig(3);
  agents[1]!.processorPriority = 0x10;
  bus.send(0xfeeff008, 0x41);
  bus.send(0xfeeff000, 0x142);
  bus.send(0xfeeff000, 0x143);
  assert.deepEqual(
    agents.map(({ taken }) => taken.map(({ vector }) => vector)),
    [[0x42], [], [0x41, 0x43]],
  );
});

test("a message that no APIC takes is told to its sender", () => {
  const { bus, agents } = rig(2);
  const message = { destination: 1, broadcast: false, logical: false, mode: 0, vector: 0x41, level: true };
  assert.equal(bus.deliver(message), true);
  assert.equal(bus.deliver({ ...message, destination: 7 }), false);
  agents[1]!.takesInterrupts = false;
  assert.equal(bus.deliver(message), false);
  assert.equal(bus.deliver({ ...message, mode: 1 }), false);
  assert.equal(bus.deliver({ ...message, mode: 4 }), true, "an NMI needs no enabling");
});

test("the end of an interrupt reaches every I/O APIC", () => {
  const { bus } = rig(1);
  const ended: string[] = [];
  for (const name of ["a", "b"]) bus.attachIoApic({ endOfInterrupt: (vector) => void ended.push(`${name} ${vector}`) });
  bus.endOfInterrupt(65);
  assert.deepEqual(ended, ["a 65", "b 65"]);
});
