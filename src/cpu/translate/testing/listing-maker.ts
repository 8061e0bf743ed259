/** Regions that are made in place, and listed for a test. */
import type { RegionSettings } from "../../processor-options.ts";
import { InPlace } from "../in-place.ts";
import type { CompiledRegion } from "../region-compiler.ts";
import type { RegionMaker } from "../translator.ts";

/** What makes a processor's regions, each of which is added to `made`; `large`: they are large from the start. */
export function listing(made: CompiledRegion[], { large = false } = {}): (settings: RegionSettings) => RegionMaker {
  return (settings) => {
    const inPlace = new InPlace(settings, { large });
    const maker: RegionMaker = {
      request: (job) => inPlace.request(job),
      done: () => {},
      close: () => inPlace.close(),
    };
    inPlace.done = (compiled) => {
      made.push(...compiled.regions);
      maker.done(compiled);
    };
    return maker;
  };
}
