import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../../isa/assemble.ts";
import type { EncodedFunction } from "../../wasm/emitter.ts";
import type { FunctionBuilder } from "../../wasm/function.ts";
import { ModuleBuilder } from "../../wasm/module.ts";
import { BareMachine, CODE, DATA } from "../system/testing/bare-machine.ts";
import { exceedsLimits } from "./function-limits.ts";
import { InPlace } from "./in-place.ts";

const SIGNATURE = { params: [], results: [] } as const;

function withLocals(count: number): { body: Uint8Array; module: Uint8Array<ArrayBuffer> } {
  const builder = new ModuleBuilder();
  let body = new Uint8Array(0);
  const build = (f: FunctionBuilder) => {
    for (let i = 0; i < count; i++) f.variable(i % 2 ? "i64" : "i32");
  };
  const encoded = ({ bytes }: EncodedFunction) => {
    body = Uint8Array.from(bytes);
  };
  builder.function(SIGNATURE, build, { encoded });
  const module = builder.build();
  return { body, module };
}

test("a function with more local variables than hosts take is told apart", () => {
  const [few, many] = [withLocals(49_000), withLocals(50_001)];
  assert.equal(exceedsLimits(few.body), false);
  assert.doesNotThrow(() => new WebAssembly.Module(few.module));
  assert.equal(exceedsLimits(many.body), true);
  assert.throws(() => new WebAssembly.Module(many.module), { name: "CompileError" });
});

/** Calls that do not return, in a loop, and conditions on flags of many origins: as a region it grows without end. */
const BODY = Array.from({ length: 24 }, () => "rcl eax,cl").join("\n");
const SOURCE = `
start:
  mov rdx,next
  call rdx
next:
  jnp on
on:
  ${BODY}
  dec rbp
  jg start
end:
  jmp end`;
const RUNS = 8;
const BUDGET = 1000;

test("code of which a large region would be too large runs in a smaller one", () => {
  const outcomes = [true, false].map((translated) => {
    const machine = new BareMachine(
      64,
      "max",
      translated ? (settings) => new InPlace(settings, { large: true }) : undefined,
    );
    const { registers } = machine.processor;
    const { bytes } = assemble(SOURCE, { bits: 64, origin: BigInt(CODE) });
    new Uint8Array(machine.ram.buffer, machine.ram.byteOffset + CODE, bytes.length).set(bytes);
    machine.processor.physicalWritten(CODE, CODE + bytes.length - 1);
    for (let run = 0; run < RUNS; run++) {
      registers.set64("ip", BigInt(CODE));
      registers.setGpr(1, 5n);
      registers.setGpr(4, BigInt(DATA + 0x1000));
      registers.setGpr(5, 3n);
      machine.processor.stretch(BUDGET);
    }
    if (translated) assert.ok(machine.processor.statistics.translated.regions > 0);
    return [0, 1, 4, 5].map((index) => registers.gpr(index));
  });
  assert.deepEqual(outcomes[0], outcomes[1]);
});
