/**
 * Runs hostile guests one after the other, and writes a line of JSON for each and for each situation's begin: what
 * the parent (fuzz.ts) needs to know which seed threw, hung or grew.
 *
 *     node --expose-gc test/hostile/fuzz-process.ts FIRST-SEED SEEDS SITUATIONS
 */
import process from "node:process";
import { inspect } from "node:util";
import { HostileGuest } from "./hostile-guest.ts";

const [first = 1, seeds = 1, situations = 1] = process.argv.slice(2).map(Number);
const say = (message: object) => void process.stdout.write(`${JSON.stringify(message)}\n`);
const collect = (globalThis as { gc?: () => void }).gc ?? (() => {});

for (let seed = first; seed < first + seeds; seed++) {
  const guest = new HostileGuest(seed, situations, {
    situation: (name) => say({ kind: "situation", seed, name }),
  });
  try {
    const report = await guest.run();
    collect();
    const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage();
    say({ kind: "guest", seed, report, memory: { rss, heapUsed, external, arrayBuffers } });
  } catch (error) {
    say({ kind: "failed", seed, error: error instanceof Error ? (error.stack ?? error.message) : inspect(error) });
    process.exit(1);
  }
}
