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

/** The kernel proper within a bzImage. */
export interface PackedLinux {
  /**
   * Unpacks the kernel into the room that was claimed for it where it prefers to run, or, where KASLR is on and there is
   * a source of random numbers, at a random place above. Undefined where it is not as expected: the room is then given
   * back, with zeros in it.
   */
  load(layout: RamLayout, room: MemoryRange, random: RandomSource | undefined): RunningLinux | undefined;
}

export interface RunningLinux {
  readonly kernel: MemoryRange;
  /** The physical address to begin at. */
  readonly entry: number;
  /** Whether its addresses are random. */
  readonly kaslr: boolean;
}

/**
 * The kernel in `image`, to be unpacked with `unpack` where lz4.ts does not; undefined where the kernel has to do it. The
 * image's `initSize` should be known to fit into RAM: no more is unpacked.
 */
export function unpackLinux(
  image: LinuxImage,
  commandLine: string,
  unpack: UnpackNow | undefined,
): PackedLinux | undefined {
  const isFixed = forbidsKaslr(commandLine);
  if (!isFixed && limitsMemory(commandLine)) return undefined;
  const size = unpackedSize(image);
  // The kernel's own decompressor has no more room either.
  if (size === undefined || size > image.initSize || !image.relocatable) return undefined;
  return {
    load(layout, room, random) {
      const isRandom = random !== undefined && !isFixed;
      const address = isRandom
        ? layout.moveUp(room.address, kaslrAlignment(image), (places) => randomBelow(random, places))
        : room.address;
      const memory = layout.open(address, room.size);
      const placed = unpackPayload(image, memory.subarray(0, size), unpack) && placeKernel(memory, size, image);
      if (!placed) {
        memory.fill(0, 0, size);
        layout.release(address);
        return undefined;
      }
      const { entry, relocations } = placed;
      // What cannot run at any virtual address can at any physical one.
      if (isRandom && relocations) relocations.apply(memory, virtualDistance(image, random));
      const kaslr = isRandom && relocations !== undefined;
      return { kernel: { address, size: room.size }, entry: address + entry, kaslr };
    },
  };
}

/** How many bytes the payload is unpacked to, as it says at its end; undefined where it is packed in another way. */
function unpackedSize({ payload, ...image }: LinuxImage): number | undefined {
  if (payloadPacking({ payload, ...image }) === undefined) return undefined;
  return new DataView(payload.buffer, payload.byteOffset, payload.length).getUint32(payload.length - 4, true);
}

/** Fills `file`; whether it is what the payload has. */
function unpackPayload(image: LinuxImage, file: Uint8Array, unpack: UnpackNow | undefined): boolean {
  const { payload } = image;
  const packing = payloadPacking(image);
  // gzip's own format ends with the size; to what others make it is added.
  const packed = packing === "gzip" ? payload : payload.subarray(0, payload.length - 4);
  if (packing === "lz4") return unpackLz4Legacy(packed, file);
  try {
    const unpacked = unpack?.(packed, file.length);
    if (unpacked?.length !== file.length) return false;
    file.set(unpacked);
    return true;
  } catch {
    return false;
  }
}

/** Moves the segments of the ELF file at the start of `memory` to where they run; undefined where it is not as expected. */
function placeKernel(memory: Uint8Array, size: number, image: LinuxImage) {
  const elf = tryParse(memory.subarray(0, size));
  const parts = elf && placeSegments(elf, image);
  if (!elf || !parts) return undefined;
  const entry = physicalEntry(elf) - image.prefAddress;
  if (!parts.some(({ start, end }) => entry >= start && entry < end)) return undefined;
  // What follows the ELF file can only be relocations.
  const table = memory.slice(Math.min(elf.fileSize, size), size);
  const relocations = table.length > 0 ? LinuxRelocations.read(table, image.prefAddress, parts) : undefined;
  if (table.length > 0 && !relocations) return undefined;
  moveParts(memory, size, parts);
  return { entry, relocations };
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

interface Part {
  /** Where it lies from the kernel's start on; from `end` on up to `size` bytes it is zeros. */
  readonly start: number;
  readonly end: number;
  readonly size: number;
  /** Its bytes, where they were unpacked to. */
  readonly content: Uint8Array;
}

/** The segments in ascending order; undefined where one is not in the room that the header asks for, or two overlap. */
function placeSegments({ segments }: ElfImage, { prefAddress, initSize }: LinuxImage): Part[] | undefined {
  const parts = segments.map(({ physicalAddress, content, size }) => {
    const start = physicalAddress - prefAddress;
    return { start, end: start + content.length, content, size };
  });
  parts.sort((a, b) => a.start - b.start);
  const fits = ({ start, size }: Part, i: number) => start >= 0 && start + size <= (parts[i + 1]?.start ?? initSize);
  return parts.every(fits) ? parts : undefined;
}

/** Moves parts of the unpacked file, the first `size` bytes of `memory`, to their places, with zeros between them. */
function moveParts(memory: Uint8Array, size: number, parts: readonly Part[]): void {
  const from = ({ content }: Part) => content.byteOffset - memory.byteOffset;
  // Kernels' files have them in this order, and further up: none is then written over before it is moved.
  const isInOrder = parts.every((part, i) => {
    const next = parts[i + 1];
    return part.start <= from(part) && (!next || (from(part) <= from(next) && part.start + part.size <= from(next)));
  });
  const contents = parts.map(({ content }) => (isInOrder ? content : content.slice()));
  parts.forEach((part, i) => {
    memory.set(contents[i] as Uint8Array, part.start);
    memory.fill(0, part.end, parts[i + 1]?.start ?? Math.max(part.start + part.size, size));
  });
}
