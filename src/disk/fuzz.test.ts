import { test } from "node:test";
import { fuzzOnce } from "./testing/fuzz.ts";
import { fuzzSubjects } from "./testing/node/fuzz-subjects.ts";

/** npm run fuzz-disks does more. */
const IMAGES = 30;

for (const subject of await fuzzSubjects()) {
  test(`a damaged image (${subject.name}) is used, mended or refused, and nothing worse`, async () => {
    for (let seed = 1; seed <= IMAGES; seed++) {
      try {
        await fuzzOnce(subject, seed);
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
  });
}
