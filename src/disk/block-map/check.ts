/** The check of formats over a BlockMap. They have nothing that could be counted anew: damage cannot be mended. */
import { BorrowedStore } from "../borrowed-store.ts";
import type { ByteStore } from "../byte-store.ts";
import { ImageError } from "../image-error.ts";
import type { CheckResult, ImageDisk, Report } from "../image-format.ts";
import { BlockMapDisk } from "./block-map-disk.ts";

export type RepairProblem = { readonly kind: "beyond-repair"; readonly what: string };

export const checkWith =
  (open: (store: ByteStore) => Promise<ImageDisk>) =>
  async (store: ByteStore, { repair, report }: { repair: boolean; report?: Report }): Promise<CheckResult> => {
    const disk = await open(new BorrowedStore(store));
    try {
      const nothing = { corruptions: 0, leaks: 0, flaws: 0, messages: [], allocated: 0 };
      const result = disk instanceof BlockMapDisk ? await disk.check(report) : nothing;
      if (!repair || result.corruptions === 0) return result;
      const problem: RepairProblem = { kind: "beyond-repair", what: result.messages[0] ?? "" };
      const text = `cannot be mended (${problem.what}); save what can be read with: bunk disk convert`;
      throw new ImageError(store.name, problem, text);
    } finally {
      await disk.close();
    }
  };
