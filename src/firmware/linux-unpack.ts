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
import { BootError } from "./boot-error.ts";
import { type ElfImage, parseElf, physicalEntry } from "./elf.ts";
import type { LinuxImage } from "./linux-header.ts";
import { payloadPacking } from "./linux-payload.ts";
import { LinuxRelocations } from "./linux-relocations.ts";
import { unpackLz4Legacy } from "./lz4.ts";

export interface UnpackedLinux {
  /** Bytes from the kernel's start to its entry. */
  readonly entry: number;
  /** Whether it can run at another virtual address than the one that it is linked for. */
  readonly relocatable: boolean;
  /**
   * Puts the kernel into `memory`, which begins where it starts, for a virtual address that is `distance` bytes above
   * the one that it is linked for. Can be called once: the unpacked bytes are given up.
   */
  load(memory: Uint8Array, distance: number): void;
}

/** Unpacks with `unpack` what lz4.ts does not; undefined where the kernel has to do it. */
export function unpackLinux(image: LinuxImage, unpack: UnpackNow | undefined): UnpackedLinux | undefined {
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
    entry,
    relocatable,
    load(memory, distance) {
      for (const { start, content, size } of parts) {
        memory.set(content, start);
        memory.fill(0, start + content.length, start + size);
      }
      if (distance !== 0) relocations?.apply(memory, distance);
      // Not left to the garbage collector, which may take its time with so much.
      if (file.buffer instanceof ArrayBuffer) file.buffer.transfer(0);
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
