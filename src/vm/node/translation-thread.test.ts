import assert from "node:assert/strict";
import { test } from "node:test";
import type { CompiledRegions } from "../../cpu/translate/region-compiler.ts";
import type { RegionJob } from "../../cpu/translate/region-job.ts";
import { TranslationThread } from "./translation-thread.ts";

const JOB: RegionJob = {
  handler: 7,
  linear: 0x1000n,
  physical: 0x1000,
  ip: 0x1000,
  context: 0,
  paging: { cr0: 0n, cr3: 0n, cr4: 0n, efer: 0n, addressLines: 0xffff_ffffn },
  large: false,
  marks: [],
  seen: 0,
  warm: [],
};

test("what a thread that fails was asked for is refused, and the machine goes on without it", async (t) => {
  const pages = { initial: 1, maximum: 1 };
  const memory = new WebAssembly.Memory({ ...pages, shared: true });
  // No processor has this name, which the thread finds out.
  const thread = new TranslationThread({ memory, memoryPages: pages, vcpu: 0, model: "none", heat: 1 });
  t.after(() => thread.close());
  const done = () => new Promise<CompiledRegions>((resolve) => Object.assign(thread, { done: resolve }));
  for (let i = 0; i < 2; i++) {
    const refused = done();
    // Keeps the process alive: the thread does not.
    const patience = setTimeout(() => assert.fail("no answer"), 30_000);
    thread.request(JOB);
    const { regions } = await refused;
    clearTimeout(patience);
    assert.deepEqual(
      regions.map(({ job, instructions }) => [job.handler, instructions]),
      [[7, 0]],
    );
  }
});
