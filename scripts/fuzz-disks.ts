/**
 * Damages disk images of every format at random, and uses them, until it is stopped or has done `--images` of each:
 *
 *     npm run fuzz-disks -- --images 100000 --from 1 --only qcow2
 *
 * A failure tells the subject and the seed, which make it happen again.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { fuzzOnce } from "../src/disk/testing/fuzz.ts";
import { fuzzSubjects } from "../src/disk/testing/node/fuzz-subjects.ts";

const { values } = parseArgs({
  options: {
    images: { type: "string", default: "20000" },
    from: { type: "string", default: "1" },
    only: { type: "string", default: "" },
  },
});
const [images, from] = [Number(values.images), Number(values.from)];
const subjects = (await fuzzSubjects()).filter(({ name }) => name.includes(values.only));
let failures = 0;
for (const subject of subjects) {
  for (let seed = from; seed < from + images; seed++) {
    try {
      await fuzzOnce(subject, seed);
    } catch (error) {
      failures++;
      process.stdout.write(`${subject.name}, seed ${seed}: ${error instanceof Error ? error.stack : error}\n`);
    }
  }
  process.stdout.write(`${subject.name}: ${images} images from seed ${from} on\n`);
}
process.exitCode = failures === 0 ? 0 : 1;
