/**
 * Where a Linux kernel with relocations runs: at random addresses, physical and virtual, that have nothing to do with each
 * other, as its own decompressor would choose them.
 *
 * Not done: the options that make it look at memory otherwise (mem=, memmap=, hugepages=): it is left to itself then.
 *
 * @spec Linux arch/x86/boot/compressed/kaslr.c
 */
import { GIB, MIB } from "../bits/units.ts";
import type { RandomSource } from "../machine/device.ts";
import type { LinuxImage } from "./linux-header.ts";

/** How much of the virtual address space is the kernel's, from where its physical addresses would begin. */
const KERNEL_IMAGE_SIZE = GIB;
/** The kernel maps itself in pages of this size. */
const LEAST_ALIGNMENT = 2 * MIB;

/** Whether the command line says that the kernel must run at the addresses that it is linked for. */
export const forbidsKaslr = (commandLine: string): boolean => commandLine.split(/[\0- ]+/).includes("nokaslr");

/** Whether options on the command line say where the kernel must not run. */
export const limitsMemory = (commandLine: string): boolean => /mem(map)?=|hugepages/.test(commandLine);

/** What physical and virtual addresses are multiples of. */
export const kaslrAlignment = ({ alignment }: LinuxImage): number => Math.max(alignment, LEAST_ALIGNMENT);

/** How far above the virtual address that it is linked for the kernel runs. */
export function virtualDistance(image: LinuxImage, random: RandomSource): number {
  const alignment = kaslrAlignment(image);
  const first = Math.ceil(image.prefAddress / alignment) * alignment;
  const last = KERNEL_IMAGE_SIZE - Math.ceil(image.initSize / alignment) * alignment;
  const places = Math.floor((last - first) / alignment) + 1;
  return places > 0 ? first - image.prefAddress + randomBelow(random, places) * alignment : 0;
}

/** A random integer below `limit`, which is at most 2^16. */
export function randomBelow(random: RandomSource, limit: number): number {
  const word = new Uint32Array(1);
  random.fill(new Uint8Array(word.buffer));
  return Math.floor(((word[0] as number) / 2 ** 32) * limit);
}
