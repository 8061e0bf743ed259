/** Kinds of drive that a BIOS boots from, and the order in which it tries them. */
export const BOOT_KINDS = ["cd", "disk", "floppy", "net"] as const;
export type BootKind = (typeof BOOT_KINDS)[number];
export const DEFAULT_ORDER: readonly BootKind[] = ["cd", "disk", "floppy"];
