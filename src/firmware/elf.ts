/**
 * x86 ELF executables as a boot loader sees them: segments at physical addresses, and notes.
 *
 * Not read: sections, symbols, relocations; files are little-endian.
 *
 * @spec System V ABI, "Object Files" and "Program Loading"; ELF-64 object file format 1.5
 */
import { struct, u8, u16, u32, u64 } from "../bits/struct.ts";
import type { GuestPhysical } from "../bits/units.ts";
import { BootError } from "./boot-error.ts";
import { textAt } from "./c-string.ts";
import { describeFile } from "./describe-file.ts";
import type { MemoryRange } from "./memory-map.ts";
import type { RamLayout } from "./ram-layout.ts";

const Ident = struct("LE", { magic: u32, class: u8, data: u8, version: u8 });
const ELF_MAGIC = 0x464c_457f;
const CLASS_32 = 1;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const IDENT_SIZE = 16;

const Header32 = struct("LE", {
  type: u16,
  machine: u16,
  version: u32,
  entry: u32,
  phoff: u32,
  shoff: u32,
  flags: u32,
  ehsize: u16,
  phentsize: u16,
  phnum: u16,
  shentsize: u16,
  shnum: u16,
});
const Header64 = struct("LE", {
  type: u16,
  machine: u16,
  version: u32,
  entry: u64,
  phoff: u64,
  shoff: u64,
  flags: u32,
  ehsize: u16,
  phentsize: u16,
  phnum: u16,
  shentsize: u16,
  shnum: u16,
});
const Segment32 = struct("LE", {
  type: u32,
  offset: u32,
  vaddr: u32,
  paddr: u32,
  filesz: u32,
  memsz: u32,
  flags: u32,
  align: u32,
});
const Segment64 = struct("LE", {
  type: u32,
  flags: u32,
  offset: u64,
  vaddr: u64,
  paddr: u64,
  filesz: u64,
  memsz: u64,
  align: u64,
});
const Note = struct("LE", { nameSize: u32, descriptorSize: u32, type: u32 });

const EM_386 = 3;
const EM_X86_64 = 62;
const ET_EXEC = 2;
const ET_DYN = 3;
const PT_LOAD = 1;
const PT_NOTE = 4;

export interface ElfSegment {
  readonly virtualAddress: bigint;
  readonly physicalAddress: number;
  /** What the file holds of it; the rest up to `size` is zeros. */
  readonly content: Uint8Array;
  readonly size: number;
}
export interface ElfNote {
  readonly name: string;
  readonly type: number;
  readonly descriptor: Uint8Array;
}
export interface ElfImage {
  readonly class: 32 | 64;
  /** As the file has it: often a virtual address. */
  readonly entry: bigint;
  readonly segments: readonly ElfSegment[];
  readonly notes: readonly ElfNote[];
  /** Bytes of the file up to the end of what its header tells of: segments and the table of sections. */
  readonly fileSize: number;
}

export function isElf(file: Uint8Array): boolean {
  return file.length >= IDENT_SIZE && Ident.at(file).magic === ELF_MAGIC;
}

/** Reads an x86 executable; throws BootError where the file is none, or lies about itself. */
export function parseElf(file: Uint8Array): ElfImage {
  if (!isElf(file)) throw new BootError("not-a-kernel", `not an ELF kernel: the file ${describeFile(file)}`);
  const ident = Ident.at(file);
  const wide = ident.class === CLASS_64;
  const Header = wide ? Header64 : Header32;
  if (file.length < IDENT_SIZE + Header.size) throw cutShort(file, IDENT_SIZE + Header.size);
  const header = Header.at(file, IDENT_SIZE);
  const x86 = header.machine === EM_386 || header.machine === EM_X86_64;
  if (ident.data !== LITTLE_ENDIAN || !x86 || (ident.class !== CLASS_32 && !wide)) {
    throw new BootError("not-a-kernel", `not an x86 kernel: the file ${describeFile(file)}`);
  }
  if (header.type !== ET_EXEC && header.type !== ET_DYN) {
    throw new BootError("not-a-kernel", "the ELF file is not executable (an object file or a core dump)");
  }
  const Segment = wide ? Segment64 : Segment32;
  if (header.phnum === 0 || header.phentsize < Segment.size) {
    throw new BootError("not-a-kernel", "the ELF file has no program headers, so nothing to load");
  }
  const table = Number(header.phoff);
  const tableEnd = table + header.phnum * header.phentsize;
  if (tableEnd > file.length) throw cutShort(file, tableEnd);

  let fileSize = Math.max(tableEnd, Number(header.shoff) + header.shnum * header.shentsize);
  const segments: ElfSegment[] = [];
  const notes: ElfNote[] = [];
  for (let i = 0; i < header.phnum; i++) {
    const segment = Segment.at(file, table + i * header.phentsize);
    if (segment.type !== PT_LOAD && segment.type !== PT_NOTE) continue;
    const [start, length, size] = [Number(segment.offset), Number(segment.filesz), Number(segment.memsz)];
    if (start + length > file.length) throw cutShort(file, start + length);
    fileSize = Math.max(fileSize, start + length);
    const content = file.subarray(start, start + length);
    if (segment.type === PT_NOTE) {
      notes.push(...parseNotes(content, Number(segment.align) === 8 ? 8 : 4));
    } else if (size > 0) {
      if (length > size) throw new BootError("corrupt", "an ELF segment is larger in the file than in memory");
      segments.push({
        virtualAddress: BigInt(segment.vaddr),
        physicalAddress: Number(segment.paddr),
        content,
        size,
      });
    }
  }
  if (segments.length === 0) throw new BootError("not-a-kernel", "the ELF file has no segment to load");
  return { class: wide ? 64 : 32, entry: BigInt(header.entry), segments, notes, fileSize };
}

function cutShort(file: Uint8Array, needed: number): BootError {
  return new BootError("truncated", `the ELF file is cut short: it has ${file.length} bytes, of at least ${needed}`);
}

/** Notes up to the first that does not fit: what follows cannot be told apart. */
function parseNotes(bytes: Uint8Array, alignment: number): ElfNote[] {
  const align = (size: number) => Math.ceil(size / alignment) * alignment;
  const notes: ElfNote[] = [];
  for (let at = 0; at + Note.size <= bytes.length; ) {
    const { nameSize, descriptorSize, type } = Note.at(bytes, at);
    const nameAt = at + Note.size;
    const descriptorAt = at + align(Note.size + nameSize);
    const end = descriptorAt + descriptorSize;
    if (end > bytes.length) break;
    notes.push({
      name: textAt(bytes, nameAt, nameSize),
      type,
      descriptor: bytes.subarray(descriptorAt, end),
    });
    at = descriptorAt + align(descriptorSize);
  }
  return notes;
}

/** Puts every segment at its physical address; the result spans from the first to the last. */
export function loadSegments(layout: RamLayout, image: ElfImage, what: string): MemoryRange {
  let start = Number.POSITIVE_INFINITY;
  let end = 0;
  for (const { physicalAddress, content, size } of image.segments) {
    const address = layout.claim(physicalAddress, size, what);
    layout.write(address, content, size);
    start = Math.min(start, address);
    end = Math.max(end, address + size);
  }
  return { address: start as GuestPhysical, size: end - start };
}

/** The entry point as a physical address: through the segment that holds it, where the file has a virtual one. */
export function physicalEntry(image: ElfImage): number {
  const { entry, segments } = image;
  const holder = segments.find(
    ({ virtualAddress, size }) => entry >= virtualAddress && entry < virtualAddress + BigInt(size),
  );
  return holder === undefined ? Number(entry) : Number(entry - holder.virtualAddress) + holder.physicalAddress;
}
