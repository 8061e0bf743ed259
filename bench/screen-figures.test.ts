import assert from "node:assert/strict";
import { test } from "node:test";
import { PROMPT_MARK, parseMark, runBetween, START_MARK } from "./loader-marks.ts";
import { loadersTable, type ScreenWindow, scenesTable, windowBetween } from "./screen-figures.ts";

const cells = (table: string, row: number) => (table.split("\n")[row + 2] ?? "").split("|").map((cell) => cell.trim());

test("a run to a prompt is the time between its marks less what the guest's thread waited", () => {
  const line = (name: string, at: number, instructions: number, ran: number, waited: number) =>
    `${name} ${JSON.stringify({
      at,
      instructions,
      threads: [
        ["1", ran, waited],
        ["2", 0.5, 3],
      ],
    })}`;
  const start = parseMark(line(START_MARK, 10, 5, 1, 0.25), START_MARK);
  const prompt = parseMark(line(PROMPT_MARK, 11, 105, 1.5, 0.5), PROMPT_MARK);
  assert.ok(start && prompt);
  assert.deepEqual(runBetween(start, prompt), { seconds: 0.75, guestThread: 0.5, allThreads: 0.5, instructions: 100 });
  assert.equal(parseMark("something else", START_MARK), undefined);
});

test("threads that were not there at the first mark count from nothing", () => {
  const start = { at: 0, threads: new Map([["1", { ran: 1, waited: 0 }]]) };
  const prompt = {
    at: 1,
    threads: new Map([
      ["1", { ran: 1.5, waited: 0 }],
      ["2", { ran: 0.25, waited: 0 }],
    ]),
  };
  assert.equal(runBetween(start, prompt).allThreads, 0.75);
});

test("a loader's row has medians in milliseconds, and only ours must meet the target", () => {
  const run = (seconds: number) => ({ seconds, guestThread: 0.2, allThreads: 0.4, instructions: 3_000_000 });
  const runs = [run(0.25), run(9), run(0.28)];
  const row = { medium: "disc", machine: "ours", runs, fromProcess: [0.5] };
  const table = loadersTable([row, { ...row, machine: "QEMU", fromProcess: [] }]);
  assert.deepEqual(cells(table, 0).slice(1, -1), ["disc", "ours", "280", "200", "400", "500", "3.00", "yes"]);
  assert.deepEqual(cells(table, 1).slice(1, -1), ["disc", "QEMU", "280", "200", "400", "-", "3.00", ""]);
  assert.equal(cells(loadersTable([{ ...row, runs: [run(0.31)] }]), 0).at(-2), "no");
});

test("a window tells the guest's thread from the others", () => {
  const before = new Map([["7", { ran: 1, waited: 1 }]]);
  const after = new Map([
    ["7", { ran: 2, waited: 1.5 }],
    ["8", { ran: 0.5, waited: 9 }],
  ]);
  const expected = { seconds: 2, guestThread: 0.5, otherThreads: 0.25, waited: 0.25 };
  assert.deepEqual(windowBetween(7, 2, before, after), expected);
});

test("a viewer's share is the difference of windows next to each other; the rate counts where changes are fast", () => {
  const window = (guestThread: number, updates = 0): ScreenWindow => ({
    ...{ seconds: 2, guestThread, otherThreads: 0.01, waited: 0 },
    ...{ updates, bytes: 2048 },
  });
  const pairs = [
    [window(0.2), window(0.25, 40)],
    [window(0.6), window(0.63, 42)],
    [window(0.1), window(0.2, 41)],
  ] as const;
  const expected = ["square", "20.5", "1.00", "21.0 %", "5.0 %", "0.0 %", "5.0 %", "0.0 %"];
  const slow = cells(scenesTable([{ scene: "square", isFast: false, pairs }]), 0);
  assert.deepEqual(slow.slice(1, -1), [...expected, "yes"]);
  const fast = cells(scenesTable([{ scene: "square", isFast: true, pairs }]), 0);
  assert.equal(fast.at(-2), "no");
});
