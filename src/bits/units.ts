/**
 * Branded number types: a quantity carries its unit in its type and costs nothing at run time.
 * Make one with the function of the same name in lower case; arithmetic gives a plain number again.
 */
declare const unit: unique symbol;
export type Unit<Name extends string> = number & { readonly [unit]: Name };

/** A guest-physical byte address, 0 to 2^52. */
export type GuestPhysical = Unit<"GuestPhysical">;
/** Guest time since power-on, in nanoseconds. */
export type Nanoseconds = Unit<"Nanoseconds">;
/** A count of 512-byte sectors. */
export type Sectors = Unit<"Sectors">;
/** A byte offset in a file or a disk. */
export type ByteOffset = Unit<"ByteOffset">;

export const guestPhysical = (address: number): GuestPhysical => address as GuestPhysical;
export const nanoseconds = (ns: number): Nanoseconds => ns as Nanoseconds;
export const sectors = (count: number): Sectors => count as Sectors;
export const byteOffset = (offset: number): ByteOffset => offset as ByteOffset;

export const SECTOR_SIZE = 512;
export const PAGE_SIZE = 4096;
export const KIB = 1024;
export const MIB = 1024 * 1024;
export const GIB = 1024 * 1024 * 1024;
