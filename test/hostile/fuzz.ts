/**
 * Hostile guests for as long as one likes: `npm run fuzz`. Prints each guest's seed; a failure ends the run with
 * status 1 and the command that repeats it.
 *
 *     npm run fuzz -- [--seconds 60 | --count GUESTS] [--seed FIRST] [--situations 20]
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { FuzzFailure, fuzz, SEEDS_PER_PROCESS } from "./fuzz-run.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    count: { type: "string" },
    seed: { type: "string" },
    situations: { type: "string", default: "20" },
  },
});
const end = values.count === undefined ? Date.now() + Number(values.seconds) * 1000 : Number.POSITIVE_INFINITY;
const count = Number(values.count ?? Number.POSITIVE_INFINITY);
const first = Number(values.seed ?? Math.floor(Date.now() / 1000) % 1_000_000_000);
const situations = Number(values.situations);

let done = 0;
try {
  while (done < count && Date.now() < end) {
    const seeds = Math.min(SEEDS_PER_PROCESS, count - done);
    for await (const { seed, report, resident } of fuzz({ firstSeed: first + done, seeds, situations })) {
      done++;
      const ends = Object.entries(report.ends).map(([kind, times]) => `${times} ${kind}`);
      const size = Math.round(resident / 1024 / 1024);
      console.log(
        `seed ${seed}: ${report.instructions} instructions, ${report.handlers} handlers, ${report.regions} regions, ${size} MiB; ${ends.join(", ")}`,
      );
      if (Date.now() > end) break;
    }
  }
  console.log(`${done} hostile guests, none of which harmed its host`);
} catch (error) {
  if (!(error instanceof FuzzFailure)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
