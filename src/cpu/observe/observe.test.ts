/** The memory that counts and notes are kept in: what happens where it is full. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ModuleBuilder, signature } from "../../wasm/module.ts";
import { CountAllocator, CountBuilder, CountReader } from "./count-area.ts";
import { noteEntry, PATH_SIZE, PathReader } from "./path-ring.ts";
import { Tally } from "./processor-profile.ts";
import { RegionCountBuilder } from "./region-counts.ts";

const AREA = { at: 64, size: 1 << 18 };

function memoryOf(bytes: number): WebAssembly.Memory {
  const pages = Math.ceil(bytes / 65536);
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

/** A module of one function over the memory. */
function run(memory: WebAssembly.Memory, build: Parameters<ModuleBuilder["function"]>[1]): void {
  const module = new ModuleBuilder();
  const pages = memory.buffer.byteLength / 65536;
  module.importMemory({ module: "env", name: "memory", initial: pages, maximum: pages, shared: true });
  module.function(signature([]), build, { export: "run" });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.build()), { env: { memory } });
  (exports.run as () => void)();
}

test("counts are given out once, and none beyond the area", () => {
  const { buffer } = memoryOf(AREA.at + AREA.size);
  const allocator = new CountAllocator(buffer, AREA);
  const given = new Set<number>();
  for (let room = allocator.room; room >= 8; room -= 8) {
    const at = allocator.take(1);
    assert.ok(at >= AREA.at && at + 8 <= AREA.at + AREA.size && !given.has(at));
    given.add(at);
  }
  const spare = allocator.take(1);
  assert.ok(!given.has(spare) && spare >= AREA.at && spare < AREA.at + AREA.size);
  assert.equal(allocator.take(5), spare);
});

test("a region has no counts where there is little room", () => {
  const { buffer } = memoryOf(AREA.at + AREA.size);
  const allocator = new CountAllocator(buffer, AREA);
  const describe = () => "";
  assert.ok(RegionCountBuilder.from(allocator, describe));
  while (allocator.room > 1000) allocator.take(10);
  assert.equal(RegionCountBuilder.from(allocator, describe), undefined);
  assert.equal(RegionCountBuilder.from(undefined, describe), undefined);
});

test("emitted code counts what it is told to, each apart", () => {
  const memory = memoryOf(AREA.at + AREA.size);
  const counts = new CountBuilder(AREA);
  run(memory, (f) => {
    counts.single(f, "findBlock");
    counts.single(f, "findBlock");
    counts.single(f, "flushPage");
    counts.walk(f, f.i32(1), f.i32(2));
    counts.fill(f, f.i32(3));
  });
  const reader = new CountReader(memory.buffer, AREA);
  assert.deepEqual([reader.single("findBlock"), reader.single("flushPage"), reader.single("keepPage")], [2, 1, 0]);
  assert.deepEqual([reader.walks(1, 2), reader.walks(2, 1), reader.fills(3), reader.fills(0)], [1, 0, 1, 0]);
});

test("without an area nothing is emitted", () => {
  const bytes = (counts: CountBuilder | undefined) => {
    const module = new ModuleBuilder();
    module.importMemory({ module: "env", name: "memory", initial: 1, maximum: 1, shared: true });
    module.function(signature([]), (f) => {
      counts?.single(f, "findBlock");
      counts?.walk(f, f.i32(0), f.i32(0));
      counts?.refusal(f, "device");
    });
    return [...module.build()];
  };
  assert.deepEqual(bytes(new CountBuilder(undefined)), bytes(undefined));
  assert.notDeepEqual(bytes(new CountBuilder(AREA)), bytes(undefined));
});

test("a path is read in order, and tells how much of it is lost", () => {
  const area = { at: 32, size: PATH_SIZE };
  const memory = memoryOf(area.at + area.size);
  const reader = new PathReader(memory.buffer, area);
  run(memory, (f) => noteEntry(f, area, f.i64(0xffff_ffff_8100_0000n), f.i32(48), f.i32(7)));
  reader.note({ ip: 0x1000n, record: 96, budget: 5 });
  const seen: unknown[] = [];
  assert.equal(
    reader.take((entry) => void seen.push(entry)),
    0,
  );
  assert.deepEqual(seen, [
    { ip: 0xffff_ffff_8100_0000n, record: 48, budget: 7 },
    { ip: 0x1000n, record: 96, budget: 5 },
  ]);
  const held = Math.floor(PATH_SIZE / 16) - 1;
  for (let i = 0; i < held + 3; i++) reader.note({ ip: BigInt(i), record: 0, budget: 0 });
  const ips: bigint[] = [];
  assert.equal(
    reader.take(({ ip }) => void ips.push(ip)),
    3,
  );
  assert.deepEqual([ips.length, ips[0], ips.at(-1)], [held, 3n, BigInt(held + 2)]);
});

test("a tally of too many keys counts the rest as one", () => {
  const tally = new Tally<number>(2);
  for (const key of [1, 2, 2, 3, 4, 1]) tally.add(key);
  assert.deepEqual(
    [tally.sorted, tally.others, tally.total],
    [
      [
        [1, 2],
        [2, 2],
      ],
      2,
      6,
    ],
  );
});
