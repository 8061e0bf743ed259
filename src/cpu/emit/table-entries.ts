/** Entries of the table of functions that run guest code which are for one handler each. */

/** Ends a chain; records are pointed at it to stop what runs. */
export const RESUME = 1;
/** Counts how often a block runs. */
export const COUNT = 2;
/** Returns where a debugger may have a breakpoint. */
export const BREAKPOINT = 3;
/**
 * Looks for what is to run in place of a record whose code has changed. It also stands in front of a block that has a
 * region: who has a link to the block (state.ts, LINK) looks again.
 */
export const FIND = 4;
/** The entry of the first handler of an instruction. */
export const FIRST_HANDLER = FIND + 1;
