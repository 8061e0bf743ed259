/**
 * The installer's initial file system for a CD, made from the one for network boot.
 *
 * Debian's: all that runs up to the choice of components (udev, debconf, the menu, preseeding), and of the components
 * those that install the base system and the kernel. Ours, in `files/`: finding the CD, the partition, the boot loader
 * and the end, as the archive's mirrors do not all hold the installer's components for these.
 */
import { mkdtemp, readdir, readFile, readlink, rm, stat } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import type { AptCache, DebianArchitecture } from "../../../src/hypervisor/catalogue/apt.ts";
import { type CpioEntry, readCpio, writeCpio } from "../../../src/hypervisor/catalogue/cpio.ts";
import { runTool } from "../../../src/hypervisor/catalogue/host-tool.ts";
import { collectModules } from "../../../src/hypervisor/catalogue/kernel-modules.ts";
import { INCLUDED } from "./packages.ts";

/** Of the disks and CD drives that a machine may have, and of their file systems. */
const MODULES = [
  ...["ata_piix", "ahci", "sr_mod", "sd_mod", "virtio_pci", "virtio_blk", "virtio_scsi", "nvme"],
  ...["isofs", "ext4"],
];
/** Packages whose programs partition a disk and make file systems, by the files that they are there for. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  fdisk: ["./sbin/sfdisk"],
  libfdisk1: ["*/libfdisk.so.1*"],
  libsmartcols1: ["*/libsmartcols.so.1*"],
  e2fsprogs: ["./sbin/mke2fs", "./etc/mke2fs.conf"],
  libext2fs2: ["*/libext2fs.so.2*", "*/libe2p.so.2*"],
  "libcom-err2": ["*/libcom_err.so.2*"],
  debootstrap: ["./usr/sbin/debootstrap", "./usr/share/debootstrap/*"],
};
/** debootstrap reads package lists with it where the program that does it in the 64-bit installer is not to be had. */
const PERL = { "perl-base": ["./usr/bin/perl", "*/perl-base/*"] };
/** Components that only a network gives something to do. */
const OF_NETWORKS =
  /^Package: (netcfg|ethdetect|download-installer|net-retriever|choose-mirror(-bin)?|network-preseed)$/m;

/**
 * Programs of the installer that find nothing to do: two hooks ask apt for what is not on the CD and copy the network's
 * settings, and where the answers are a file all disks are searched for one.
 */
const WITHOUT_USE = /^(usr\/lib\/base-installer\.d\/\d+(console-setup|netcfg)|bin\/mountmedia)$/;

const FILES = new URL("files/", import.meta.url);

export interface InitrdParts {
  readonly apt: AptCache;
  /** For amd64, whatever is installed: the scripts that install the base system are the same everywhere. */
  readonly amd64: AptCache;
  readonly architecture: DebianArchitecture;
  /** The initrd for network boot, compressed. */
  readonly netboot: Uint8Array;
  /** Package of the new system's kernel. */
  readonly kernel: string;
}

export async function makeInitrd({ apt, amd64, architecture, netboot, kernel }: InitrdParts): Promise<Uint8Array> {
  const tree = new Map<string, CpioEntry>();
  const add = (...entries: readonly CpioEntry[]) => {
    for (const entry of entries) if (normal(entry.path) !== "") tree.set(normal(entry.path), entry);
  };
  const addFile = (place: string, content: Uint8Array, permissions = 0o644) =>
    add({ kind: "file", path: place, permissions, content });
  const own = (name: string) => readFile(new URL(name, FILES));

  add(...readCpio(gunzipSync(netboot)).filter((entry) => !/kernel\/(drivers\/)?net\//.test(entry.path)));
  for (const place of [...tree.keys()].filter((place) => WITHOUT_USE.test(place))) tree.delete(place);
  const modules = await modulesOf(apt, kernelVersion(tree));
  add(...modules);
  addFile("/etc/cd-modules", bytesOf(modules.map((module) => `${module.path}\n`).join("")));
  for (const [name, patterns] of Object.entries(PROGRAMS)) add(...(await filesOf(apt, name, patterns)));

  add(...(await filesOf(apt, "base-installer", [])));
  addFile(infoOf("base-installer.templates"), await controlFile(apt, "base-installer", "templates"));
  addFile(infoOf("bootstrap-base.templates"), await controlFile(amd64, "bootstrap-base", "templates"));
  addFile(infoOf("bootstrap-base.postinst"), await controlFile(amd64, "bootstrap-base", "postinst"), 0o755);
  if (architecture === "amd64") add(...(await filesOf(amd64, "bootstrap-base", [])));
  else {
    for (const [name, patterns] of Object.entries(PERL)) add(...(await filesOf(apt, name, patterns)));
    addFile("/usr/sbin/run-debootstrap", await own("run-debootstrap"), 0o755);
    addFile("/usr/lib/base-installer/kernel.sh", await own("kernel.sh"));
  }

  for (const component of ["find-cd", "partition", "boot-loader", "finish"]) {
    addFile(infoOf(`${component}.postinst`), await own(`${component}.postinst`), 0o755);
  }
  addFile("/usr/lib/base-installer.d/90step", await own("step-apt"), 0o755);
  addFile("/usr/lib/post-base-installer.d/90step", await own("step-kernel"), 0o755);
  addFile(infoOf("find-cd.templates"), await own("components.templates"));
  addFile("/lib/debian-installer-startup.d/S03load-modules", await own("load-modules.sh"), 0o755);
  for (const entry of tree.values()) {
    if (entry.kind === "file" && TEMPLATES.test(entry.path)) add({ ...entry, content: inEnglish(entry.content) });
  }
  const answers = textOf(await own("preseed.cfg"));
  addFile("/preseed.cfg", bytesOf(answers.replace("@KERNEL@", kernel).replace("@INCLUDES@", INCLUDED.join(" "))));
  addFile(STATUS, bytesOf(`${componentsKept(tree)}\n\n${textOf(await own("components.status"))}`));
  return gzipSync(writeCpio([...tree.values()]), { level: 6 });
}

const STATUS = "/var/lib/dpkg/status";
const TEMPLATES = /var\/lib\/dpkg\/info\/.*\.templates$/;
const infoOf = (name: string) => `/var/lib/dpkg/info/${name}`;

/** The list of components without those for networks. */
function componentsKept(tree: ReadonlyMap<string, CpioEntry>): string {
  const status = tree.get(normal(STATUS));
  if (status?.kind !== "file") throw new Error("the installer's initrd has no list of its components");
  const stanzas = textOf(status.content).split(/\n\n+/);
  return stanzas
    .filter((stanza) => stanza.trim() !== "" && !OF_NETWORKS.test(stanza))
    .join("\n\n")
    .trim();
}

/** Questions without their translations, which take the installer longest to read. */
function inEnglish(templates: Uint8Array): Uint8Array {
  return bytesOf(textOf(templates).replace(/^\w+-[a-z]+(_[A-Z]+)?(@\w+)?\.UTF-8:.*\n([ \t].*\n)*/gm, ""));
}

function kernelVersion(tree: ReadonlyMap<string, CpioEntry>): string {
  for (const name of tree.keys()) {
    const version = /^lib\/modules\/([^/]+)\//.exec(name)?.[1];
    if (version !== undefined) return version;
  }
  throw new Error("the installer's initrd has no kernel modules");
}

/** Drivers of the kernel that the installer runs, out of the package of the same build; each after what it needs. */
async function modulesOf(apt: AptCache, version: string): Promise<CpioEntry[]> {
  const [archive = ""] = await apt.download([await apt.resolve(`linux-image-${version}`)]);
  return inScratch(async (directory) => {
    const place = `lib/modules/${version}`;
    await apt.extract(archive, directory, [`./${place}/*`]);
    const source = {
      directory: path.join(directory, place),
      packageName: `linux-image-${version}`,
      read: (file: string) => apt.readDecompressed(file),
    };
    const modules = await collectModules(source, MODULES);
    return modules.map((module) => ({ kind: "file", path: `/${place}/${module.path}`, content: module.content }));
  });
}

/** The files of a package, or those that match. */
async function filesOf(apt: AptCache, name: string, patterns: readonly string[]): Promise<CpioEntry[]> {
  const [archive = ""] = await apt.download([await apt.resolve(name)]);
  return inScratch(async (directory) => {
    await apt.extract(archive, directory, patterns);
    return entriesBelow(directory);
  });
}

async function controlFile(apt: AptCache, name: string, file: string): Promise<Uint8Array> {
  const [archive = ""] = await apt.download([await apt.resolve(name)]);
  return runTool("dpkg-deb", ["--info", archive, file]);
}

async function entriesBelow(directory: string): Promise<CpioEntry[]> {
  const entries: CpioEntry[] = [];
  for (const item of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const file = path.join(item.parentPath, item.name);
    const place = `/${path.relative(directory, file)}`;
    if (item.isSymbolicLink()) entries.push({ kind: "symlink", path: place, target: await readlink(file) });
    else if (item.isFile()) {
      const permissions = (await stat(file)).mode & 0o777;
      entries.push({ kind: "file", path: place, permissions, content: await readFile(file) });
    }
  }
  return entries;
}

async function inScratch<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-cd-"));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

const normal = (place: string) => place.replace(/^\.?\/*/, "");
const textOf = (content: Uint8Array) => new TextDecoder().decode(content);
const bytesOf = (text: string) => new TextEncoder().encode(text);
