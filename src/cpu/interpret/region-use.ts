/** Which regions have run least: those that go where there are too many. */
import { REGION } from "../state.ts";

/** A region with what it was still to run (REGION.heat) when it was added, or when this was last looked at. */
export interface UsedRegion {
  readonly record: number;
  heat: number;
}

/**
 * Up to `most` of the older half of `regions`, in whose order they were added: of what has come last it is not known yet.
 * What runs from now on is counted for the next time.
 */
export function leastUsed<R extends UsedRegion>(i32: Int32Array, regions: Iterable<R>, most: number): R[] {
  const all = [...regions].map((region) => {
    const heat = i32[(region.record + REGION.heat) >> 2] as number;
    // Where there is more to run than before, it has run all of it and was looked at.
    const ran = heat > region.heat ? Number.POSITIVE_INFINITY : region.heat - heat;
    region.heat = heat;
    return { region, ran };
  });
  const older = all.slice(0, Math.ceil(all.length / 2)).sort((one, other) => one.ran - other.ran);
  return older.slice(0, most).map(({ region }) => region);
}
