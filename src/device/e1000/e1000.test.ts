import assert from "node:assert/strict";
import { test } from "node:test";
import { NEGOTIATION, Phy } from "./phy.ts";
import { Ctrl, Eecd, Eerd, Icr, Mdic, Register, STATUS, STATUS_LU, Statistic } from "./registers.ts";
import { ADDRESS, BROADCAST, E1000Rig, frameTo, RING_SIZE } from "./testing/e1000-rig.ts";

const COMMAND = 4;
const BAR0 = 0x10;
const BAR1 = 0x14;
const ROM_BAR = 0x30;

test("the function is an 82540EM with 128 KiB of registers, 64 ports and a ROM", () => {
  const { pci } = new E1000Rig({ rom: new Uint8Array(5000) }).nic;
  assert.equal(pci.readConfig(0, 4), 0x100e_8086);
  assert.equal(pci.readConfig(8, 4) >>> 8, 0x02_00_00);
  assert.equal(pci.readConfig(0x2c, 4), 0x001e_8086);
  assert.equal(pci.readConfig(0x3d, 1), 1);
  const sized = (bar: number) => {
    pci.writeConfig(bar, 4, 0xffff_fffe);
    return pci.readConfig(bar, 4);
  };
  assert.equal(sized(BAR0), 0xfffe_0000);
  assert.equal(sized(BAR1), 0xffff_ffc1);
  assert.equal(sized(ROM_BAR), 0xffff_e000);
});

/** As drivers without EERD read a word: nine bits in, a leading zero and sixteen bits out. */
function readMicrowire(rig: E1000Rig, address: number): number {
  const set = (fields: Parameters<typeof Eecd.pack>[0]) => rig.write(Register.eecd, Eecd.pack({ cs: true, ...fields }));
  const dataOut = () => Eecd(rig.read(Register.eecd)).dataOut;
  set({});
  for (let bit = 8; bit >= 0; bit--) {
    const di = (((0b110 << 6) | address) >>> bit) % 2 === 1;
    set({ di });
    set({ di, sk: true });
    set({ di });
  }
  assert.equal(dataOut(), false, "a zero comes before the word");
  let word = 0;
  for (let bit = 0; bit < 16; bit++) {
    set({ sk: true });
    word = (word << 1) | Number(dataOut());
    set({});
  }
  rig.write(Register.eecd, 0);
  return word;
}

test("the EEPROM has the station's address and adds up to BABAh, by EERD and bit by bit", () => {
  const rig = new E1000Rig();
  const words = Array.from({ length: 64 }, (_, addr) => {
    rig.write(Register.eerd, Eerd.pack({ start: true, addr }));
    const { done, data } = Eerd(rig.read(Register.eerd));
    assert.equal(done, true);
    return data;
  });
  assert.deepEqual(words.slice(0, 3), [0x5452, 0x1200, 0x5634]);
  assert.equal(
    words.reduce((sum, word) => (sum + word) & 0xffff),
    0xbaba,
  );
  assert.deepEqual(
    words.map((_, address) => readMicrowire(rig, address)),
    words,
  );
});

test("access to the EEPROM is granted when it is asked for, and writing to it changes nothing", () => {
  const rig = new E1000Rig();
  rig.write(Register.eecd, Eecd.pack({ req: true }));
  const { gnt, pres } = Eecd(rig.read(Register.eecd));
  assert.deepEqual([gnt, pres], [true, true]);
  // EWEN, then WRITE of ones to word 0.
  for (const instruction of ["100110000", `101000000${"1".repeat(16)}`]) {
    rig.write(Register.eecd, Eecd.pack({ cs: true }));
    for (const bit of instruction) {
      const di = bit === "1";
      rig.write(Register.eecd, Eecd.pack({ cs: true, di }));
      rig.write(Register.eecd, Eecd.pack({ cs: true, di, sk: true }));
    }
    assert.equal(Eecd(rig.read(Register.eecd)).dataOut, true, "ready");
    rig.write(Register.eecd, 0);
  }
  assert.equal(readMicrowire(rig, 0), 0x5452);
});

test("the first receive address is the station's after a reset", () => {
  const rig = new E1000Rig();
  const expected = [0x1200_5452, 0x8000_5634];
  assert.deepEqual([rig.read(Register.ral), rig.read(Register.rah)], expected);
  rig.write(Register.ral, 0);
  rig.write(Register.rah, 0);
  rig.write(Register.ctrl, Ctrl.mask.rst);
  assert.deepEqual([rig.read(Register.ral), rig.read(Register.rah)], expected);
});

test("the transceiver is a Marvell 88E1011 whose link is up at 1000 Mb/s", () => {
  const rig = new E1000Rig();
  assert.deepEqual([rig.readPhy(Phy.identifier1), rig.readPhy(Phy.identifier2)], [0x0141, 0x0c20]);
  assert.equal(rig.readPhy(Phy.status), 0x796d);
  assert.equal(rig.readPhy(Phy.specificStatus) & 0xec00, 0xac00);
  assert.equal(rig.read(Register.status), STATUS | STATUS_LU);
  rig.write(Register.mdic, Mdic.pack({ op: 2, phyadd: 2, regadd: Phy.identifier1 }));
  const { r, e } = Mdic(rig.read(Register.mdic));
  assert.deepEqual([r, e], [true, true], "no other answers");
});

test("negotiating anew takes the link down and brings it up, with an interrupt for both", () => {
  const rig = new E1000Rig();
  rig.write(Register.ims, Icr.lsc);
  for (const restart of [
    () => rig.writePhy(Phy.control, 0x1340),
    () => rig.writePhy(Phy.control, 0x9140),
    () => rig.write(Register.ctrl, Ctrl.mask.phyRst),
  ]) {
    restart();
    assert.equal(rig.read(Register.status) & STATUS_LU, 0);
    assert.equal(rig.read(Register.icr), Icr.lsc);
    assert.equal(rig.readPhy(Phy.status) & 0x24, 0);
    rig.time.advance(NEGOTIATION);
    assert.equal(rig.intx.level, true);
    assert.equal(rig.read(Register.status) & STATUS_LU, STATUS_LU);
    assert.equal(rig.read(Register.icr), Icr.lsc);
    assert.deepEqual([rig.readPhy(Phy.status) & 0x24, rig.readPhy(Phy.status) & 0x24], [0x20, 0x24]);
    assert.equal(rig.readPhy(Phy.control), 0x1140, "the bits that start it do not stay");
  }
});

test("a transceiver that is powered down has no link until it is powered up and has negotiated", () => {
  const rig = new E1000Rig();
  rig.writePhy(Phy.control, 0x1940);
  rig.time.advance(10 * NEGOTIATION);
  assert.equal(rig.read(Register.status) & STATUS_LU, 0);
  rig.writePhy(Phy.control, 0x1140);
  assert.equal(rig.read(Register.status) & STATUS_LU, 0);
  rig.time.advance(NEGOTIATION);
  assert.equal(rig.read(Register.status) & STATUS_LU, STATUS_LU);
});

test("a cable that is pulled out and put in again is told by interrupts, and the loss stays to be read once", () => {
  const rig = new E1000Rig();
  rig.write(Register.ims, Icr.lsc);
  rig.startReceive();
  rig.nic.setLink(false);
  assert.equal(rig.intx.level, true);
  assert.equal(rig.read(Register.icr), Icr.lsc);
  assert.equal(rig.read(Register.status) & STATUS_LU, 0);
  assert.equal(rig.otherPort.transmit(frameTo(ADDRESS)), true, "nobody to wait for");
  rig.startTransmit();
  rig.legacy(frameTo(BROADCAST));
  rig.send();
  assert.equal(rig.other.heard.length, 0);
  assert.equal(rig.txStatus(0) & 1, 1, "what is sent without a link is lost");
  rig.nic.setLink(true);
  rig.nic.setLink(true);
  assert.equal(rig.read(Register.icr) & Icr.lsc, Icr.lsc);
  assert.equal(rig.read(Register.icr), 0);
  assert.deepEqual([rig.readPhy(Phy.status) & 4, rig.readPhy(Phy.status) & 4], [0, 4]);
  assert.equal(rig.take(), undefined);
  rig.nic.setLink(false);
  rig.nic.reset();
  assert.equal(rig.read(Register.status) & STATUS_LU, 0, "a reset puts no cable in");
});

test("interrupt causes are masked by IMS, set by ICS, and cleared by reading ICR or writing ones to it", () => {
  const rig = new E1000Rig();
  rig.write(Register.ics, Icr.rxt0 | Icr.txdw);
  assert.equal(rig.intx.level, false);
  rig.write(Register.ims, Icr.rxt0);
  assert.equal(rig.intx.level, true);
  rig.write(Register.imc, Icr.rxt0);
  assert.equal(rig.intx.level, false);
  rig.write(Register.ims, Icr.txdw);
  assert.equal(rig.read(Register.ims), Icr.txdw);
  assert.equal(rig.intx.level, true);
  rig.write(Register.icr, Icr.txdw);
  assert.equal(rig.intx.level, false);
  assert.equal(rig.read(Register.icr), Icr.rxt0);
  assert.equal(rig.read(Register.icr), 0);
});

test("interrupts are as far apart as ITR says", () => {
  const rig = new E1000Rig();
  rig.write(Register.ims, Icr.rxt0);
  rig.write(Register.itr, 1000);
  rig.write(Register.ics, Icr.rxt0);
  assert.equal(rig.intx.rises, 1, "the first comes at once");
  rig.read(Register.icr);
  rig.write(Register.ics, Icr.rxt0);
  rig.time.advance(255_999);
  assert.equal(rig.intx.level, false);
  rig.time.advance(1);
  assert.equal(rig.intx.rises, 2);
  rig.read(Register.icr);
  rig.write(Register.ics, Icr.rxt0);
  assert.equal(rig.intx.level, false);
  rig.write(Register.itr, 0);
  assert.equal(rig.intx.rises, 3, "without an interval there is none to wait for");
  rig.read(Register.icr);
  rig.write(Register.itr, 1000);
  rig.write(Register.ics, Icr.rxt0);
  rig.read(Register.icr);
  rig.write(Register.ics, Icr.rxt0);
  rig.read(Register.icr);
  rig.time.advance(1e9);
  assert.equal(rig.intx.level, false, "what was read before its time interrupts nobody");
});

test("the ports reach every register by its address", () => {
  const rig = new E1000Rig();
  rig.nic.pci.writeConfig(BAR1, 4, 0xc001);
  rig.ports.write(0xc000, 4, Register.tipg);
  rig.ports.write(0xc004, 4, 0x0060_200a);
  assert.equal(rig.ports.read(0xc000, 4), Register.tipg);
  assert.equal(rig.ports.read(0xc004, 4), 0x0060_200a);
  assert.equal(rig.read(Register.tipg), 0x0060_200a);
  rig.ports.write(0xc000, 4, 0xffff_fffc);
  rig.ports.write(0xc004, 4, 1);
  assert.equal(rig.ports.read(0xc004, 4), 0);
});

test("a global reset stops both rings and clears masks, but keeps PBA and the link", () => {
  const rig = new E1000Rig();
  rig.write(Register.pba, 0x28);
  rig.write(Register.ims, 0x1f);
  rig.write(Register.ics, Icr.rxdmt0);
  rig.startReceive();
  rig.startTransmit();
  rig.write(Register.mta, 5);
  assert.equal(rig.intx.level, true);
  rig.write(Register.ctrl, Ctrl.mask.rst | Ctrl.mask.slu);
  assert.equal(rig.intx.level, false);
  assert.equal(rig.read(Register.pba), 0x0018_0028);
  for (const register of [Register.ims, Register.icr, Register.rctl, Register.tctl, Register.mta, Register.rdlen]) {
    assert.equal(rig.read(register), 0);
  }
  assert.equal(rig.read(Register.status) & STATUS_LU, STATUS_LU);
  assert.equal(Ctrl(rig.read(Register.ctrl)).rst, false);
  assert.equal(rig.otherPort.transmit(frameTo(ADDRESS)), true);
});

test("statistics are cleared by reading them, octets by their upper half", () => {
  const rig = new E1000Rig();
  rig.startReceive();
  for (const length of [60, 100, 1514]) rig.otherPort.transmit(frameTo(ADDRESS, length));
  rig.otherPort.transmit(frameTo(BROADCAST, 200));
  assert.deepEqual(
    [Statistic.gprc, Statistic.tpr, Statistic.bprc, Statistic.prc64, Statistic.prc64 + 4, Statistic.prc64 + 20].map(
      (statistic) => [rig.read(statistic), rig.read(statistic)],
    ),
    [4, 4, 1, 1, 1, 1].map((count) => [count, 0]),
  );
  const octets = 64 + 104 + 1518 + 204;
  assert.equal(rig.read(Statistic.gorcl), octets);
  assert.equal(rig.read(Statistic.gorcl), octets);
  assert.equal(rig.read(Statistic.gorcl + 4), 0);
  assert.equal(rig.read(Statistic.gorcl), 0);
});

test("without being a bus master the controller neither sends nor receives, and goes on when it is again", () => {
  const rig = new E1000Rig();
  rig.startReceive();
  rig.startTransmit();
  rig.nic.pci.writeConfig(COMMAND, 2, 3);
  rig.legacy(frameTo(BROADCAST));
  rig.send();
  assert.equal(rig.otherPort.transmit(frameTo(ADDRESS)), true);
  assert.equal(rig.other.heard.length, 0);
  rig.nic.pci.writeConfig(COMMAND, 2, 7);
  assert.equal(rig.other.heard.length, 1);
  assert.equal(rig.take(), undefined);
});

test("in the transceiver's loopback what is sent comes back, and the others neither hear nor are heard", () => {
  const rig = new E1000Rig();
  rig.startReceive();
  rig.startTransmit();
  rig.writePhy(Phy.control, 0x4140);
  rig.legacy(frameTo(ADDRESS, 80));
  rig.send();
  assert.deepEqual(rig.take()?.bytes, frameTo(ADDRESS, 80));
  assert.equal(rig.otherPort.transmit(frameTo(ADDRESS)), true);
  assert.equal(rig.take(), undefined);
  assert.equal(rig.other.heard.length, 0);
});

test("a controller that goes on from a snapshot has its rings, its link and its interrupt", () => {
  const saved = new E1000Rig();
  saved.startReceive();
  saved.startTransmit();
  saved.write(Register.ims, Icr.rxt0);
  saved.writePhy(Phy.control, 0x1340);
  saved.write(Register.ics, Icr.rxt0);
  const rig = new E1000Rig();
  Object.assign(rig.nic.state, structuredClone(saved.nic.state));
  rig.nic.restored();
  assert.equal(rig.intx.level, true);
  assert.equal(rig.read(Register.status) & STATUS_LU, 0);
  rig.time.advance(NEGOTIATION);
  assert.equal(rig.read(Register.icr), Icr.rxt0 | Icr.lsc);
  rig.memory.bytes.set(saved.memory.bytes);
  rig.otherPort.transmit(frameTo(ADDRESS));
  assert.deepEqual(rig.take()?.bytes, frameTo(ADDRESS));
  rig.legacy(frameTo(BROADCAST));
  rig.send();
  assert.equal(rig.other.heard.length, 1);
  assert.equal(rig.read(Register.tdlen), RING_SIZE * 16);
});
