/** Regions of a profile as text: one line each, its ways out, and listings of their code. */
import { REFUSALS } from "../../cpu/observe/count-area.ts";
import type { ProcessorProfile, RegionProfile, TakenExit } from "../../cpu/observe/processor-profile.ts";
import { listRegion, sizeOfListed } from "../../cpu/observe/region-listing.ts";
import { CONTEXT } from "../../cpu/state.ts";
import type { HostTimes } from "./host-times.ts";
import { count, percent, table } from "./text-table.ts";

const MOST_REGIONS = 30;
const MOST_EXITS = 6;

const addressOf = ({ job }: RegionProfile): string => job.linear.toString(16);

const modeOf = ({ job }: RegionProfile): string => modeName(job.context);

/** Of BLOCK_CONTEXT's bits (cpu/state.ts). */
export function modeName(context: number): string {
  if (context & CONTEXT.long) return "64-bit";
  return `${context & CONTEXT.code32 ? "32-bit" : "16-bit"}${context & CONTEXT.flat ? "" : ", segments"}`;
}

const keyOf = (linear: bigint, context: number): string => `${linear} ${context}`;

/** Where regions begin that are in use. */
function startsOf(regions: readonly RegionProfile[]): ReadonlySet<string> {
  return new Set(
    regions.filter(({ dropped }) => dropped === undefined).map(({ job }) => keyOf(job.linear, job.context)),
  );
}

/** A way out in words. */
function exitText({ job }: RegionProfile, exit: TakenExit, starts: ReadonlySet<string>): string {
  const { reason, text, to, refusals } = exit;
  if (to !== undefined) {
    const sum = job.linear + BigInt(to);
    const linear = BigInt.asUintN(job.context & CONTEXT.long ? 64 : 32, sum);
    const there = starts.has(keyOf(linear, job.context)) ? "a region" : "no region";
    return `${reason}, after ${text}  → ${linear.toString(16)} (${there})`;
  }
  if (reason === "indirect") return `to another address than expected, after ${text}`;
  const why = REFUSALS.map((name, i) => [name, refusals[i] ?? 0] as const)
    .filter(([, times]) => times > 0)
    .map(([name, times]) => `${name} ${count(times)}`);
  return `to the interpreter at ${text}  (${why.length > 0 ? why.join(", ") : reason})`;
}

export function exitLines(region: RegionProfile, starts: ReadonlySet<string>, most: number): string[] {
  const { exits } = region;
  const rows = exits.slice(0, most).map((exit) => ["", count(exit.taken), exitText(region, exit, starts)]);
  const lines = table(rows, 2);
  const left = exits.slice(most).reduce((sum, { taken }) => sum + taken, 0);
  return left > 0 ? [...lines, `    ${count(left)} by ${exits.length - most} other ways`] : lines;
}

/** The regions that ran most. */
export function regionLines(profile: ProcessorProfile, all: number, times: HostTimes | undefined): string[] {
  const { regions } = profile;
  const starts = startsOf(regions);
  const head = ["linear address", "mode", "size", "bytes", "entered", "ran", "of all", "ran/entry", "host time", ""];
  const shown = regions.filter(({ entries }) => entries > 0).slice(0, MOST_REGIONS);
  const rows = shown.map((region) => {
    const { size, bytes, entries, ran, dropped, job } = region;
    const seconds = times?.seconds.get(region.place);
    return [
      addressOf(region),
      modeOf(region),
      count(size),
      count(bytes),
      count(entries),
      count(ran),
      percent(ran, all),
      (ran / entries).toFixed(1),
      seconds === undefined ? "" : `${seconds.toFixed(3)} s`,
      `${job.large ? "large" : ""}${dropped === undefined ? "" : `  (${dropped})`}`,
    ];
  });
  const [first = "", ...lines] = table([head, ...rows], 9);
  const left = regions.length - shown.length;
  return [
    first,
    ...lines.flatMap((line, i) => [line, ...exitLines(shown[i] as RegionProfile, starts, MOST_EXITS)]),
    ...(left > 0 ? [`  and ${count(left)} more`] : []),
  ];
}

export interface RegionFile {
  readonly name: string;
  readonly text: string;
}

/** Listings of the regions that ran most, the first first. */
export function regionFiles(profile: ProcessorProfile, all: number, most: number): RegionFile[] {
  const { regions } = profile;
  const starts = startsOf(regions);
  return regions
    .filter(({ listing, entries }) => listing !== undefined && entries > 0)
    .slice(0, most)
    .map((region, i) => ({
      name: `${String(i + 1).padStart(4, "0")}-${addressOf(region)}.txt`,
      text: regionText(region, all, starts),
    }));
}

function regionText(region: RegionProfile, all: number, starts: ReadonlySet<string>): string {
  const { job, size, entries, ran, dropped, listing } = region;
  if (listing === undefined) return "";
  return `${[
    `region ${addressOf(region)}, ${modeOf(region)}${job.large ? ", large" : ""}${dropped ? `, ${dropped} by now` : ""}`,
    `${count(size)} guest instructions, ${count(sizeOfListed(listing))} bytes of WebAssembly`,
    `entered ${count(entries)} times, ran ${count(ran)} instructions, ${percent(ran, all)} of all`,
    "",
    "ways out:",
    ...exitLines(region, starts, Number.POSITIVE_INFINITY),
    "",
    "offset in the function, guest instruction, and below it the WebAssembly that was emitted in its place:",
    ...listRegion(listing),
  ].join("\n")}\n`;
}
