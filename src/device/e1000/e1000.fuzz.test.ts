import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { RECEIVE_ADDRESSES, Register } from "./registers.ts";
import { ADDRESS, BROADCAST, E1000Rig, frameTo, OTHER, RAM, RX_BUFFERS, TX_BUFFERS } from "./testing/e1000-rig.ts";

const REGISTERS = Object.values(Register);
const BAR1 = 0x14;

test("whatever a guest writes, nothing is thrown, work and memory are bounded, and a reset brings the controller back", () => {
  const random = new SeededRandom(82540);
  const rig = new E1000Rig();
  rig.nic.pci.writeConfig(BAR1, 4, 0xc001);
  rig.startTransmit();
  rig.startReceive();
  const rings = () => random.pick([0x1000, 0x2000, random.below(RAM), RAM - 64, random.next()]);
  const value = () =>
    random.pick([0, 1, 16, random.below(64), random.below(0x10000), rings(), random.next(), 0xffff_ffff]);
  const word = () => random.pick([random.next(), random.next() & 0x2f10_ffff, random.below(3000)]);
  const address = () => random.pick([TX_BUFFERS, RX_BUFFERS, RAM - 100, 0, random.next()]);
  const total = { sent: 0, received: 0, refused: 0 };
  for (let i = 0; i < 20_000; i++) {
    const action = random.below(20);
    switch (action) {
      case 0: {
        const size = random.pick([1, 2, 4] as const);
        const read = rig.nic.readMemory(random.pick([random.below(0x2_0000), random.pick(REGISTERS)]) & -size, size);
        assert.ok(Number.isInteger(read) && read >= 0 && read < 2 ** (8 * size));
        break;
      }
      case 1:
        rig.nic.writeMemory(random.below(0x2_0000), random.pick([1, 2, 4]), random.next());
        break;
      case 2:
      case 3:
        rig.write(random.pick(REGISTERS), value());
        break;
      case 4:
        rig.write(Register.tdt, random.below(20));
        break;
      case 5:
        rig.write(Register.rdt, random.below(20));
        break;
      case 6:
        rig.ports.write(0xc000 + random.below(64), random.pick([1, 2, 4]), value());
        assert.ok(rig.ports.read(0xc004, 4) >= 0);
        break;
      case 7:
        rig.write(Register.mdic, random.pick([random.next(), (random.next() & 0x0c1f_ffff) | (1 << 21)]));
        break;
      case 8:
        if (random.below(10) === 0) rig.nic.setLink(random.below(3) > 0);
        if (random.below(10) === 0) rig.nic.pci.writeConfig(4, 2, random.pick([0, 3, 7, 7, 7]));
        break;
      case 9:
        if (!rig.otherPort.transmit(frameTo(random.pick([ADDRESS, BROADCAST, OTHER]), 14 + random.below(1510)))) {
          total.refused++;
        } else if (rig.nic.state.interrupts.causes & 0x80) total.received++;
        break;
      case 10:
        rig.other.hasRoom = random.below(4) > 0;
        if (rig.other.hasRoom) rig.otherPort.roomAgain();
        break;
      case 11:
        rig.time.advance(random.pick([100, 20_000, 200_000, 200_000_000]));
        break;
      case 12:
        for (let n = random.below(6); n >= 0; n--) {
          const at = random.pick([0x1000, 0x2000]) + random.below(20) * 16;
          [address(), random.pick([0, 0, 0, random.next()]), word(), random.next()].forEach((each, index) =>
            rig.view.setUint32(at + index * 4, each, true),
          );
        }
        break;
      case 14:
      case 15:
        rig.context({
          command: random.pick([3, 7, 7, random.below(256)]),
          ipcss: random.pick([14, random.below(256)]),
          ipcso: random.pick([24, random.below(256)]),
          ipcse: random.pick([33, random.below(0x10000)]),
          tucss: random.pick([34, random.below(256)]),
          tucso: random.pick([50, random.below(256)]),
          tucse: random.pick([0, random.below(0x10000)]),
          hdrlen: random.pick([54, random.below(256)]),
          mss: random.pick([1, 500, 1460, random.below(0x10000)]),
        });
        break;
      case 16:
      case 17:
      case 18: {
        const bytes = frameTo(OTHER, 14 + random.below(random.pick([100, 1510, 5000])));
        const command = random.pick([9, 13, 13, 8, 12, 0x4f, random.below(256)]);
        if (random.below(4) === 0) rig.legacy(bytes, { command, cso: random.below(256), css: random.below(256) });
        else rig.data(bytes, { command: command & ~0x20, popts: random.below(4), special: random.below(0x10000) });
        break;
      }
      case 19:
        rig.send();
        break;
      case 13:
        rig.startTransmit(random.pick([8, 16, 16, 24]));
        if (random.below(2)) rig.write(Register.rctl, random.next());
        else rig.startReceive({ rctl: random.next() & ~0xc0, descriptors: random.below(16) });
        break;
    }
    if (action !== 11) assert.ok(rig.other.heard.length <= 2 * 512, "what one access sends is bounded");
    total.sent += rig.other.heard.length;
    assert.ok(rig.other.heard.every((frame) => frame.length >= 14 && frame.length <= 1514));
    rig.other.heard.length = 0;
    assert.equal(rig.nic.state.registers.length, 0x5c00 / 4);
    assert.equal(rig.nic.state.phy.registers.length, 32);
  }
  assert.ok(total.sent > 1000 && total.received > 500 && total.refused > 0, JSON.stringify(total));
  rig.other.hasRoom = true;
  rig.nic.reset();
  rig.nic.setLink(true);
  rig.nic.pci.writeConfig(4, 2, 7);
  assert.equal(rig.read(Register.rah + (RECEIVE_ADDRESSES - 1) * 8), 0);
  rig.time.advance(1e9);
  rig.startTransmit();
  rig.startReceive();
  rig.legacy(frameTo(OTHER));
  rig.send();
  assert.deepEqual(rig.other.heard, [frameTo(OTHER)]);
  rig.otherPort.transmit(frameTo(ADDRESS));
  assert.deepEqual(rig.take()?.bytes, frameTo(ADDRESS));
});

test("a packet of the largest size in the smallest segments does not hold the guest up", () => {
  const rig = new E1000Rig();
  rig.startTransmit();
  rig.context({ command: 7, ipcss: 14, tucss: 34, hdrlen: 54, mss: 1 });
  // Data descriptors without EOP, and the one with it.
  for (let i = 0; i < 4; i++) {
    rig.put([0, 0, (0xffff | (1 << 20) | ((i === 3 ? 0x2d : 0x2c) << 24)) >>> 0, 0x300]);
  }
  rig.send();
  assert.equal(rig.other.heard.length, 512);
  rig.time.advance(100_000);
  assert.equal(rig.other.heard.length, 11 * 512);
  rig.write(Register.tctl, 0);
  rig.time.advance(1e9);
  assert.equal(rig.other.heard.length, 11 * 512, "and ends where the transmitter is switched off");
});

test("the longest ring without an end of a packet is gone through once", () => {
  const rig = new E1000Rig();
  rig.write(Register.tdbal, 0x1_0000);
  rig.write(Register.tdlen, 0xf_ff80);
  const size = 0xf_ff80 / 16;
  for (let i = 0; i < size; i++) rig.view.setUint32(0x1_0000 + i * 16 + 8, (0x28 << 24) | (1 << 20) | 60, true);
  rig.write(Register.tctl, 2);
  rig.write(Register.tdt, size - 1);
  assert.equal(rig.read(Register.tdh), 4096);
  rig.time.advance(1e6);
  assert.equal(rig.read(Register.tdh), Math.floor((size - 1) / 512) * 512);
  assert.equal(rig.other.heard.length, 0);
});
