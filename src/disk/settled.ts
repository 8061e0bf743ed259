/**
 * Resolves when all of these have ended, and rejects with the error of one only then: what is still under way must
 * not go on behind the back of whoever holds a lock for it.
 */
export async function settled(operations: readonly Promise<void>[]): Promise<void> {
  if (operations.length === 1) return operations[0];
  for (const result of await Promise.allSettled(operations)) if (result.status === "rejected") throw result.reason;
}
