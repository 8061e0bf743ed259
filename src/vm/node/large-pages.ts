/**
 * Large pages for a machine's memory. A guest's accesses are scattered over hundreds of MiB, for which a processor's
 * TLB has no room in pages of 4 KiB, least of all where the host is a virtual machine itself. Linux gives large ones to
 * memory that asks for them; Node has no call for that, and that of the C library is reached by node:ffi.
 */
import process from "node:process";

/** sys/mman.h: MADV_HUGEPAGE. */
const HUGE_PAGES = 14;

/** Asks for large pages wherever `memory` is not in use yet; without effect where the host has none to give. */
export function askForLargePages(memory: WebAssembly.Memory): void {
  if (process.platform !== "linux" || !["x64", "arm64"].includes(process.arch)) return;
  try {
    // Loaded when it is needed: it is not there in every Node, and may be out of reach.
    const { dlopen, getRawPointer } = process.getBuiltinModule("node:ffi");
    const signature = { return: "i32", arguments: ["u64", "u64", "i32"] } as const;
    const { madvise } = dlopen(null, { madvise: signature }).functions;
    madvise(getRawPointer(memory.buffer), BigInt(memory.buffer.byteLength), HUGE_PAGES);
  } catch {
    // The memory stays as it is.
  }
}
