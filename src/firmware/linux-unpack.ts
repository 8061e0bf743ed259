/**
 * Unpacks the kernel proper (vmlinux) that a bzImage carries, so that the guest need not.
 *
 * Whatever is not as this expects is left to the kernel's own decompressor, which knows: other ways of packing, something
 * else than an ELF file, a layout that the setup header does not announce.
 *
 * @spec Linux Documentation/arch/x86/boot.rst (payload_offset, payload_length, init_size, pref_address);
 * arch/x86/boot/compressed/misc.c (parse_elf)
 */
import type { UnpackNow } from "../disk/decompress.ts";
import type { RandomSource } from "../machine/device.ts";
import { BootError } from "./boot-error.ts";
import { type ElfImage, parseElf, physicalEntry } from "./elf.ts";
import { type LinuxImage, payloadPacking } from "./linux-header.ts";
import { forbidsKaslr, kaslrAlignment, limitsMemory, randomBelow, virtualDistance } from "./linux-kaslr.ts";
import { LinuxRelocations } from "./linux-relocations.ts";
import { unpackLz4Legacy } from "./lz4.ts";
import type { MemoryRange } from "./memory-map.ts";
import type { RamLayout } from "./ram-layout.ts";

export interface UnpackedLinux {
  /**
   * Puts the kernel into the room that was claimed for it where it prefers to run, or, where KASLR is on and there is
   * a source of random numbers, at a random place above. Can be called once: the unpacked bytes are given up.
   */
  load(layout: RamLayout, room: MemoryRange, random: RandomSource | undefined): RunningLinux;
}

export interface RunningLinux {
  readonly kernel: MemoryRange;
  /** The physical address to begin at. */
  readonly entry: number;
  /** Whether its addresses are random. */
  readonly kaslr: boolean;
}

/**
 * Unpacks with `unpack` what lz4.ts does not; undefined where the kernel has to do it. The image's `initSize` should be
 * known to fit into RAM: no more is unpacked.
 */
export function unpackLinux(
  image: LinuxImage,
  commandLine: string,
  unpack: UnpackNow | undefined,
): UnpackedLinux | undefined {
  const isFixed = forbidsKaslr(commandLine);
  if (!isFixed && limitsMemory(commandLine)) return undefined;
  const file = unpackPayload(image, unpack);
  if (file === undefined) return undefined;
  const elf = tryParse(file);
  const parts = elf && placeSegments(elf, image);
  if (!elf || !parts) return undefined;
  const entry = physicalEntry(elf) - image.prefAddress;
  if (!parts.some(({ start, end }) => entry >= start && entry < end)) return undefined;

  // What follows the ELF file can only be relocations.
  const relocatable = elf.fileSize !== file.length;
  const table = file.subarray(Math.min(elf.fileSize, file.length));
  const relocations = relocatable ? LinuxRelocations.read(table, image.prefAddress, parts) : undefined;
  if (relocatable && (!relocations || !image.relocatable)) return undefined;
  return {
    load(layout, room, random) {
      let { address } = room;
      let distance = 0;
      const kaslr = relocations !== undefined && random !== undefined && !isFixed;
      if (kaslr) {
        address = layout.moveUp(address, kaslrAlignment(image), (places) => randomBelow(random, places));
        distance = virtualDistance(image, random);
      }
      const memory = layout.open(address, room.size);
      for (const { start, content, size } of parts) {
        memory.set(content, start);
        memory.fill(0, start + content.length, start + size);
      }
      if (distance !== 0) relocations?.apply(memory, distance);
      // Not left to the garbage collector, which may take its time with so much.
      if (file.buffer instanceof ArrayBuffer) file.buffer.transfer(0);
      return { kernel: { address, size: room.size }, entry: address + entry, kaslr };
    },
  };
}

function unpackPayload(image: LinuxImage, unpack: UnpackNow | undefined): Uint8Array | undefined {
  const { payload, initSize } = image;
  const packing = payloadPacking(image);
  if (packing === undefined) return undefined;
  const sizeAt = payload.length - 4;
  const size = new DataView(payload.buffer, payload.byteOffset, payload.length).getUint32(sizeAt, true);
  // The kernel's own decompressor has no more room either.
  if (size > initSize) return undefined;
  // gzip's own format ends with the size; to what others make it is added.
  if (packing === "lz4") return unpackLz4Legacy(payload.subarray(0, sizeAt), size);
  try {
    const file = unpack?.(packing === "gzip" ? payload : payload.subarray(0, sizeAt), size);
    return file?.length === size ? file : undefined;
  } catch {
    return undefined;
  }
}

function tryParse(file: Uint8Array): ElfImage | undefined {
  try {
    const elf = parseElf(file);
    return elf.class === 64 ? elf : undefined;
  } catch (error) {
    if (error instanceof BootError) return undefined;
    throw error;
  }
}

/** Where segments lie from the kernel's start on; undefined where one is not in the room that the header asks for. */
function placeSegments({ segments }: ElfImage, { prefAddress, initSize }: LinuxImage) {
  const parts = segments.map(({ physicalAddress, content, size }) => {
    const start = physicalAddress - prefAddress;
    return { start, end: start + content.length, content, size };
  });
  return parts.every(({ start, size }) => start >= 0 && start + size <= initSize) ? parts : undefined;
}
