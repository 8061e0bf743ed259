/** The packages on the installer's CD: which they are, their files, and an archive's index of them. */
import { createHash } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import type { AptCache, AptPackage } from "../../../src/hypervisor/catalogue/apt.ts";
import type { SourceStanza } from "../../../src/hypervisor/catalogue/apt-sources.ts";
import { runTool } from "../../../src/hypervisor/catalogue/host-tool.ts";

export const SUITE = "bookworm";

/** What the new system has besides the packages of priority `required` and apt: it starts, and a login is there. */
export const INCLUDED = [
  ...["init", "systemd-sysv", "dbus", "udev", "kmod"],
  // By its modules packages put their questions to the installer.
  "debconf-i18n",
  // base-installer would install each of these in a run of apt of its own.
  ...["busybox", "zstd", "initramfs-tools"],
];
/** What the installer's steps install after the base system, besides the kernel. */
const LATER = ["grub-pc", "debian-archive-keyring"];

/** Writes `pool/` and `dists/` of an archive with all that an installation needs below `directory`. */
export async function writeArchive(apt: AptCache, architecture: string, kernel: string, directory: string) {
  const records = new Map((await apt.available()).map((record) => [record.get("package") ?? "", record]));
  const required = [...records.values()].filter(isRequired).map((record) => record.get("package") ?? "");
  // debootstrap asks for usr-is-merged by name, where apt by itself would take usrmerge.
  const names = [...required, "usr-is-merged", "apt", ...INCLUDED, ...LATER, kernel];
  const packages = await apt.resolveWithDependencies(names);
  const files = await apt.download(packages);
  const stanzas: string[] = [];
  for (const [index, item] of packages.entries()) {
    const record = recordOf(item, records);
    const place = path.join(directory, record.get("filename") ?? "");
    await mkdir(path.dirname(place), { recursive: true });
    if (item.name !== kernel) {
      await copyFile(files[index] as string, place);
      stanzas.push(format(record));
      continue;
    }
    await recompress(files[index] as string, place);
    const content = await readFile(place);
    const sums = { size: `${content.length}`, md5sum: sumOf("md5", content), sha256: sumOf("sha256", content) };
    stanzas.push(format(new Map([...record, ...Object.entries(sums)])));
  }
  // debootstrap takes a stanza for whole only at the empty line after it.
  await writeIndex(stanzas.map((stanza) => `${stanza}\n`).join(""), architecture, directory);
}

/** Writes a package again with its files in Zstandard: as many as a kernel has take long to decompress from xz. */
async function recompress(file: string, place: string): Promise<void> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-cd-"));
  try {
    await runTool("dpkg-deb", ["--raw-extract", file, path.join(directory, "package")]);
    const options = ["-Zzstd", "-z3", "--root-owner-group"];
    await runTool("dpkg-deb", [...options, "--build", path.join(directory, "package"), place]);
  } finally {
    await rm(directory, { recursive: true });
  }
}

const sumOf = (algorithm: string, content: Uint8Array) => createHash(algorithm).update(content).digest("hex");

function isRequired(record: SourceStanza): boolean {
  return record.get("priority") === "required" && record.get("section") !== "debian-installer";
}

function recordOf({ name, version }: AptPackage, records: ReadonlyMap<string, SourceStanza>): SourceStanza {
  const record = records.get(name);
  if (record?.get("version") !== version) throw new Error(`apt's lists have no record of ${name} ${version}`);
  return record;
}

function format(record: SourceStanza): string {
  return [...record].map(([name, value]) => `${FIELD_NAMES[name] ?? name}: ${value}\n`).join("");
}

/** Programs that look for a field by its exact letters find these; apt itself does not mind case. */
const FIELD_NAMES: Readonly<Record<string, string>> = Object.fromEntries(
  [
    ...["Package", "Version", "Architecture", "Priority", "Section", "Essential", "Multi-Arch", "Filename", "Size"],
    ...["MD5sum", "SHA256", "Depends", "Pre-Depends", "Provides", "Conflicts", "Breaks", "Replaces", "Recommends"],
    ...["Suggests", "Enhances", "Description", "Maintainer", "Installed-Size", "Source", "Important"],
  ].map((name) => [name.toLowerCase(), name]),
);

/** @spec Debian repository format: "Packages" indices, "Release" files */
async function writeIndex(index: string, architecture: string, directory: string): Promise<void> {
  const place = path.join("main", `binary-${architecture}`);
  const dist = path.join(directory, "dists", SUITE);
  const text = new TextEncoder().encode(index);
  const files: readonly (readonly [string, Uint8Array])[] = [
    [path.join(place, "Packages"), text],
    [path.join(place, "Packages.gz"), gzipSync(text)],
  ];
  await mkdir(path.join(dist, place), { recursive: true });
  for (const [name, content] of files) await writeFile(path.join(dist, name), content);
  const sums = (algorithm: string) =>
    files.map(([name, content]) => {
      return ` ${sumOf(algorithm, content)} ${content.length} ${name}\n`;
    });
  await writeFile(
    path.join(dist, "Release"),
    [
      "Origin: Debian\nLabel: Debian\nSuite: oldstable\nVersion: 12\n",
      `Codename: ${SUITE}\nDate: ${new Date().toUTCString()}\n`,
      `Architectures: ${architecture}\nComponents: main\nDescription: Debian 12, a selection\n`,
      `MD5Sum:\n${sums("md5").join("")}SHA256:\n${sums("sha256").join("")}`,
    ].join(""),
  );
}
