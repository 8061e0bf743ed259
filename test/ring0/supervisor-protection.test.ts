/** What keeps ring 0 from user pages, and ring 3 from looking at tables. @spec SDM 3A 4.6.1, 2.5 (SMEP, SMAP, UMIP) */
import assert from "node:assert/strict";
import { test } from "node:test";
import { descriptor } from "../../src/cpu/system/testing/flat-cpu.ts";
import {
  attempt,
  changeControl,
  exceptionsOf,
  type Kernel,
  type KernelOptions,
  type Mode,
  PAGED,
  PTE,
  SCRATCH,
  SELECTOR,
  toUser,
} from "./kernel.ts";

const UMIP = 1 << 11;
const SMEP = 1 << 20;
const SMAP = 1 << 21;
const AC = 1 << 18;
/** The one page that is the user's. */
const USER = SCRATCH;

/** Takes all pages but one from the user. */
const closed: KernelOptions["setup"] = (kernel: Kernel) => {
  for (let linear = 0; linear < 4 << 20; linear += 4096) {
    kernel.map(linear, linear | PTE.P | PTE.RW | (linear === USER ? PTE.US : 0));
  }
  kernel.ram.setUint8(USER, 0xc3);
};
const accumulator = (mode: Mode) => (mode === "long" ? "rax" : "eax");
const setAc = (mode: Mode, on: boolean) => `
    push ${on ? AC | 2 : 2}
    ${mode === "long" ? "popfq" : "popfd"}`;

for (const mode of PAGED) {
  test(`${mode}: with CR4.SMEP ring 0 does not run code of a user page`, () => {
    const call = () => attempt(`mov eax,${USER}\n call ${accumulator(mode)}`);
    const program = `${call()} ${changeControl(mode, "cr4", SMEP)} ${call()} ${changeControl(mode, "cr4", 0, SMEP)} ${call()} hlt`;
    assert.deepEqual(exceptionsOf(mode, program, { setup: closed }), [`#14(11)@${USER.toString(16)}`]);
  });

  test(`${mode}: with CR4.SMAP ring 0 reads and writes user pages only while EFLAGS.AC is set`, () => {
    const both = () => attempt(`mov eax,[${USER + 4}]`) + attempt(`mov dword ptr [${USER + 8}],1`);
    const program = `
      ${both()}
      ${changeControl(mode, "cr4", SMAP)}
      ${both()}
      ${setAc(mode, true)}
      ${both()}
      ${setAc(mode, false)}
      ${both()}
      stac
      ${both()}
      clac
      ${both()}
      hlt`;
    const faults = [`#14(1)@${(USER + 4).toString(16)}`, `#14(3)@${(USER + 8).toString(16)}`];
    assert.deepEqual(exceptionsOf(mode, program, { setup: closed }), [...faults, ...faults, ...faults]);
  });

  test(`${mode}: CR4.SMAP does not keep ring 0 from running user pages, nor from its own`, () => {
    const program = `
      ${changeControl(mode, "cr4", SMAP)}
      ${attempt(`mov eax,${USER}\n call ${accumulator(mode)}`)}
      ${attempt(`mov dword ptr [${USER + 4096}],1`)}
      hlt`;
    assert.deepEqual(exceptionsOf(mode, program, { setup: closed }), []);
  });

  test(`${mode}: STAC and CLAC are not for ring 3`, () => {
    const program = `${toUser(mode, "user")}\n user: ${attempt("stac")} ${attempt("clac")} hlt`;
    assert.deepEqual(exceptionsOf(mode, program), ["#6", "#6", "#13(0)"]);
  });

  // SDM 3A 4.6.1: implicit supervisor accesses at CPL 3 fault whatever AC is.
  test(`${mode}: under SMAP a descriptor table in a user page cannot be read on behalf of ring 3`, () => {
    const program = `
      mov ax,${SELECTOR.free}
      lldt ax
      ${changeControl(mode, "cr4", SMAP)}
      ${toUser(mode, "user", AC | 2)}
    user:
      mov ax,0xf
      mov es,ax`;
    const descriptors = { [SELECTOR.free]: descriptor({ base: USER, limit: 0xff, type: 2, system: true }) };
    const setup: KernelOptions["setup"] = (kernel) => {
      for (let at = 0x1_0000; at < 0x1_9000; at += 4096) kernel.map(at, at | PTE.P | PTE.RW);
    };
    assert.deepEqual(exceptionsOf(mode, program, { setup, descriptors }), [`#14(1)@${(USER + 8).toString(16)}`]);
  });

  test(`${mode}: CR4.UMIP keeps ring 3, not ring 0, from SGDT, SIDT, SLDT, STR and SMSW`, () => {
    const all = () =>
      ["sgdt", "sidt"].map((name) => attempt(`${name} [${USER}]`)).join("") +
      ["sldt", "str", "smsw"].map((name) => attempt(`${name} eax`)).join("");
    const program = (cr4: number) => `
      ${changeControl(mode, "cr4", cr4)}
      ${all()}
      ${toUser(mode, "user")}
    user:
      ${all()}
      hlt`;
    assert.deepEqual(exceptionsOf(mode, program(0)), ["#13(0)"]);
    assert.deepEqual(exceptionsOf(mode, program(UMIP)), Array(6).fill("#13(0)"));
  });
}
