/**
 * Programs of Debian for the guests: packages of one architecture unpacked into a directory, without what no
 * workload needs, and the data that they work on. It is the root of the programs' file system, in guests (as part
 * of the initial file system) and on the host.
 */
import { copyFile, mkdir, readdir, readFile, readlink, rename, rm, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import type { DebianArchitecture } from "../src/hypervisor/catalogue/apt.ts";
import { withApt } from "../src/hypervisor/catalogue/build-context.ts";
import type { CpioEntry } from "../src/hypervisor/catalogue/cpio.ts";
import { CATALOGUE_DIRECTORY } from "../src/hypervisor/catalogue/entry.ts";
import { defaultCacheDirectory } from "../src/hypervisor/catalogue/guest-store.ts";
import type { Progress } from "../src/hypervisor/catalogue/progress.ts";
import { COMMANDS } from "./commands.ts";
import { packageStatus, perlText, sourceText, sqlText, wordText } from "./data.ts";
import type { Programs } from "./guest-files.ts";
import { type Bits, fileName, REPEAT } from "./guest-programs.ts";

const SUITE = "bookworm";
const PACKAGES = [
  ...["busybox-static", "p7zip-full", "openssl", "zstd", "gzip", "sqlite3", "perl-base"],
  ...["apt", "dpkg", "gcc"],
];
const ARCHITECTURE: Record<Bits, DebianArchitecture> = { 64: "amd64", 32: "i386" };
/** What is left out, by path: documentation, and large parts of packages that no workload runs. */
const LEFT_OUT = [
  /^usr\/share\/(?!perl|dpkg)/,
  /^usr\/lib\/[^/]+\/(gconv|perl-base\/unicore|krb5|sasl2|engines-3)(\/|$)/,
  /^usr\/lib\/gcc\/.*(lto1|lto-wrapper|g\+\+-mapper-server|collect2|\.a|\.so|\.o|\/plugin)$/,
  /^usr\/lib\/[^/]+\/[^/]*\.(a|o)$/,
  /^usr\/lib\/[^/]+\/lib(gprofng|gp-|db-|krb5|asan|tsan|ubsan|lsan|itm|quadmath|gomp|cc1)\b/,
  /^usr\/lib\/(systemd|udev|tmpfiles\.d|sysusers\.d|init|mime|compat-ld|gold-ld|locale)(\/|$)/,
  /^lib\/(systemd|udev|init)(\/|$)/,
  /^(boot|home|media|mnt|opt|root|run|srv|sys)(\/|$)/,
  /^var\/(?!lib\/dpkg\/?$)/,
  /^usr\/bin\/.*(gold|lto-dump|gprof|dwp|gcov|cpan|7za?$|bashbug|localedef|perf)/,
  /^(usr\/(games|local|sbin|include)|sbin)(\/|$)/,
];
/** To be raised where the same lists above give another directory. */
const VERSION = 1;

/** The directory, made where it is missing or out of date, with our program that repeats others. */
export async function debianPrograms(bits: Bits, { files }: Programs, progress: Progress): Promise<string> {
  const root = await unpacked(bits, progress);
  const repeat = files.get(fileName(REPEAT, bits));
  if (repeat !== undefined) await copyFile(repeat, path.join(root, "bench", REPEAT));
  return root;
}

async function unpacked(bits: Bits, progress: Progress): Promise<string> {
  const cacheDirectory = defaultCacheDirectory();
  const directory = path.join(cacheDirectory, "bench", `${SUITE}-${ARCHITECTURE[bits]}`);
  const recipe = JSON.stringify([VERSION, PACKAGES, LEFT_OUT.map(String), dataFiles()]);
  const stamp = path.join(directory, "recipe.json");
  if ((await readFile(stamp, "utf8").catch(() => undefined)) === recipe) return path.join(directory, "root");
  const incoming = `${directory}.incoming`;
  await rm(incoming, { recursive: true, force: true });
  const root = path.join(incoming, "root");
  await mkdir(root, { recursive: true });
  const release = { architecture: ARCHITECTURE[bits], suite: SUITE, backports: false };
  await withApt(release, { cacheDirectory, catalogueDirectory: CATALOGUE_DIRECTORY, progress }, async (apt) => {
    const packages = await apt.resolveWithDependencies(PACKAGES);
    for (const [index, archive] of (await apt.download(packages)).entries()) {
      progress.step(`unpacking programs for ${ARCHITECTURE[bits]}`, index / packages.length);
      await apt.extract(archive, root);
    }
  });
  await prune(root, "");
  await addData(root);
  await writeFile(path.join(incoming, "recipe.json"), recipe);
  await rm(directory, { recursive: true, force: true });
  await rename(incoming, directory);
  progress.finish();
  return path.join(directory, "root");
}

async function prune(root: string, at: string): Promise<void> {
  for (const entry of await readdir(path.join(root, at), { withFileTypes: true })) {
    const name = at === "" ? entry.name : `${at}/${entry.name}`;
    if (LEFT_OUT.some((pattern) => pattern.test(name))) await rm(path.join(root, name), { recursive: true });
    else if (entry.isDirectory()) await prune(root, name);
  }
}

/** What the commands work on, by path. */
function dataFiles(): Record<string, string> {
  return {
    "bench/words.txt": wordText(1 << 20),
    "bench/script.sql": sqlText(),
    "bench/words.pl": perlText(),
    "bench/source.c": sourceText(),
    "var/lib/dpkg/status": packageStatus(2000),
    "etc/apt/sources.list": "",
    ...Object.fromEntries(COMMANDS.map(({ name, script }) => [`bench/commands/${name}`, script])),
  };
}

/** Adds the data, and directories that programs write to. */
async function addData(root: string): Promise<void> {
  for (const [name, content] of Object.entries(dataFiles())) {
    await mkdir(path.join(root, path.dirname(name)), { recursive: true });
    await writeFile(path.join(root, name), content);
  }
  for (const name of [
    "dev",
    "proc",
    "tmp",
    "var/lib/apt/lists/partial",
    "var/cache/apt/archives/partial",
    "etc/apt/apt.conf.d",
  ]) {
    await mkdir(path.join(root, name), { recursive: true });
  }
  await symlink("busybox", path.join(root, "bin/sh")).catch(() => undefined);
}

/** The entries of an archive that has the directory below `prefix`. */
export async function archiveEntries(root: string, prefix: string): Promise<CpioEntry[]> {
  const entries: CpioEntry[] = [];
  const visit = async (at: string): Promise<void> => {
    for (const entry of await readdir(path.join(root, at), { withFileTypes: true })) {
      const name = path.join(at, entry.name);
      const file = path.join(root, name);
      const inside = `${prefix}/${name}`;
      if (entry.isSymbolicLink()) entries.push({ kind: "symlink", path: inside, target: await readlink(file) });
      else if (entry.isDirectory()) {
        entries.push({ kind: "directory", path: inside });
        await visit(name);
      } else if (entry.isFile()) {
        entries.push({ kind: "file", path: inside, permissions: 0o755, content: await readFile(file) });
      }
    }
  };
  await visit("");
  return entries;
}
