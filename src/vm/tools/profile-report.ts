/** A profile as text. */

import { decode, MAX_LENGTH } from "../../cpu/decode/decoder.ts";
import { codeAt } from "../../cpu/lockstep/listing.ts";
import { MODE_NAMES, PLACES, type Place, WALK_KINDS } from "../../cpu/observe/count-area.ts";
import type { ProcessorProfile } from "../../cpu/observe/processor-profile.ts";
import type { Processor } from "../../cpu/processor.ts";
import { REPEATED_COST } from "../../cpu/processor-options.ts";
import { CONTEXT, EXIT } from "../../cpu/state.ts";
import { disassemble } from "../../isa/disassemble.ts";
import type { MemoryRange } from "../../machine/memory-bus.ts";
import type { HostTimes } from "./host-times.ts";
import { accessOf, type MachineTools } from "./machine-tools.ts";
import { modeName, regionLines } from "./region-report.ts";
import { count, percent, table } from "./text-table.ts";

export interface ProfiledMachine {
  /** Guest instructions that were counted. */
  readonly instructions: number;
  readonly tools: MachineTools | undefined;
  readonly processor: Processor;
  /** What devices are called. */
  readonly board: {
    readonly ports: { ranges(): readonly { readonly first: number; readonly count: number; readonly name: string }[] };
    readonly memory: { ranges(): readonly MemoryRange[] };
  };
}

/** Lines of a list at the most. */
const MOST = 25;
const EXCEPTIONS = "#DE #DB NMI #BP #OF #BR #UD #NM #DF - #TS #NP #SS #GP #PF - #MF #AC #MC #XM #VE #CP".split(" ");

/** The report; "" where the machine keeps no profile. */
export function profileReport(machine: ProfiledMachine, times: HostTimes | undefined): string {
  const profile = machine.tools?.profile;
  if (profile === undefined) return "";
  const sections: (readonly [title: string, lines: readonly string[]])[] = [
    ["Guest instructions", instructionLines(machine, profile)],
    [timesTitle(times), times ? timeLines(times) : []],
    ["Regions, by what ran in them; below each, its ways out", regionLines(profile, machine.instructions, times)],
    ["Blocks of the interpreter, by what ran in them", blockLines(machine, profile)],
    ["Regions and blocks", codeLines(profile)],
    ["Memory", memoryLines(profile)],
    ["Exceptions and interrupts by vector", eventLines(profile)],
    ["Why the run loop had control again", returnLines(profile)],
    ["Calls from WebAssembly to TypeScript", top(profile.calls.sorted.map(([name, calls]) => [name, count(calls)]))],
    ["Accesses to devices", deviceLines(machine)],
  ];
  return sections
    .filter(([, lines]) => lines.length > 0)
    .map(([title, lines]) => `${title}\n${lines.join("\n")}\n`)
    .join("\n");
}

function instructionLines(machine: ProfiledMachine, profile: ProcessorProfile): string[] {
  const all = machine.instructions;
  const regions = profile.regions.reduce((sum, { ran }) => sum + ran, 0);
  const events = profile.events.sorted.filter(([key]) => / (exception|external)$/.test(key));
  const delivered = events.reduce((sum, [, times]) => sum + times, 0);
  const repeated = profile.returns.get(EXIT.restart) * REPEATED_COST;
  const interpreted = all - regions - delivered - repeated;
  const line = (name: string, value: number) => [name, count(value), percent(value, all)];
  const rows = [
    line("in regions", regions),
    line("in the interpreter", interpreted),
    line("counted for exceptions and interrupts, one each", delivered),
    line(`counted for repeated instructions started again, ${REPEATED_COST} each`, repeated),
    line("all", all),
  ];
  const note = `  (${count(profile.uncounted)} regions had no room for counts: what ran in them stands under the interpreter)`;
  return profile.uncounted > 0 ? [...table(rows), note] : table(rows);
}

const PLACE_NAMES: Readonly<Record<Place, string>> = {
  start: "making the machine",
  interpreter: "interpreter, and what finds the next code",
  system: "system functions and the run loop, in TypeScript",
  decoding: "decoding, and making handlers",
  translating: "asking for regions, and making them where that is done in this thread",
  device: "accesses to devices",
  machine: "the machine between slices: timers, disks, screen",
  waiting: "waiting",
};

function timesTitle(times: HostTimes | undefined): string {
  const how = `by a look about every ${times?.interval ?? 0} ms at where it is`;
  return `Host time of the machine's thread, estimated ${how}; the garbage collector's is where it came`;
}

function timeLines({ seconds }: HostTimes): string[] {
  const all = [...seconds.values()].reduce((sum, time) => sum + time, 0);
  const inRegions = [...seconds].reduce((sum, [place, time]) => sum + (place < PLACES.length ? 0 : time), 0);
  const rows: [string, number][] = [
    ["regions", inRegions],
    ...PLACES.map((place, i): [string, number] => [PLACE_NAMES[place], seconds.get(i) ?? 0]),
  ];
  const lines = rows.map(([name, time]) => [name, `${time.toFixed(3)} s`, percent(time, all)]);
  return table([...lines, ["all", `${all.toFixed(3)} s`]]);
}

function blockLines({ instructions, processor }: ProfiledMachine, { blocks }: ProcessorProfile): string[] {
  const head = ["linear address", "mode", "size", "entered", "ran, about", "of all", "", "first instruction"];
  const rows = blocks.most(MOST).map(({ linear, context, size, runs, hasRegion }) => {
    const fate = context < 0 ? "written since" : hasRegion ? "a region begins here" : "";
    const text = firstInstruction(processor, linear, context);
    return [
      linear.toString(16),
      context < 0 ? "" : modeName(context),
      ...[size, runs, size * runs].map(count),
      percent(size * runs, instructions),
      fate,
      text,
    ];
  });
  return table([head, ...rows], 6);
}

/** As far as it is mapped now. */
function firstInstruction(processor: Processor, linear: bigint, context: number): string {
  const code = context < 0 ? new Uint8Array() : codeAt(processor, linear, MAX_LENGTH);
  const mode = { long: (context & CONTEXT.long) !== 0, code32: (context & CONTEXT.code32) !== 0 };
  const decoded = code.length === 0 ? "not mapped" : decode(code, 0, code.length, mode, () => true);
  return typeof decoded === "string" ? "" : disassemble(decoded, linear);
}

function codeLines({ counts, calls, regions, regionsDropped, blocksDropped, clears }: ProcessorProfile): string[] {
  const dropped = (["written", "replaced", "unused", "cleared"] as const).map(
    (cause) => `${cause} ${regionsDropped.get(cause)}`,
  );
  const inUse = regions.filter((region) => region.dropped === undefined).length;
  return table([
    ["regions made, and in use at the end", count(regions.length), count(inUse)],
    [
      "regions dropped since their code was written, a new one came, too many were there, all was cleared",
      dropped.join(", "),
    ],
    ["blocks decoded", count(calls.get("decodeBlock"))],
    ["blocks dropped since their code was written", count(blocksDropped)],
    ["writes by the guest to pieces of 64 bytes with code", count(calls.get("codeWritten"))],
    ["all decoded and translated code cleared", count(clears)],
    ["lookups that the jump cache did not answer", count(counts.single("findBlock"))],
    ["instructions that regions left to the interpreter", count(counts.single("interpretAt"))],
  ]);
}

function memoryLines({ counts }: ProcessorProfile): string[] {
  const rows = [["page walks, and TLB entries filled", ...WALK_KINDS, "filled"]];
  MODE_NAMES.forEach((name, mode) => {
    const walks = WALK_KINDS.map((_, kind) => counts.walks(mode, kind));
    const filled = counts.fills(mode);
    if (filled + walks.reduce((sum, times) => sum + times, 0) === 0) return;
    rows.push([`  ${name}`, ...walks.map(count), count(filled)]);
  });
  rows.push(
    ["page faults found by walks", count(counts.single("pageFaults"))],
    ["TLB misses in regions", count(counts.single("fillTlb"))],
    ["kept pages that changed", count(counts.single("keepPage"))],
    ["all translations forgotten", count(counts.single("flushAll"))],
    ["all but global ones forgotten", count(counts.single("flushLocal"))],
    ["those of one page forgotten (INVLPG)", count(counts.single("flushPage"))],
  );
  return table(rows);
}

function eventLines({ events }: ProcessorProfile): string[] {
  return top(
    events.sorted.map(([key, times]) => {
      const [vector = "", kind = ""] = key.split(" ");
      const name = kind === "exception" ? `${vector} ${EXCEPTIONS[Number(vector)] ?? ""}` : vector;
      return [`${kind === "external" ? "interrupt" : kind} ${name}`, count(times)];
    }),
  );
}

function returnLines({ returns }: ProcessorProfile): string[] {
  const names: Readonly<Record<number, string>> = {
    [EXIT.none]: "nothing more to do in this block",
    [EXIT.event]: "budget used up, or an event waits",
    [EXIT.fault]: "exception",
    [EXIT.restart]: "a repeated instruction is to be started again",
    [EXIT.resume]: "the code that ran was written",
    [EXIT.breakpoint]: "a debugger's breakpoint may be there",
  };
  return table(returns.sorted.map(([exit, times]) => [names[exit] ?? String(exit), count(times)]));
}

function deviceLines({ tools, board }: ProfiledMachine): string[] {
  const [ports, memory] = [board.ports.ranges(), board.memory.ranges()];
  const portName = (port: number) => ports.find(({ first, count }) => port >= first && port < first + count)?.name;
  const memoryName = (address: number) =>
    memory.find(({ start, length }) => address >= start && address < start + length)?.name;
  const accesses = tools?.accesses.sorted ?? [];
  const rows = accesses.map(([key, times]) => {
    const { kind, address } = accessOf(key);
    const isPort = kind === "in" || kind === "out";
    const name = (isPort ? portName(address) : memoryName(address)) ?? "";
    return [`${kind} ${address.toString(16)}`, count(times), name];
  });
  const lines = top(rows, 2);
  const others = tools?.accesses.others ?? 0;
  return others > 0 ? [...lines, `  and ${count(others)} to more addresses than are counted one by one`] : lines;
}

/** A table of the first rows, and how many there are beside. */
function top(rows: readonly (readonly string[])[], left?: number): string[] {
  const lines = table(rows.slice(0, MOST), left);
  return rows.length > MOST ? [...lines, `  and ${rows.length - MOST} more`] : lines;
}
