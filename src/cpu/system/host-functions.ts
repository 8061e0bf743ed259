/** Functions in TypeScript that meanings call, by the name they are declared with (src/isa/functions.ts). */
export type HostFunctions = Record<string, (...args: (number & bigint)[]) => number | bigint | undefined | void>;
