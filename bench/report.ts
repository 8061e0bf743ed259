/** What a run of the benchmark tells: on the terminal, as a page of the documentation, as JSON. */
import type { HostFacts } from "./host.ts";
import type { Machine } from "./machines.ts";
import type { BenchOptions } from "./options.ts";
import { requirements } from "./requirements.ts";
import type { Outcome } from "./rounds.ts";
import { figuresTable, instructionsTable, requirementsTable } from "./table.ts";
import type { Row } from "./workloads.ts";

export interface Report {
  readonly facts: HostFacts;
  readonly load: readonly [before: number, after: number];
  readonly options: BenchOptions;
  /** The command that made it. */
  readonly command: string;
  readonly rows: readonly Row[];
  readonly machines: readonly Machine[];
  /** Machines and workloads that are left out, and why. */
  readonly leftOut: readonly string[];
  readonly outcome: Outcome;
}

export function text(report: Report): string {
  const { rows, machines, leftOut, outcome } = report;
  return [
    figuresTable(rows, machines, outcome.figures),
    instructionsTable(rows, outcome.instructionRates) ?? "",
    requirementsTable(requirements(rows, outcome.figures)),
    describeRun(report).join("\n"),
    [...leftOut, ...outcome.failures, ...outcome.doubts].map((line) => `note: ${line}`).join("\n"),
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

function describeRun({ facts, load: [before, after], options }: Report): string[] {
  const { date, commit, processor, cores, memoryGiB, system, node, v8, programs } = facts;
  const { rounds, duration } = options;
  return [
    `Medians of ${rounds} ${rounds === 1 ? "round" : "rounds"}, programs ${duration / 1000} s each; ${date} UTC${commit === undefined ? "" : `, commit ${commit}`}.`,
    `${processor}, ${cores} cores, ${memoryGiB} GiB, ${system}; load ${before.toFixed(1)} before, ${after.toFixed(1)} after.`,
    `Node ${node} (V8 ${v8}); ${programs.join("; ")}.`,
  ];
}

/** docs/performance.md. */
export function page(report: Report): string {
  const { rows, machines, leftOut, outcome, command } = report;
  const instructions = instructionsTable(rows, outcome.instructionRates);
  const notes = [...leftOut, ...outcome.failures, ...outcome.doubts];
  const differences = outcome.differences.map((line) => `Wrong result: ${line}`);
  return `# Performance

\`${command}\` has written this page. The same programs and kernels run on the host itself, in QEMU's translator
(TCG, one thread), in v86 (32-bit guests), in Bochs, and in Bunkhouse, one virtual processor each, in turns.

${describeRun(report).join("\n")}

## Requirements

${requirementsTable(requirements(rows, outcome.figures))}

## Figures

Rates are repetitions a second of processor time of the host: of the thread that executes the guest, from a line that
the guest writes to its serial port when it begins to one when it ends. Times of starts are by the host's clock, less
the time that the machine waited for a processor. Ratios are medians of the rounds' ratios, above 1 where ours is the
better one. A program's results are compared between machines: a wrong one fails the benchmark. Before the first
round each machine runs each program once without being timed. Ours finds the translated code that it kept in earlier runs,
as it does for whoever starts a guest a second time. 32-bit machines run programs compiled for 32 bits, which makes v86's figures those of
32-bit programs.

${figuresTable(rows, machines, outcome.figures)}
${instructions === undefined ? "" : `\nMillions of guest instructions a second:\n\n${instructions}\n`}
## How to measure

    npm run bench                                   # all workloads, machines and three rounds
    npm run bench -- --quick                        # the core workloads, one round
    npm run bench -- --only integer,boot --machines qemu64,ours64 --rounds 5
    npm run bench -- --write                        # and write this page
    node bin/node26.mjs bench/micro.ts integer-64   # one program on the processor alone, in seconds

\`bench/guest/\` has the programs; others are Debian's, in a directory that guests have in their initial file system.
Machines whose Debian packages are not installed are left out, with a note: qemu-system-x86; seabios for v86; bochs,
bochs-term, isolinux, syslinux-common, xorriso and seabios for Bochs. Bochs' guest time is a count of
instructions, so nothing is measured by its clock; Debian builds it with its debugger, which
makes it slower than it could be. \`7z b\` prints times and no results: only that it found no mistake is compared.

## What falls short, and why

Programs with much code of which each part runs little (gcc, and others in their first runs) get faster with each run: the
interpreter runs what is not translated yet. What has left the host's caches before it runs again seems to gain little then.
[translator.md](translator.md#what-was-measured) says what profiles show, and what was tried. The integer
mix is bound by its list: where that is merged, the next node's page cannot be foretold, and what is loaded waits for the TLB.
\`7z b\` spends five sixths of its time in a loop of additions that finds the processor's frequency: it runs as fast anywhere.

## Notes

${[...differences, ...notes].map((line) => `- ${line}`).join("\n") || "None."}
`;
}

export function json({ facts, load: loads, options, rows, machines, leftOut, outcome }: Report): string {
  const { figures, instructionRates, doubts, differences, failures } = outcome;
  const values = (source: typeof figures, row: string) =>
    Object.fromEntries(
      machines.flatMap(({ name }) => {
        const all = source.values(row, name);
        return all.length === 0 ? [] : [[name, { median: source.median(row, name), values: all }]];
      }),
    );
  const report = {
    host: { ...facts, load: loads },
    rounds: options.rounds,
    duration: options.duration,
    rows: rows.map((row) => ({
      ...{ name: row.name, text: row.text, unit: row.unit, better: row.better },
      figures: values(figures, row.name),
      millionInstructionsPerSecond: values(instructionRates, row.name),
      oursPerQemu: figures.ratio(row, "ours64", "qemu64") ?? null,
      oursPerQemu32: figures.ratio(row, "ours32", "qemu32") ?? null,
    })),
    requirements: requirements(rows, figures),
    ...{ leftOut, failures, notes: doubts, differences },
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}
