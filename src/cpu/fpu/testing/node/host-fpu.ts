/**
 * The x87 unit of the computer that runs the tests, as an oracle: executes one instruction on many FPU states
 * by machine code in memory from mmap, called through node:ffi as the comparison function of bsearch.
 * Works on x86-64 Linux and macOS; elsewhere `hostFpu` gives the reason why it does not.
 */
import { createRequire } from "node:module";
import { type Fpu, RECORD } from "../record.ts";

type Ffi = typeof import("node:ffi");

const PROT_READ_WRITE_EXEC = 7;
const MAP_PRIVATE_ANONYMOUS = process.platform === "darwin" ? 0x1002 : 0x22;
const CODE_BYTES = 4096;

function openFfi(): Ffi | undefined {
  try {
    return createRequire(import.meta.url)("node:ffi") as Ffi;
  } catch {
    return undefined;
  }
}

let opened: Fpu | string | undefined;

/** The host's FPU, or why it cannot be used. */
export function hostFpu(): Fpu | string {
  opened ??= open();
  return opened;
}

function open(): Fpu | string {
  if (process.arch !== "x64") return "the host is no x86-64 processor";
  if (process.platform === "win32") return "mmap is not there on Windows";
  const ffi = openFfi();
  if (!ffi) return "this Node has no node:ffi";
  const { functions } = ffi.dlopen(null, {
    mmap: { arguments: ["pointer", "u64", "i32", "i32", "i32", "i64"], return: "pointer" },
    bsearch: { arguments: ["pointer", "pointer", "u64", "u64", "pointer"], return: "pointer" },
  });
  const code = functions.mmap(0n, BigInt(CODE_BYTES), PROT_READ_WRITE_EXEC, MAP_PRIVATE_ANONYMOUS, -1, 0n);
  if (code === 0xffff_ffff_ffff_ffffn) return "the host grants no writable and executable memory";
  const area = new Uint8Array(ffi.toArrayBuffer(code, CODE_BYTES, false));
  return {
    run(instruction, records, size) {
      area.set(routine(instruction, size));
      const header = new BigUint64Array([BigInt(records.length / size), ffi.getRawPointer(records)]);
      functions.bsearch(ffi.getRawPointer(header), ffi.getRawPointer(header), 1n, 16n, code);
    },
  };
}

const dword = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >> shift) & 0xff);

/** int compare(header, _): runs `instruction` on header[0] records at header[1]. */
function routine(instruction: readonly number[], size: number): number[] {
  const loop = [
    ...[0xff, 0xb7, ...dword(RECORD.flags)], // push [rdi + flags]
    0x9d, // popfq
    ...[0x48, 0x8d, 0xb7, ...dword(RECORD.memory)], // lea rsi, [rdi + memory]
    ...[0x48, 0x8b, 0x87, ...dword(RECORD.rax)], // mov rax, [rdi + rax]
    ...[0xdd, 0x27], // frstor [rdi]
    ...instruction,
    ...[0xdd, 0x37], // fnsave [rdi]
    ...[0x48, 0x89, 0x87, ...dword(RECORD.rax)], // mov [rdi + rax], rax
    0x9c, // pushfq
    ...[0x8f, 0x87, ...dword(RECORD.flags)], // pop [rdi + flags]
    ...[0x48, 0x81, 0xc7, ...dword(size)], // add rdi, size
    ...[0x48, 0xff, 0xc9], // dec rcx
  ];
  return [
    ...[0x48, 0x8b, 0x0f], // mov rcx, [rdi]
    ...[0x48, 0x8b, 0x7f, 0x08], // mov rdi, [rdi + 8]
    ...loop,
    ...[0x75, 256 - loop.length - 2], // jnz loop
    ...[0x31, 0xc0, 0xc3], // xor eax, eax; ret
  ];
}
