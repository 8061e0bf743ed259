/** Which regions have run least: those that go where there are too many. */

/** A region with how many instructions it has run since this was last looked at, as far as samples tell. */
export interface UsedRegion {
  ran: number;
}

/**
 * Up to `most` of the older half of `regions`, in whose order they were added: of what has come last it is not known yet.
 * What runs from now on is counted for the next time.
 */
export function leastUsed<R extends UsedRegion>(regions: Iterable<R>, most: number): R[] {
  const all = [...regions].map((region) => ({ region, ran: region.ran }));
  for (const { region } of all) region.ran = 0;
  const older = all.slice(0, Math.ceil(all.length / 2)).sort((one, other) => one.ran - other.ran);
  return older.slice(0, most).map(({ region }) => region);
}
