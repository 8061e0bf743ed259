/** What the software TLB must not find. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../../isa/assemble.ts";
import { TLB_ENTRIES } from "../state.ts";
import { BareMachine, CODE, HOLE } from "../system/testing/bare-machine.ts";
import { InPlace } from "../translate/in-place.ts";

const [GENERAL_PROTECTION, PAGE_FAULT, UNDEFINED] = [13, 14, 6];
/** Pages that nothing is mapped to: in the first and last entries, in both halves, and between these halves. */
const SLOTS = [0, 1, 2, TLB_ENTRIES / 2, TLB_ENTRIES - 2, TLB_ENTRIES - 1];
const HALVES = [0x0000_1234_5000_0000n, 0xffff_ffff_ff00_0000n, 0xffff_8000_0000_0000n, 0x8000_0000_0000_0000n];
const ADDRESSES = HALVES.flatMap((half) => SLOTS.map((slot) => half | BigInt(slot * 4096)));
const ACCESSES = ["mov rax, [rcx]", "mov [rcx], rax", "mov al, [rcx]", "add qword [rcx], 1", "movups xmm0, [rcx]"];
const isCanonical = (address: bigint) => BigInt.asIntN(48, address) === BigInt.asIntN(64, address);

for (const [where, regions] of [
  ["in the interpreter", undefined],
  ["in a region", (settings: ConstructorParameters<typeof InPlace>[0]) => new InPlace(settings)],
] as const) {
  test(`no access finds a page in an entry of the TLB that is empty, ${where}`, () => {
    for (const access of ACCESSES) {
      // The first turns make the code a region, and fill entries.
      const source = `mov rdx, 8\n again: ${access}\n mov rcx, rsi\n dec rdx\n jnz again\n ud2`;
      const machine = new BareMachine(64, "max", regions);
      const { processor, ram } = machine;
      const { registers } = processor;
      registers.set64("cr4", registers.get64("cr4") | 0x200n);
      processor.modeChanged();
      const { bytes } = assemble(source, { bits: 64, origin: BigInt(CODE) });
      new Uint8Array(ram.buffer, ram.byteOffset + CODE).set(bytes);
      const run = (first: bigint, then: bigint) => {
        registers.set64("ip", BigInt(CODE));
        registers.setGpr(1, first);
        registers.setGpr(6, then);
        return processor.stretch(1_000)?.vector;
      };
      for (let page = 0; page < 16; page++) assert.equal(run(0x20_0000n, 0x20_0000n + BigInt(page) * 4096n), UNDEFINED);
      for (const address of [BigInt(HOLE), ...ADDRESSES]) {
        for (const offset of [0n, 8n, 4080n]) {
          const expected = isCanonical(address) ? PAGE_FAULT : GENERAL_PROTECTION;
          assert.equal(run(0x20_0000n, address | offset), expected, `${access} at ${(address | offset).toString(16)}`);
        }
        if (address === 0xffff_ffff_ffff_f000n) processor.flushTlb();
      }
    }
  });
}
