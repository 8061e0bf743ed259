import assert from "node:assert/strict";
import { test } from "node:test";
import { HPET_ADDRESS, Hpet } from "../../device/hpet/hpet.ts";
import { ACPI_DISABLE, ACPI_ENABLE, APMC_PORT, PmRegister, SUS_TYP_SOFT_OFF } from "../../device/piix4-pm/piix4-pm.ts";
import { RESET_CONTROL_PORT, ResetControl } from "../../device/reset-control/reset-control.ts";
import { ManualTime, ProbeLine } from "../../machine/testing/rig.ts";
import { i440fxBoard, PC_HPET, pirqOf } from "./board.ts";

test("the tables name the registers that the power management device has", () => {
  const { power } = i440fxBoard(1);
  assert.deepEqual(power.smiCommand, { port: APMC_PORT, enable: ACPI_ENABLE, disable: ACPI_DISABLE });
  assert.equal(power.softOff, SUS_TYP_SOFT_OFF);
  assert.equal(power.gpe0.port - power.base, PmRegister.gpsts);
  assert.equal(power.gpe0.length, 4);
  assert.deepEqual([PmRegister.pmsts, PmRegister.pmcntrl, PmRegister.pmtmr], [0, 4, 8]);
});

test("the HPET is at the address and of the identity that the tables tell", () => {
  const line = new ProbeLine();
  const hpet = new Hpet({ routes: 0 }, { time: new ManualTime(), route: () => line, irq0: line, irq8: line });
  assert.equal(PC_HPET.address, HPET_ADDRESS);
  assert.equal(PC_HPET.id, hpet.readMemory(0, 4));
});

test("the reset value asks for a hard reset", () => {
  const { reset } = i440fxBoard(1);
  assert.equal(reset.port, RESET_CONTROL_PORT);
  assert.equal(reset.value, ResetControl.pack({ systemReset: true, resetCpu: true }));
});

test("a slot's pins are turned against its neighbour's, and slot 1's INTA is PIRQA", () => {
  assert.deepEqual(
    [0, 1, 2, 3].map((pin) => pirqOf(1, pin)),
    [0, 1, 2, 3],
  );
  assert.deepEqual(
    [0, 1, 2, 3].map((pin) => pirqOf(2, pin)),
    [1, 2, 3, 0],
  );
  assert.equal(pirqOf(31, 3), 1);
});
