/**
 * Limits of V8's heap for a machine's threads. What they drop is short-lived: with the room that V8 gives young
 * objects by itself, each thread would only hold some 50 MB more of the host's memory.
 */
export const SMALL_YOUNG_HEAP = { maxYoungGenerationSizeMb: 12 } as const;
