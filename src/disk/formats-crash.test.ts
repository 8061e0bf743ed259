/** A host that crashes damages no image of any format, and loses nothing that was flushed. qcow2 has tests of its own. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatNamed } from "./formats.ts";
import type { FormatName } from "./image-format.ts";
import { MemoryStore } from "./memory-store.ts";
import { tryCrashes } from "./testing/crash-test.ts";
import { imageHost } from "./testing/node/image-host.ts";

const SIZE = 600 * 512;
/** The larger a format's blocks are, the fewer crashes are looked at. */
const SUBJECTS: readonly (readonly [FormatName, rarity: number])[] = [
  ["vmdk", 2],
  ["vdi", 10],
  ["vhd", 10],
  ["vhdx", 15],
];

for (const [name, rarity] of SUBJECTS) {
  test(`a ${name} image survives crashes with all that was flushed`, async () => {
    const format = await formatNamed(name);
    if (format?.create === undefined || format.check === undefined) throw new Error(`${name} lacks an operation`);
    const { create, check, open } = format;
    const host = imageHost();
    const store = new MemoryStore(0, { name: "disk" });
    await create(store, host, { size: SIZE });
    const subject = {
      image: store.toBytes(),
      size: SIZE,
      open: (store: MemoryStore) => open(store, host, { readOnly: false }),
      check: async (store: MemoryStore) => {
        const { corruptions, messages } = await check(store, host, { repair: false });
        assert.equal(corruptions, 0, messages.join("\n"));
      },
    };
    const crashes = await tryCrashes(subject as Parameters<typeof tryCrashes>[0], { seed: 5, operations: 200, rarity });
    assert.ok(crashes > 5, `only ${crashes} crashes`);
  });
}
