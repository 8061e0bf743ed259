/** Figures of bench/screens.ts and the tables that they are told in. */
import { median } from "./figures.ts";
import type { LoaderRun } from "./loader-marks.ts";
import type { ThreadTime } from "./process-figures.ts";
import { figure, markdownTable } from "./table.ts";

/** Seconds from the first instruction to a loader's prompt, at the most. */
const PROMPT_TARGET = 0.3;
/** Updates a second of a screen that changes all the time. */
const RATE_TARGET = 30;
/** Part of a core that the screen may take where little changes. */
const SHARE_TARGET = 0.2;

export interface LoaderRow {
  readonly medium: string;
  readonly machine: string;
  readonly runs: readonly LoaderRun[];
  /** Seconds from the start of `bunk run`'s process; none for machines that are not started so. */
  readonly fromProcess: readonly number[];
}

const milliseconds = (seconds: number | undefined) => figure(seconds === undefined ? undefined : seconds * 1000);
const met = (isMet: boolean) => (isMet ? "yes" : "no");

export function loadersTable(rows: readonly LoaderRow[]): string {
  const lines = rows.map(({ medium, machine, runs, fromProcess }) => {
    const of = (pick: (run: LoaderRun) => number | undefined) => median(runs.flatMap((run) => pick(run) ?? []));
    const seconds = of((run) => run.seconds);
    const instructions = of((run) => run.instructions);
    return [
      ...[medium, machine],
      ...[seconds, of((run) => run.guestThread), of((run) => run.allThreads), median(fromProcess)].map(milliseconds),
      figure(instructions === undefined ? undefined : instructions / 1e6),
      machine === "ours" ? met((seconds ?? Infinity) < PROMPT_TARGET) : "",
    ];
  });
  const times = ["host time", "guest's thread", "all threads", "from process start"];
  return markdownTable([["medium", "machine", ...times, "instructions, millions", "met"], ...lines], 2);
}

/** What a machine did between two looks. */
export interface ScreenWindow {
  /** Of the host's clock. */
  readonly seconds: number;
  /** Parts of a core that the thread of the guest took, and all others. */
  readonly guestThread: number;
  readonly otherThreads: number;
  /** Part of the time that the guest's thread waited for a processor. */
  readonly waited: number;
  /** Of the viewer, if there was one. */
  readonly updates: number;
  readonly bytes: number;
}

type Threads = ReadonlyMap<string, ThreadTime>;

/** A process's main thread runs the guest. */
export function windowBetween(
  pid: number,
  seconds: number,
  before: Threads,
  after: Threads,
): Omit<ScreenWindow, "updates" | "bytes"> {
  let [guestThread, otherThreads, waited] = [0, 0, 0];
  for (const [thread, time] of after) {
    const start = before.get(thread) ?? { ran: 0, waited: 0 };
    if (thread !== String(pid)) otherThreads += time.ran - start.ran;
    else [guestThread, waited] = [time.ran - start.ran, time.waited - start.waited];
  }
  return {
    seconds,
    guestThread: guestThread / seconds,
    otherThreads: otherThreads / seconds,
    waited: waited / seconds,
  };
}

export interface SceneRow {
  readonly scene: string;
  /** Changes that the scene makes in a second, more often than updates are wanted. */
  readonly isFast: boolean;
  /** Pairs of windows one after the other, without a viewer and with one. */
  readonly pairs: readonly (readonly [without: ScreenWindow, viewed: ScreenWindow])[];
}

const percent = (part: number | undefined) => (part === undefined ? "-" : `${(100 * part).toFixed(1)} %`);

export function scenesTable(rows: readonly SceneRow[]): string {
  const lines = rows.map(({ scene, isFast, pairs }) => {
    const rate = median(pairs.map(([, { updates, seconds }]) => updates / seconds)) ?? 0;
    const bytes = median(pairs.map(([, viewed]) => viewed.bytes / viewed.seconds)) ?? 0;
    const more = (pick: (window: ScreenWindow) => number) =>
      median(pairs.map(([without, viewed]) => pick(viewed) - pick(without)));
    const all = ({ guestThread, otherThreads }: ScreenWindow) => guestThread + otherThreads;
    const share = more(all);
    const isMet = (share ?? Infinity) < SHARE_TARGET && (!isFast || Math.round(rate) >= RATE_TARGET);
    return [
      scene,
      ...[figure(rate), figure(bytes / 1024)],
      percent(median(pairs.map(([without]) => all(without)))),
      ...[
        percent(more((window) => window.guestThread)),
        percent(more((window) => window.otherThreads)),
        percent(share),
      ],
      percent(median(pairs.map(([, viewed]) => viewed.waited))),
      met(isMet),
    ];
  });
  const shares = ["without a viewer", "more: guest's thread", "more: other threads", "more: all", "waited"];
  return markdownTable([["what changes", "updates/s", "KiB/s", ...shares, "met"], ...lines], 1);
}
