/**
 * What firmware reads of the battery-backed memory: how much RAM there is, and where to boot from.
 *
 * @spec IBM PC/AT Technical Reference, "CMOS RAM"; the bytes from 34h on, 5Bh to 5Dh and 5Fh, and the order of boot devices
 * (3Dh, 38h): Bochs and SeaBIOS (src/hw/rtc.h)
 */
import { KIB, MIB } from "../bits/units.ts";

export interface CmosByte {
  readonly index: number;
  readonly value: number;
}

/** What may be booted from, as the boot order's bytes number it. */
export const BOOT_DEVICES = { floppy: 1, disk: 2, cd: 3, net: 4 } as const;
export type BootDevice = keyof typeof BOOT_DEVICES;

const CONVENTIONAL_KIB = 640;
/** Sizes in 16 bits: the most KiB above 1 MiB, and what is told in units of 64 KiB begins at 16 MiB. */
const MOST_KIB = 0xffff;
const ABOVE_16M = 16 * MIB;
const UNIT = 64 * KIB;

/** The bytes for RAM from 0 to `ramSize`, below 4 GiB, and a boot order of up to three devices. */
export function cmosBytes(ramSize: number, bootOrder: readonly BootDevice[] = DEFAULT_ORDER): CmosByte[] {
  const extended = Math.min((ramSize - MIB) / KIB, MOST_KIB);
  const above16 = Math.max(ramSize - ABOVE_16M, 0) / UNIT;
  const [first = 0, second = 0, third = 0] = bootOrder.map((device) => BOOT_DEVICES[device]);
  return [
    ...half(0x15, CONVENTIONAL_KIB),
    ...half(0x17, extended),
    ...half(0x30, extended),
    ...half(0x34, above16),
    { index: 0x38, value: third << 4 },
    { index: 0x3d, value: first | (second << 4) },
    // No RAM above 4 GiB, and one processor.
    ...[0x5b, 0x5c, 0x5d, 0x5f].map((index) => ({ index, value: 0 })),
  ];
}

const DEFAULT_ORDER: readonly BootDevice[] = ["cd", "disk", "floppy"];

function half(index: number, value: number): CmosByte[] {
  return [
    { index, value: value & 0xff },
    { index: index + 1, value: (value >>> 8) & 0xff },
  ];
}
