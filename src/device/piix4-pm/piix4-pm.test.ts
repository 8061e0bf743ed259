import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualTime, ProbeLine } from "../../machine/testing/rig.ts";
import { oscillator } from "../oscillator/oscillator.ts";
import { ACPI_DISABLE, ACPI_ENABLE, APMC_PORT, APMS_PORT, Piix4Pm, PM_TIMER_HERTZ, PmRegister } from "./piix4-pm.ts";

const CLK = oscillator(PM_TIMER_HERTZ);
const { pmsts, pmen, pmcntrl, pmtmr, gpsts, gpen } = PmRegister;

function rig(timerBits: 24 | 32 = 24) {
  const time = new ManualTime();
  const sci = new ProbeLine();
  let off = 0;
  const pm = new Piix4Pm({ timerBits }, { time, sci, onSoftOff: () => off++ });
  const inw = (offset: number) => pm.block.readPort(offset, 2);
  const outw = (offset: number, value: number) => pm.block.writePort(offset, 2, value);
  const inl = (offset: number) => pm.block.readPort(offset, 4);
  const runTo = (tick: number) => time.advance(CLK.timeOf(tick) - time.now());
  const acpiOn = () => pm.writePort(APMC_PORT, 1, ACPI_ENABLE);
  return { time, sci, pm, inw, outw, inl, runTo, acpiOn, off: () => off };
}

test("ACPI enable and disable by the SMI command port show in SCI_EN", () => {
  const { pm, inw, acpiOn } = rig();
  assert.equal(inw(pmcntrl) & 1, 0);
  acpiOn();
  assert.equal(inw(pmcntrl) & 1, 1);
  assert.equal(pm.readPort(APMC_PORT, 1), ACPI_ENABLE);
  pm.writePort(APMC_PORT, 1, ACPI_DISABLE);
  assert.equal(inw(pmcntrl) & 1, 0);
  pm.writePort(APMS_PORT, 1, 0x5a);
  assert.equal(pm.readPort(APMS_PORT, 1), 0x5a);
});

test("the timer counts at 3.579545 MHz in 24 bits", () => {
  const { time, inl, runTo } = rig();
  assert.equal(inl(pmtmr), 0);
  time.advance(1e9);
  assert.equal(inl(pmtmr), 3_579_545);
  runTo(2 ** 24 - 1);
  assert.equal(inl(pmtmr), 0xffffff);
  runTo(2 ** 24);
  assert.equal(inl(pmtmr), 0);
});

test("the timer can have 32 bits, and is read in any size", () => {
  const { pm, inl, runTo } = rig(32);
  runTo(0xfedcba98);
  assert.equal(inl(pmtmr), 0xfedcba98);
  assert.equal(pm.block.readPort(pmtmr + 2, 2), 0xfedc);
  assert.equal(pm.block.readPort(pmtmr, 1), 0x98);
});

test("a change of the timer's highest bit sets TMROF_STS and, where enabled, the SCI", () => {
  const { sci, inw, outw, runTo, acpiOn } = rig();
  acpiOn();
  outw(pmen, 0x0001);
  runTo(2 ** 23 - 1);
  assert.equal(sci.level, false);
  assert.equal(inw(pmsts), 0);
  runTo(2 ** 23);
  assert.equal(sci.level, true);
  assert.equal(inw(pmsts), 1);
  outw(pmsts, 1);
  assert.equal(sci.level, false);
  runTo(2 ** 24 - 1);
  assert.equal(sci.level, false);
  runTo(2 ** 24);
  assert.equal(sci.level, true);
});

test("without its enable TMROF_STS is set all the same and waits", () => {
  const { sci, inw, outw, runTo, acpiOn } = rig();
  acpiOn();
  runTo(2 ** 25);
  assert.equal(inw(pmsts), 1);
  assert.equal(sci.level, false);
  outw(pmen, 1);
  assert.equal(sci.level, true);
});

test("the power button is an event that the guest hears of when it enabled it", () => {
  const { pm, sci, inw, outw, acpiOn } = rig();
  assert.equal(pm.pressPowerButton(), false);
  assert.equal(sci.level, false);
  acpiOn();
  outw(pmen, 0x0120);
  assert.equal(sci.level, true, "the press before is still pending");
  outw(pmsts, 0x0100);
  assert.equal(sci.level, false);
  assert.equal(pm.pressPowerButton(), true);
  assert.equal(inw(pmsts), 0x0100);
  assert.equal(sci.level, true);
});

test("status is cleared by byte writes of the byte that holds it", () => {
  const { pm, inw, outw, acpiOn } = rig();
  acpiOn();
  outw(pmen, 0x0100);
  pm.pressPowerButton();
  pm.block.writePort(pmsts, 1, 0xff);
  assert.equal(inw(pmsts), 0x0100);
  pm.block.writePort(pmsts + 1, 1, 0x01);
  assert.equal(inw(pmsts), 0);
  pm.block.writePort(pmen + 1, 1, 0);
  assert.equal(inw(pmen), 0);
});

test("enables keep only their bits, also in a write over status and enable", () => {
  const { pm, inw } = rig();
  pm.block.writePort(pmsts, 4, 0xffff_ffff);
  assert.equal(inw(pmen), 0x0521);
});

test("general-purpose events raise the SCI through their enable", () => {
  const { pm, sci, inw, outw, acpiOn } = rig();
  acpiOn();
  outw(gpen, 0x0004);
  pm.raiseGeneralPurposeEvent(1);
  assert.equal(sci.level, false);
  pm.raiseGeneralPurposeEvent(2);
  assert.equal(sci.level, true);
  assert.equal(inw(gpsts), 0x0006);
  outw(gpsts, 0x0004);
  assert.equal(sci.level, false);
  assert.equal(inw(gpsts), 0x0002);
});

test("SUS_EN with the soft-off type turns the machine off, other types do nothing", () => {
  const { inw, outw, off } = rig();
  outw(pmcntrl, 0x2401);
  assert.equal(off(), 0);
  assert.equal(inw(pmcntrl), 0x0401, "SUS_EN reads as zero");
  outw(pmcntrl, 0x0001);
  assert.equal(off(), 0);
  outw(pmcntrl, 0x2001);
  assert.equal(off(), 1);
});

test("registers without function keep what is written, status among them reads as zero", () => {
  const { pm, inl } = rig();
  assert.equal(inl(PmRegister.gporeg), 0x7fffbfff);
  pm.block.writePort(PmRegister.glbctl, 4, 0x12345678);
  assert.equal(inl(PmRegister.glbctl), 0x12345678);
  pm.block.writePort(0x18, 4, 0xffffffff);
  assert.equal(inl(0x18), 0);
  assert.equal(pm.block.readPort(0x14, 1), 0, "P_LVL2");
});

test("reset drops enables and events; the timer goes on", () => {
  const { pm, sci, inw, inl, outw, runTo, acpiOn } = rig();
  acpiOn();
  outw(pmen, 0x0101);
  runTo(2 ** 23 + 5);
  pm.pressPowerButton();
  pm.reset();
  assert.equal(sci.level, false);
  assert.equal(inw(pmsts), 0);
  assert.equal(inw(pmcntrl), 0);
  assert.equal(inl(pmtmr), 2 ** 23 + 5);
});

test("a restored block asks for its SCI and its next overflow again", () => {
  const { pm, outw, acpiOn } = rig();
  acpiOn();
  outw(pmen, 0x0101);
  const time = new ManualTime();
  const sci = new ProbeLine();
  const copy = new Piix4Pm({ timerBits: 24 }, { time, sci, onSoftOff: () => {} });
  Object.assign(copy.state, structuredClone(pm.state));
  copy.restored();
  time.advance(CLK.timeOf(2 ** 23) - 1);
  assert.equal(sci.level, false);
  time.advance(1);
  assert.equal(sci.level, true);
});
