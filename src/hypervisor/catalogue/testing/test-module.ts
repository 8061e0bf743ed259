/** A kernel module file that holds nothing but its `.modinfo`. */
import { struct, u16, u32, u64 } from "../../../bits/struct.ts";

/** Section name strings: offset 1 and 10. */
const NAMES = "\0.modinfo\0.shstrtab\0";

/** Builds an ELF object of the given class with the records (`depends=a,b`) in its `.modinfo`. */
export function testModule(records: readonly string[], elfClass: 32 | 64 = 64): Uint8Array {
  const word = elfClass === 64 ? u64 : u32;
  const Header = struct("LE", {
    shoff: word,
    flags: u32,
    ehsize: u16,
    phentsize: u16,
    phnum: u16,
    shentsize: u16,
    shnum: u16,
    shstrndx: u16,
  });
  const Section = struct("LE", { name: u32, type: u32, flags: word, addr: word, offset: word, size: word });
  const number = (value: number) => (elfClass === 64 ? BigInt(value) : value) as never;
  const modinfo = new TextEncoder().encode(records.map((record) => `${record}\0`).join(""));
  const names = new TextEncoder().encode(NAMES);
  const headerSize = 0x40;
  const namesAt = headerSize + modinfo.length;
  const sectionsAt = namesAt + names.length;
  const entry = elfClass === 64 ? 0x40 : 0x28;
  const file = new Uint8Array(sectionsAt + 3 * entry);
  file.set([0x7f, 0x45, 0x4c, 0x46, elfClass === 64 ? 2 : 1, 1, 1]);
  const header = Header.make({ shoff: number(sectionsAt), shentsize: entry, shnum: 3, shstrndx: 2 } as never);
  file.set(header, elfClass === 64 ? 0x28 : 0x20);
  file.set(modinfo, headerSize);
  file.set(names, namesAt);
  const section = (name: number, offset: number, size: number) =>
    Section.make({ name, offset: number(offset), size: number(size) } as never);
  file.set(section(1, headerSize, modinfo.length), sectionsAt + entry);
  file.set(section(10, namesAt, names.length), sectionsAt + 2 * entry);
  return file;
}
