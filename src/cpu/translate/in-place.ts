/** Regions made where they are asked for: the guest waits, and two runs with the same inputs are the same. */

import type { RegionSettings } from "../processor.ts";
import { type CompiledRegions, RegionCompiler } from "./region-compiler.ts";
import type { RegionJob } from "./region-job.ts";
import type { RegionMaker } from "./translator.ts";

export class InPlace implements RegionMaker {
  readonly #compiler: RegionCompiler;
  done: (compiled: CompiledRegions) => void = () => {};

  constructor(settings: RegionSettings) {
    this.#compiler = new RegionCompiler(settings);
  }

  request(job: RegionJob): void {
    this.done(this.#compiler.compile([job]));
  }

  close(): void {}
}
