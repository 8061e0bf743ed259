/** Which direct boot loader fits a kernel file. */
import { BootError } from "./boot-error.ts";
import { describeFile } from "./describe-file.ts";
import { isElf, parseElf } from "./elf.ts";
import { isLinuxImage, parseLinuxImage } from "./linux-header.ts";
import { findMultibootHeader } from "./multiboot.ts";
import { pvhEntry } from "./pvh.ts";

export type KernelKind = "linux" | "pvh" | "multiboot";

/**
 * The loader for `file`; throws BootError with one line that says what the file seems to be, where none fits.
 * A kernel with both a PVH note and a Multiboot header starts through PVH, which tells it more.
 */
export function identifyKernel(file: Uint8Array): KernelKind {
  if (isLinuxImage(file)) {
    parseLinuxImage(file);
    return "linux";
  }
  const multiboot = findMultibootHeader(file) !== undefined;
  if (isElf(file)) {
    if (multiboot) return hasPvhEntry(file) ? "pvh" : "multiboot";
    if (pvhEntry(parseElf(file)) !== undefined) return "pvh";
    throw new BootError(
      "unsupported",
      "the ELF file has neither a PVH entry nor a Multiboot header: no kernel, or one that a bzImage should be made of",
    );
  }
  if (multiboot) return "multiboot";
  throw new BootError("not-a-kernel", `not a kernel that can be started directly: the file ${describeFile(file)}`);
}

/** False too where only the Multiboot header, which may give addresses of its own, is in order. */
function hasPvhEntry(file: Uint8Array): boolean {
  try {
    return pvhEntry(parseElf(file)) !== undefined;
  } catch (error) {
    if (error instanceof BootError) return false;
    throw error;
  }
}
