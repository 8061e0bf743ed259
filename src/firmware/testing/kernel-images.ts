/** Kernel files made by hand for tests: the least that has the headers a loader reads. */
import { struct, u16, u32, u64 } from "../../bits/struct.ts";
import { utf8 } from "../c-string.ts";
import { concat } from "../concat.ts";
import { SETUP_HEADER_AT, SetupHeader } from "../linux-header.ts";

type HeaderFields = Parameters<typeof SetupHeader.make>[0];

/** A bzImage with four sectors of setup code and `code` as its protected-mode part; fields can be overridden. */
export function bzImage(fields: HeaderFields = {}, code: Uint8Array = new Uint8Array(0x4000).fill(0xc0)): Uint8Array {
  const setup = new Uint8Array(5 * 512).fill(0x5e);
  const header = SetupHeader.make({
    setupSects: 4,
    syssize: Math.ceil(code.length / 16),
    bootFlag: 0xaa55,
    jump: 0x6aeb,
    header: 0x53726448,
    version: 0x20f,
    kernelVersion: 0x600,
    loadflags: 1,
    code32Start: 0x10_0000,
    initrdAddrMax: 0x7fff_ffff,
    kernelAlignment: 0x20_0000,
    relocatableKernel: 1,
    minAlignment: 21,
    xloadflags: 1,
    cmdlineSize: 2047,
    prefAddress: 0x100_0000n,
    initSize: 0x20_0000,
    ...fields,
  });
  setup.set(header, SETUP_HEADER_AT);
  setup.set(utf8("6.6.6-test (someone) #1\0"), 0x800);
  return concat(setup, code);
}

const Header32 = struct("LE", {
  magic: u32,
  class: u32,
  ident2: u64,
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
  sections: u32,
  strings: u16,
});
const Header64 = struct("LE", {
  magic: u32,
  class: u32,
  ident2: u64,
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
  sections: u32,
  strings: u16,
});
const Program32 = struct("LE", {
  type: u32,
  offset: u32,
  vaddr: u32,
  paddr: u32,
  filesz: u32,
  memsz: u32,
  flags: u32,
  align: u32,
});
const Program64 = struct("LE", {
  type: u32,
  flags: u32,
  offset: u64,
  vaddr: u64,
  paddr: u64,
  filesz: u64,
  memsz: u64,
  align: u64,
});

export interface TestSegment {
  /** PT_LOAD is 1, PT_NOTE 4. */
  readonly type: number;
  readonly vaddr: bigint;
  readonly paddr: number;
  readonly content: Uint8Array;
  readonly memsz?: number;
}

/** An ELF executable for x86 (machine 3) or x86-64 (machine 62). */
export function elfFile(
  wide: boolean,
  entry: bigint,
  segments: readonly TestSegment[],
  machine = wide ? 62 : 3,
): Uint8Array {
  const Program = wide ? Program64 : Program32;
  const Header = wide ? Header64 : Header32;
  const number = (value: number | bigint) => (wide ? BigInt(value) : Number(value)) as never;
  const headerSize = wide ? 64 : 52;
  let offset = headerSize + segments.length * Program.size;
  const programs = segments.map(({ type, vaddr, paddr, content, memsz }) => {
    const program = Program.make({
      type,
      offset: number(offset),
      vaddr: number(vaddr),
      paddr: number(paddr),
      filesz: number(content.length),
      memsz: number(memsz ?? content.length),
      align: number(4),
    });
    offset += content.length;
    return program;
  });
  const header = Header.make({
    magic: 0x464c457f,
    class: 0x0001_0100 + (wide ? 2 : 1),
    type: 2,
    machine,
    version: 1,
    entry: number(entry),
    phoff: number(headerSize),
    ehsize: headerSize,
    phentsize: Program.size,
    phnum: segments.length,
  });
  return concat(header, ...programs, ...segments.map(({ content }) => content));
}

const Words = struct("LE", { first: u32, second: u32, third: u32 });

/** A note segment's content with one Xen note that holds `entry` in `size` bytes. */
export function pvhNote(entry: number, size: 4 | 8): Uint8Array {
  const descriptor = new Uint8Array(size);
  new DataView(descriptor.buffer).setUint32(0, entry, true);
  return concat(Words.make({ first: 4, second: size, third: 18 }), utf8("Xen\0"), descriptor);
}

/** The three words of a Multiboot 1 header. */
export function multibootHeader(flags: number): Uint8Array {
  return Words.make({ first: 0x1badb002, second: flags, third: -(0x1badb002 + flags) >>> 0 });
}

/** Relocations as they follow a 64-bit Linux kernel: a zero word and the places' addresses for each list. */
export function relocationTable(linkedFor: number, lists: readonly (readonly number[])[]): Uint8Array {
  const words = lists.flatMap((places) => [0, ...places.map((place) => 0x8000_0000 + linkedFor + place)]);
  return new Uint8Array(Uint32Array.from(words).buffer);
}

/** `content`, below 8 MiB, in the legacy format of lz4, with nothing packed, and its size, as a Linux payload has it. */
export function lz4Payload(content: Uint8Array): Uint8Array {
  const size = Words.make({ first: content.length }).subarray(0, 4);
  const more = content.length - 15;
  const lengths = new Uint8Array(Math.floor(more / 255) + 1).fill(255);
  lengths[lengths.length - 1] = more % 255;
  const block = concat(Uint8Array.of(0xf0), lengths, content);
  return concat(Words.make({ first: 0x184c_2102, second: block.length }).subarray(0, 8), block, size);
}
