/** Replies that many commands share. Numbers of errors are those of errno, as far as gdb shows them at all. */

export const OK = "OK";
/** An empty reply: the command is not supported. */
export const UNKNOWN = "";
export const ERROR = {
  noAnnex: "E00",
  /** E2BIG */
  tooLong: "E07",
  /** EFAULT */
  noMemory: "E0e",
  /** EBUSY */
  busy: "E10",
  /** EINVAL */
  invalid: "E16",
  /** ENOSPC */
  noRoom: "E1c",
} as const;
