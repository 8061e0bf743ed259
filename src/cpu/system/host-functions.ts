/** Functions in TypeScript that meanings call, by the name they are declared with; they give a number (i32), a bigint (i64) or nothing. */
export type HostFunctions = Record<string, (...args: (number & bigint)[]) => unknown>;
