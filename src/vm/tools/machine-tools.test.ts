/** A profile, listings and a trace tell what a guest did, and the guest does the same with them as without. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { REFUSALS } from "../../cpu/observe/count-area.ts";
import { EXIT } from "../../cpu/state.ts";
import { Machine } from "../machine.ts";
import { nodeHost } from "../node/host.ts";
import { stateHash } from "../node/state-hash.ts";
import type { ToolsDefinition } from "./machine-tools.ts";
import { profileReport } from "./profile-report.ts";
import { regionFiles } from "./region-report.ts";
import { busyKernel, EXCEPTIONS_AT, INTERRUPTS_AT, ROUNDS, TIMER } from "./testing/busy-kernel.ts";

const kernel = busyKernel();
const MIB = 1 << 20;

interface Run {
  readonly machine: Machine;
  readonly instructions: number;
  readonly hash: string;
  /** What the guest counted itself. */
  readonly interrupts: number;
  readonly exceptions: number;
}

async function run(tools?: ToolsDefinition, heat = 50): Promise<Run> {
  const machine = await Machine.create(
    {
      memory: 16 * MIB,
      cpu: "max",
      clock: "icount",
      heat,
      kernel: { image: kernel.image, commandLine: "" },
      disks: [],
      serial: { write() {} },
      debugExit: true,
      noReboot: true,
      ...(tools ? { tools } : {}),
    },
    nodeHost(),
  );
  assert.deepEqual(await machine.run(), { kind: "debug-exit", status: 43 });
  const { bytes } = machine.ram;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return {
    machine,
    instructions: machine.instructions,
    hash: stateHash(machine),
    interrupts: view.getUint32(INTERRUPTS_AT, true),
    exceptions: view.getUint32(EXCEPTIONS_AT, true),
  };
}

const traceOf = (settings: Partial<NonNullable<ToolsDefinition["trace"]>> = {}) => {
  const lines: string[] = [];
  const trace = {
    blocks: false,
    devices: false,
    from: 0,
    to: Number.POSITIVE_INFINITY,
    every: 1_000_000,
    limit: 1 << 28,
    write: (text: string) => void lines.push(...text.trimEnd().split("\n")),
    ...settings,
  };
  return { lines, tools: { trace } };
};

let plain: Run;
let profiled: Run;
before(async () => {
  plain = await run();
  profiled = await run({ profile: true, listings: true });
});

const profileOf = ({ machine }: Run) => {
  const profile = machine.tools?.profile;
  assert.ok(profile);
  return profile;
};

test("a guest that counts instructions ends in the same state with a profile and with a trace as without", async () => {
  assert.equal(plain.exceptions, ROUNDS);
  assert.ok(plain.interrupts > 10);
  const traced = await run(traceOf({ blocks: true, devices: true }).tools);
  for (const { instructions, hash } of [profiled, traced]) {
    assert.deepEqual({ instructions, hash }, { instructions: plain.instructions, hash: plain.hash });
  }
});

test("without tools a machine's memory has no room for them", () => {
  assert.ok(plain.machine.ram.memory.buffer.byteLength < profiled.machine.ram.memory.buffer.byteLength);
});

test("exceptions and interrupts are those that the guest counts", () => {
  const { events } = profileOf(profiled);
  assert.equal(events.get(`${TIMER} external`), profiled.interrupts);
  assert.equal(events.get("6 exception"), ROUNDS);
  assert.equal(events.total, profiled.interrupts + ROUNDS);
});

test("every entry of a region ends in one of its ways out", () => {
  const { regions } = profileOf(profiled);
  assert.ok(regions.length > 0);
  for (const { entries, exits } of regions) {
    assert.equal(
      exits.reduce((sum, { taken }) => sum + taken, 0),
      entries,
    );
  }
});

test("what ran in regions is nearly all of what the loop's instructions are", () => {
  const profile = profileOf(profiled);
  const ran = profile.regions.reduce((sum, region) => sum + region.ran, 0);
  // 13 instructions in each of the repetitions.
  const loop = ROUNDS * 20_000 * 13;
  assert.ok(ran > 0.95 * loop && ran < profiled.instructions, `${ran} of ${loop}`);
});

test("an instruction that raises an exception is told as a way out to the interpreter", async () => {
  // What goes on behind it is a region, too, which comes to it again.
  const { regions } = profileOf(await run({ profile: true }, ROUNDS / 2));
  const left = regions.flatMap(({ exits }) => exits.filter(({ reason }) => reason === "exception"));
  assert.ok(left.length > 0);
  for (const { text } of left) assert.match(text, /^[0-9a-f]+ {2}ud2$/);
});

test("an access that crosses pages is told as such", () => {
  const { regions } = profileOf(profiled);
  const crossing = /^[0-9a-f]+ {2}mov ebx,dword ptr ds:\[0x204ffe\]$/;
  const left = regions.flatMap(({ exits }) => exits.filter(({ text }) => crossing.test(text)));
  assert.ok(left.length > 0);
  for (const { reason, taken, refusals } of left) {
    assert.equal(reason, "memory");
    assert.equal(refusals[REFUSALS.indexOf("page crossing")], taken);
  }
});

test("the run loop has control again for each interrupt, and for no exception of the usual kind", () => {
  const { returns } = profileOf(profiled);
  assert.ok((returns.get(EXIT.event) ?? 0) >= profiled.interrupts, `${returns.get(EXIT.event)}`);
  assert.equal(returns.get(EXIT.fault), 0);
});

test("blocks that ran in the interpreter are counted", async () => {
  const { machine } = await run({ profile: true });
  const profile = profileOf({ ...profiled, machine });
  const undefinedHandler = kernel.labels.get("undefined");
  const block = profile.blocks.most(100).find(({ linear }) => linear === undefinedHandler);
  assert.deepEqual([block?.runs, block?.size, block?.hasRegion], [ROUNDS, 3, false]);
  const interpreted = profile.blocks.most(1000).reduce((sum, { runs, size }) => sum + runs * size, 0);
  const inRegions = profile.regions.reduce((sum, { ran }) => sum + ran, 0);
  // Blocks that an exception or event ends have not run as a whole.
  const rest = machine.instructions - inRegions - profile.events.total;
  assert.ok(interpreted >= rest && interpreted < rest + 1000, `${interpreted} counted, ${rest} left`);
});

test("the report names tiers, regions, vectors and ports", () => {
  const report = profileReport(profiled.machine, { interval: 1, seconds: new Map([[1, 0.5]]) });
  assert.match(report, /^ {2}in regions +[\d,]+ +(100|9\d)\.\d %$/m);
  assert.match(report, /^ {2}[0-9a-f]+ +32-bit +\d+ +[\d,]+ +[\d,]+ +[\d,]+ +\d+\.\d %/m);
  assert.match(report, new RegExp(`^  exception 6 #UD +${ROUNDS}$`, "m"));
  assert.match(report, new RegExp(`^  interrupt ${TIMER} +${profiled.interrupts}$`, "m"));
  assert.match(report, /^ {2}out f4 +1 {2}isa-debug-exit$/m);
  assert.match(report, /^ {2}interpreter, .* 0\.500 s +100\.0 %$/m);
});

test("a listing has the guest's instructions in their order, with WebAssembly below them", () => {
  const profile = profileOf(profiled);
  const [first] = regionFiles(profile, profiled.instructions, 1);
  assert.ok(first);
  const again = (kernel.labels.get("again") as bigint).toString(16);
  const lines = first.text.split("\n");
  const at = lines.findIndex((line) => line.endsWith(`${again}  mov eax,dword ptr [esi]`));
  assert.ok(at > 0, first.text);
  assert.match(lines[at + 1] ?? "", /^ {8} *(local\.|i32\.|i64\.|if|block|loop)/);
  // Nothing of what counts is in it: those are the only sums of 64 bits with a constant address.
  assert.ok(!first.text.includes(`i64.load offset=${profiled.machine.tools?.whereAt}`));
  const guest = lines.flatMap((line) => /^[0-9a-f]{6} {2}([0-9a-f]+) {2}\w/.exec(line)?.[1] ?? []);
  assert.ok(guest.length >= 11);
});

test("two traces of the same run are the same, and tell events where they were", async () => {
  const [one, other] = [
    traceOf({ blocks: true, devices: true, to: 300_000 }),
    traceOf({ blocks: true, devices: true, to: 300_000 }),
  ];
  await run(one.tools);
  await run(other.tools);
  assert.deepEqual(one.lines, other.lines);
  const counts = one.lines.map((line) => Number(line.split(" ", 1)[0]));
  // A device is accessed within a block, whose instructions count from its start.
  const blocks = one.lines.flatMap((line, i) => (/ (block|region) /.test(line) ? [counts[i] as number] : []));
  assert.deepEqual(
    blocks,
    [...blocks].sort((a, b) => a - b),
  );
  assert.ok(one.lines.some((line) => / region [0-9a-f]+$/.test(line)));
  assert.ok(one.lines.some((line) => line.includes(" out 43 1 34")));
});

test("a trace without blocks has each event, and all registers now and then", async () => {
  const { lines, tools } = traceOf();
  await run(tools);
  const ud2 = lines.filter((line) => / exception 6 at /.test(line));
  assert.equal(ud2.length, ROUNDS);
  assert.equal(lines.filter((line) => / interrupt 32 at /.test(line)).length, plain.interrupts);
  const states = lines.filter((line) => / state ip /.test(line)).map((line) => Number.parseInt(line, 10));
  assert.equal(states.length, Math.floor(plain.instructions / 1_000_000) + 1);
});

test("a trace ends where it is as long as it may be, and says so", async () => {
  const { lines, tools } = traceOf({ blocks: true, limit: 5000 });
  await run(tools);
  assert.match(lines.at(-1) ?? "", /^\d+ \(the trace ends here/);
  assert.ok(lines.join("\n").length < 5200);
});
