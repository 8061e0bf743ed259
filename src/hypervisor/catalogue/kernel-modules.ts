/**
 * Kernel modules as a Debian kernel package carries them: which of them an initrd needs, and the index files
 * from which modprobe loads them (a package has no `modules.dep`: depmod makes it at installation).
 *
 * Not read: exported symbols; a module's `depends` record, written by modpost, has their result.
 *
 * @spec ELF-64 object file format 1.5 (sections); modinfo(8); modules.dep(5); depmod.d(5)
 */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { struct, u8, u16, u32, u64 } from "../../bits/struct.ts";
import { CatalogueError } from "./failure.ts";

export interface KernelModule {
  /** With underscores, as the kernel knows it. */
  readonly name: string;
  /** Below the directory of the kernel's modules, uncompressed: `kernel/drivers/block/virtio_blk.ko`. */
  readonly path: string;
  readonly content: Uint8Array;
  readonly info: ModuleInfo;
}

export interface ModuleInfo {
  readonly depends: readonly string[];
  /** Modules to load before, for what they register at run time (`softdep: pre`). */
  readonly softDepends: readonly string[];
  readonly aliases: readonly string[];
}

const Ident = struct("LE", { magic: u32, class: u8 });
const ELF_MAGIC = 0x464c_457f;
const CLASS_64 = 2;
/** Where the file header tells of the section headers. */
const SectionTable32 = struct("LE", {
  shoff: u32,
  flags: u32,
  ehsize: u16,
  phentsize: u16,
  phnum: u16,
  ...sectionCounts(),
});
const SectionTable64 = struct("LE", {
  shoff: u64,
  flags: u32,
  ehsize: u16,
  phentsize: u16,
  phnum: u16,
  ...sectionCounts(),
});
const SECTION_TABLE_AT = { 32: 0x20, 64: 0x28 } as const;
const Section32 = struct("LE", { name: u32, type: u32, flags: u32, addr: u32, offset: u32, size: u32 });
const Section64 = struct("LE", { name: u32, type: u32, flags: u64, addr: u64, offset: u64, size: u64 });

function sectionCounts() {
  return { shentsize: u16, shnum: u16, shstrndx: u16 };
}

/** Reads a module's `.modinfo`; a file that is no such module gives empty lists. */
export function readModuleInfo(module: Uint8Array): ModuleInfo {
  const records = new TextDecoder().decode(elfSection(module, ".modinfo")).split("\0");
  const all = (key: string) =>
    records.filter((record) => record.startsWith(`${key}=`)).map((r) => r.slice(key.length + 1));
  return {
    depends: all("depends")
      .flatMap((list) => list.split(","))
      .filter((name) => name !== ""),
    softDepends: all("softdep")
      .flatMap((value) => (/pre:(.*?)(?:post:|$)/.exec(value)?.[1] ?? "").split(/\s+/))
      .filter((name) => name !== ""),
    aliases: all("alias"),
  };
}

export interface ModuleSource {
  /** The directory of the kernel's modules: `lib/modules/VERSION` of the unpacked package. */
  readonly directory: string;
  /** For error messages. */
  readonly packageName: string;
  /** Reads a file of the directory, decompressed. */
  readonly read: (file: string) => Promise<Uint8Array>;
}

/**
 * The modules of the given names with all that they depend on, each after what it depends on. A name that is
 * built into the kernel gives none; one that the kernel does not have is an error.
 */
export async function collectModules(source: ModuleSource, names: readonly string[]): Promise<KernelModule[]> {
  const files = new Map<string, string>();
  for (const file of (await readdir(path.join(source.directory, "kernel"), { recursive: true })).sort()) {
    if (/\.ko(\.\w+)?$/.test(file)) files.set(moduleName(file), `kernel/${file}`);
  }
  const builtinList = await readFile(path.join(source.directory, "modules.builtin"), "utf8");
  const builtin = new Set(builtinList.split("\n").map(moduleName));
  const collected = new Map<string, KernelModule>();
  const visiting = new Set<string>();

  const visit = async (wanted: string, required: boolean): Promise<void> => {
    const name = moduleName(wanted);
    if (collected.has(name) || visiting.has(name)) return;
    const file = files.get(name);
    if (file === undefined) {
      if (builtin.has(name) || !required) return;
      throw new CatalogueError({ kind: "package-lacks", name: source.packageName, lacks: `the module ${wanted}` });
    }
    visiting.add(name);
    const content = await source.read(path.join(source.directory, file));
    const info = readModuleInfo(content);
    // A soft dependency may name an alias that only a full index resolves: what is not found is left out.
    for (const dependency of info.softDepends) await visit(dependency, false);
    for (const dependency of info.depends) await visit(dependency, true);
    collected.set(name, { name, path: file.replace(/\.ko\.\w+$/, ".ko"), content, info });
  };
  for (const name of names) await visit(name, true);
  return [...collected.values()];
}

/** The text of `modules.dep`: each module's file, then the files to load before it, the first to load last. */
export function modulesDep(modules: readonly KernelModule[]): string {
  const byName = new Map(modules.map((module) => [module.name, module]));
  const lines = modules.map((module) => {
    const before: string[] = [];
    const seen = new Set([module]);
    const gather = ({ info }: KernelModule): void => {
      for (const dependency of [...info.depends, ...info.softDepends]) {
        const needed = byName.get(moduleName(dependency));
        if (!needed || seen.has(needed)) continue;
        seen.add(needed);
        gather(needed);
        before.push(needed.path);
      }
    };
    gather(module);
    return `${module.path}:${before
      .reverse()
      .map((file) => ` ${file}`)
      .join("")}\n`;
  });
  return lines.join("");
}

/** The text of `modules.alias`: patterns of hardware identifiers, and the module for each. */
export function modulesAlias(modules: readonly KernelModule[]): string {
  return modules.flatMap(({ name, info }) => info.aliases.map((alias) => `alias ${alias} ${name}\n`)).join("");
}

function moduleName(file: string): string {
  return path
    .basename(file)
    .replace(/\.ko(\.\w+)?$/, "")
    .replaceAll("-", "_");
}

function elfSection(file: Uint8Array, wanted: string): Uint8Array {
  const none = new Uint8Array(0);
  if (file.length < 0x40) return none;
  const ident = Ident.at(file);
  if (ident.magic !== ELF_MAGIC) return none;
  const is64 = ident.class === CLASS_64;
  const table = is64 ? SectionTable64.at(file, SECTION_TABLE_AT[64]) : SectionTable32.at(file, SECTION_TABLE_AT[32]);
  const bytesOf = (index: number) => {
    const at = Number(table.shoff) + index * table.shentsize;
    const section = is64 ? Section64.at(file, at) : Section32.at(file, at);
    return {
      name: section.name,
      bytes: file.subarray(Number(section.offset), Number(section.offset) + Number(section.size)),
    };
  };
  const names = bytesOf(table.shstrndx).bytes;
  for (let index = 0; index < table.shnum; index++) {
    const { name, bytes } = bytesOf(index);
    if (new TextDecoder().decode(names.subarray(name, names.indexOf(0, name))) === wanted) return bytes;
  }
  return none;
}
