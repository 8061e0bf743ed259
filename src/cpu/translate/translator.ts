/** Makes regions of hot blocks: builds their functions, and has them found in place of the blocks. */
import type { Feature } from "../../isa/instruction.ts";
import { HANDLER } from "../emit/enter-block.ts";
import type { BlockCache } from "../interpret/blocks.ts";
import { type CodeEnvironment, codeContext, codeModule, type Handlers, linkageOf } from "../interpret/handlers.ts";
import { CodeReader } from "./code-reader.ts";
import { buildRegion } from "./region.ts";

/** How often a block runs in the interpreter before it is translated. */
export const HEAT = 1000;
/** How often a block must have run to become part of the region of another. */
const WARM = 100;

export interface TranslatorWiring {
  readonly environment: CodeEnvironment;
  readonly vcpu: number;
  readonly handlers: Handlers;
  readonly blocks: BlockCache;
  has(feature: Feature): boolean;
  /** Physical address of the byte at a linear address in the present address space, undefined where none is fetched. */
  translate(linear: bigint): number | undefined;
}

export class Translator {
  readonly #wiring: TranslatorWiring;
  readonly #memory: Uint8Array;
  #regions = 0;
  #instructions = 0;
  #bytes = 0;

  constructor(wiring: TranslatorWiring) {
    this.#wiring = wiring;
    this.#memory = new Uint8Array(wiring.environment.memory.buffer);
  }

  /** Counts since power-on, for reports. */
  get statistics(): { regions: number; instructions: number; bytes: number } {
    return { regions: this.#regions, instructions: this.#instructions, bytes: this.#bytes };
  }

  /** Translates from the block whose first record is `record`, at linear address `linear`. */
  translate(record: number, linear: bigint): void {
    const { environment, vcpu, handlers, blocks, has, translate } = this.#wiring;
    const { context: bits } = blocks.hot(record);
    const context = codeContext(bits);
    const code = new CodeReader({ memory: this.#memory, has, translate }, linear, context);
    const module = codeModule(environment.memoryPages);
    const linkage = linkageOf(module);
    const isWarm = (delta: number) => {
      const at = code.physical(delta);
      return at !== undefined && blocks.runs(at, bits) >= WARM;
    };
    let instructions = 0;
    const region = module.function(
      HANDLER,
      (f) => {
        instructions = buildRegion({ f, vcpu, context, linkage, code, isWarm });
      },
      { name: `region ${linear.toString(16)}` },
    );
    const handler = handlers.allocate();
    module.elements(handler, [region]);
    const bytes = module.build();
    if (instructions === 0) {
      handlers.release(handler);
      return;
    }
    const { memory, table, runtime, host } = environment;
    new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory, table }, runtime, host });
    this.#regions++;
    this.#instructions += instructions;
    this.#bytes += bytes.length;
    for (const { first, last } of code.pages) blocks.markCode(first, last);
    const pages = code.pages.map(({ distance, first }) => ({ distance, page: Math.floor(first / 4096) }));
    blocks.addRegion({ block: record, handler, pages });
  }
}
