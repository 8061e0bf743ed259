import assert from "node:assert/strict";
import { test } from "node:test";
import { assemble } from "../../isa/assemble.ts";
import type { EncodedFunction } from "../../wasm/emitter.ts";
import type { FunctionBuilder } from "../../wasm/function.ts";
import { ModuleBuilder } from "../../wasm/module.ts";
import type { RegionSettings } from "../processor-options.ts";
import { BareMachine, CODE } from "../system/testing/bare-machine.ts";
import { exceedsLimits } from "./function-limits.ts";
import { type CompiledRegions, RegionCompiler } from "./region-compiler.ts";
import type { RegionJob } from "./region-job.ts";
import type { RegionMaker } from "./translator.ts";

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

/** Makes large regions whose functions have so many bytes at most. */
class Limited implements RegionMaker {
  readonly #compiler: RegionCompiler;
  readonly made: CompiledRegions[] = [];
  done: (compiled: CompiledRegions) => void = () => {};

  constructor(settings: RegionSettings, most: number) {
    this.#compiler = new RegionCompiler(settings, undefined, (body) => body.length > most);
  }

  request(job: RegionJob): void {
    const compiled = this.#compiler.compile([{ ...job, large: true }]);
    this.made.push(compiled);
    this.done(compiled);
  }

  close(): void {}
}

const BODY = Array.from({ length: 24 }, (_, i) => `rcl eax,cl\n jp at${i}\n inc ebx\n at${i}:`).join("\n");
const SOURCE = `
start:
  ${BODY}
  dec rbp
  jg start
end:
  jmp end`;
const RUNS = 8;
const BUDGET = 1000;

/** Registers after some runs. */
function run(regions?: (settings: RegionSettings) => RegionMaker): bigint[] {
  const machine = new BareMachine(64, "max", regions);
  const { processor, ram } = machine;
  const { registers } = processor;
  const { bytes } = assemble(SOURCE, { bits: 64, origin: BigInt(CODE) });
  new Uint8Array(ram.buffer, ram.byteOffset + CODE, bytes.length).set(bytes);
  processor.physicalWritten(CODE, CODE + bytes.length - 1);
  for (let count = 0; count < RUNS; count++) {
    registers.set64("ip", BigInt(CODE));
    registers.setGpr(1, 5n);
    registers.setGpr(5, 3n);
    processor.stretch(BUDGET);
  }
  return [0, 1, 3, 5].map((index) => registers.gpr(index));
}

test("code of which a region would be too large a function runs in a smaller region, or in none", () => {
  const expected = run();
  const largest = [1_000_000, 4000, 10].map((most) => {
    const makers: Limited[] = [];
    const limited = (settings: RegionSettings) => {
      makers.push(new Limited(settings, most));
      return makers[0] as Limited;
    };
    assert.deepEqual(run(limited), expected);
    const regions = makers.flatMap(({ made }) => made.flatMap((compiled) => compiled.regions));
    return Math.max(...regions.map(({ instructions }) => instructions));
  });
  const [all, some, none] = largest as [number, number, number];
  assert.ok(all > some && some > 0 && none === 0, largest.join());
});
