/** Regions made where they are asked for: the guest waits, and two runs with the same inputs are the same. */

import type { RegionSettings } from "../processor-options.ts";
import { type CompiledRegions, RegionCompiler } from "./region-compiler.ts";
import type { RegionJob } from "./region-job.ts";
import type { RegionMaker } from "./translator.ts";

export class InPlace implements RegionMaker {
  readonly #compiler: RegionCompiler;
  readonly #large: boolean;
  done: (compiled: CompiledRegions) => void = () => {};

  /** `large`: regions are as large as those that have run much from the start. */
  constructor(settings: RegionSettings, { large = false } = {}) {
    this.#compiler = new RegionCompiler(settings);
    this.#large = large;
  }

  request(job: RegionJob): void {
    this.done(this.#compiler.compile([{ ...job, large: job.large || this.#large }]));
  }

  close(): void {}
}
