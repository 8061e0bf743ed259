/** Regions of code that is made to be awkward. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../../isa/assemble.ts";
import { BareMachine, CODE } from "../system/testing/bare-machine.ts";
import { InPlace } from "./in-place.ts";

test("branches of which both ways lead to the same place do not make code grow with each of them", () => {
  for (const large of [false, true]) {
    const { processor, ram } = new BareMachine(64, "max", (settings) => new InPlace(settings, { large }));
    const branches = Array.from({ length: 40 }, (_, i) => `inc rax\n jz to${i}\n to${i}:`);
    const { bytes } = assemble(`again: ${branches.join("\n")}\n dec rcx\n jnz again\n ud2`, {
      bits: 64,
      origin: BigInt(CODE),
    });
    new Uint8Array(ram.buffer, ram.byteOffset + CODE).set(bytes);
    processor.registers.set64("ip", BigInt(CODE));
    processor.registers.setGpr(0, 0n);
    processor.registers.setGpr(1, 5n);
    assert.equal(processor.stretch(10_000)?.vector, 6);
    assert.equal(processor.registers.gpr(0), 200n);
    assert.ok(processor.statistics.translated.instructions > 0);
  }
});
