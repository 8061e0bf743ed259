/** Regions made where they are asked for: the guest waits, and two runs with the same inputs are the same. */

import type { RegionSettings } from "../processor.ts";
import { type CompiledRegions, RegionCompiler } from "./region-compiler.ts";
import type { RegionJob } from "./region-job.ts";
import type { RegionMaker } from "./translator.ts";

export interface InPlaceOptions {
  /** Makes all regions large at once, as others are when they have run much: for tests. */
  readonly large?: boolean;
}

export class InPlace implements RegionMaker {
  readonly #compiler: RegionCompiler;
  readonly #large: boolean;
  done: (compiled: CompiledRegions) => void = () => {};

  constructor(settings: RegionSettings, { large = false }: InPlaceOptions = {}) {
    this.#compiler = new RegionCompiler(settings);
    this.#large = large;
  }

  request(job: RegionJob): void {
    this.done(this.#compiler.compile([this.#large ? { ...job, large: true } : job]));
  }

  close(): void {}
}
