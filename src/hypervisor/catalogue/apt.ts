/**
 * A private apt: the host's apt with its sources, keys and proxies, but with lists, archives and package
 * status in a directory of ours, so that an ordinary user can fetch packages of any release and architecture
 * and nothing of the host's own apt is written. Signatures and checksums are verified by apt itself.
 *
 * Options of apt.conf are taken from the host only below `Acquire`: the others may name hooks that run as root.
 *
 * @spec apt.conf(5), apt-get(8), apt-cache(8), APT's progress-reporting.md ("Status-Fd")
 */
import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { formatDeb822, parseDeb822, parseSourcesList, type SourceStanza, sourcesForSuite } from "./apt-sources.ts";
import { CatalogueError } from "./failure.ts";
import { runPipe, runTool, runToolForText, STATUS_FD, type ToolOptions } from "./host-tool.ts";
import { type Progress, silentProgress } from "./progress.ts";

/** Debian's name of a processor architecture. */
export type DebianArchitecture = "amd64" | "i386";

export interface AptCacheOptions {
  /** Holds everything that this cache keeps; one per architecture and suite. Created where missing. */
  readonly directory: string;
  readonly architecture: DebianArchitecture;
  /** Codename of the Debian release, such as "bookworm". */
  readonly suite: string;
  /** Prefer packages of the release's backports. */
  readonly backports?: boolean;
  /** The archive's components: `main/debian-installer` besides for the installer's own packages. */
  readonly components?: readonly string[];
  readonly progress?: Progress;
  readonly signal?: AbortSignal | undefined;
}

/** One exact package as the sources offer it. */
export interface AptPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** How its file's name ends: `udeb` for the installer's own packages; `deb` unless given. */
  readonly format?: "deb" | "udeb";
}

const HOUR_MILLISECONDS = 3_600_000;

export class AptCache {
  readonly #directory: string;
  readonly #options: AptCacheOptions;
  readonly #progress: Progress;
  #prepared = false;
  #updateComplaint = "";

  constructor(options: AptCacheOptions) {
    this.#directory = path.resolve(options.directory);
    this.#options = options;
    this.#progress = options.progress ?? silentProgress;
  }

  /**
   * Fetches the package lists, unless that was done less than `maxAge` milliseconds ago. A source that cannot
   * be reached or verified is left out and noted, not an error: the others may have all that is asked for.
   */
  async update({ maxAge = HOUR_MILLISECONDS }: { readonly maxAge?: number } = {}): Promise<void> {
    await this.#prepare();
    const stamp = path.join(this.#directory, "updated");
    const age =
      Date.now() -
      (await stat(stamp).then(
        ({ mtimeMs }) => mtimeMs,
        () => Number.NEGATIVE_INFINITY,
      ));
    if (age >= 0 && age < maxAge) return;
    this.#updateComplaint = "";
    try {
      // By default apt would pass over a mirror that it cannot reach with a mere warning.
      await this.#aptGet(["update", "-o", "APT::Update::Error-Mode=any"], "fetching package lists");
    } catch (error) {
      if (!(error instanceof CatalogueError) || error.failure.kind !== "tool-failed") throw error;
      this.#updateComplaint = error.failure.said;
      this.#progress.note(`apt could not use all package sources, newer packages may exist: ${error.failure.said}`);
      return;
    }
    await writeFile(stamp, "");
    await utimes(stamp, new Date(), new Date());
  }

  /**
   * The exact package behind a name. The name of a kernel meta package (`linux-image-amd64`) leads to the
   * kernel that it depends on at present.
   */
  async resolve(name: string): Promise<AptPackage> {
    await this.#prepare();
    const record = await this.#show(name);
    const kernel = /(?:^|[\s,])(linux-image-\d\S*)/.exec(record.get("depends") ?? "")?.[1];
    if (kernel !== undefined && name.startsWith("linux-image-")) return this.resolve(kernel);
    return {
      name: record.get("package") ?? name,
      version: record.get("version") ?? "",
      architecture: record.get("architecture") ?? this.#options.architecture,
      ...(record.get("filename")?.endsWith(".udeb") ? { format: "udeb" } : {}),
    };
  }

  /** All packages that the sources offer, each in the version that apt prefers, as the fields of its record. */
  async available(): Promise<SourceStanza[]> {
    await this.#prepare();
    return parseDeb822(await runToolForText("apt-cache", ["dumpavail"], this.#toolOptions()));
  }

  /** Downloads packages and returns the path of each one's file, in the same order. */
  async download(packages: readonly AptPackage[]): Promise<string[]> {
    await this.#prepare();
    const archives = path.join(this.#directory, "archives");
    const paths = packages.map((item) => path.join(archives, archiveName(item)));
    const missing: string[] = [];
    for (const [index, item] of packages.entries()) {
      const present = await stat(paths[index] as string).then(
        () => true,
        () => false,
      );
      if (!present) missing.push(`${item.name}=${item.version}`);
    }
    if (missing.length === 0) return paths;
    // apt-get verifies when a file is complete: only then does it move to where a later run trusts it.
    const incoming = await mkdtemp(path.join(archives, "incoming-"));
    try {
      await this.#aptGet(["download", ...missing], "fetching packages", incoming);
      for (const file of await readdir(incoming)) await rename(path.join(incoming, file), path.join(archives, file));
    } catch (error) {
      // The lists may name packages that the mirror has replaced meanwhile: the next attempt fetches them anew.
      await rm(path.join(this.#directory, "updated"), { force: true });
      throw error;
    } finally {
      await rm(incoming, { recursive: true, force: true });
    }
    return paths;
  }

  /**
   * The exact packages that an empty system needs for the named ones, those included. Names may be apt
   * patterns, such as `?essential`.
   */
  async resolveWithDependencies(names: readonly string[]): Promise<AptPackage[]> {
    await this.#prepare();
    const args = ["install", "--simulate", "--yes", "--no-install-recommends", ...names];
    const listing = await this.#aptGet(args, "resolving dependencies");
    return [...listing.matchAll(/^Inst (\S+) \((\S+) .*\[(\w+)\]\)/gm)].map(
      ([, name = "", version = "", architecture = ""]) => ({ name, version, architecture }),
    );
  }

  /**
   * Unpacks a package's files into a directory. `patterns` (tar wildcards, such as `./boot/*`) select files;
   * one that matches nothing is an error.
   */
  async extract(archive: string, directory: string, patterns: readonly string[] = []): Promise<void> {
    const selection = patterns.length === 0 ? [] : ["--wildcards", ...patterns];
    await mkdir(directory, { recursive: true });
    await runPipe(
      ["dpkg-deb", "--fsys-tarfile", archive],
      ["tar", "-x", "--no-same-owner", "-C", directory, ...selection],
      this.#toolOptions(),
    );
  }

  /** A file's content, decompressed where its name says that it is compressed (.xz, .gz, .zst, ...). */
  async readDecompressed(file: string): Promise<Uint8Array> {
    const helper = "/usr/lib/apt/apt-helper";
    return /\.(xz|gz|zst|lz4|bz2|lzma)$/.test(file)
      ? runTool(helper, ["cat-file", file], this.#toolOptions())
      : readFile(file);
  }

  /** Deletes the downloaded packages and what apt can make again from the package lists. */
  async clean(): Promise<void> {
    const archives = path.join(this.#directory, "archives");
    await rm(archives, { recursive: true, force: true });
    await mkdir(path.join(archives, "partial"), { recursive: true });
    await rm(path.join(this.#directory, "pkgcache.bin"), { force: true });
  }

  async #show(name: string): Promise<SourceStanza> {
    try {
      const text = await runToolForText("apt-cache", ["show", "--no-all-versions", name], this.#toolOptions());
      const [record] = parseDeb822(text);
      if (record) return record;
    } catch (error) {
      if (!(error instanceof CatalogueError) || error.failure.kind !== "tool-failed") throw error;
    }
    const { suite, architecture, backports } = this.#options;
    const where = `${suite}${backports ? "-backports" : ""} (${architecture})`;
    throw new CatalogueError({ kind: "package-unknown", name, where, update: this.#updateComplaint });
  }

  async #aptGet(args: readonly string[], step: string, cwd?: string): Promise<string> {
    this.#progress.step(step);
    return runToolForText("apt-get", [...args, "-q", "-o", `APT::Status-Fd=${STATUS_FD}`], {
      ...this.#toolOptions(),
      cwd,
      onStatusLine: (line) => {
        const percent = /^dlstatus:\d+:([\d.]+):/.exec(line)?.[1];
        if (percent !== undefined) this.#progress.step(step, Number(percent) / 100);
      },
    });
  }

  #toolOptions(): ToolOptions {
    return { env: { APT_CONFIG: path.join(this.#directory, "apt.conf") }, signal: this.#options.signal };
  }

  async #prepare(): Promise<void> {
    if (this.#prepared) return;
    const { suite, backports = false, components } = this.#options;
    const host = await hostConfiguration(this.#options.signal);
    const sources = sourcesForSuite(await hostSources(host), { suite, backports, components });
    if (sources.length === 0) throw new CatalogueError({ kind: "no-debian-source", suite });
    for (const name of ["lists/partial", "archives/partial", "sources.list.d", "preferences.d"]) {
      await mkdir(path.join(this.#directory, name), { recursive: true });
    }
    const changed = await this.#write("sources.list.d/debian.sources", formatDeb822(sources));
    if (changed) await rm(path.join(this.#directory, "updated"), { force: true });
    const pin = `Package: *\nPin: release n=${suite}-backports\nPin-Priority: 990\n`;
    await this.#write("preferences.d/backports", backports ? pin : "");
    await this.#write("status", "");
    await this.#write("apt.conf", await this.#configuration(host));
    this.#prepared = true;
  }

  async #configuration(host: HostConfiguration): Promise<string> {
    const { architecture } = this.#options;
    const readable = (file: string) =>
      access(file, constants.R_OK).then(
        () => file,
        () => "/dev/null",
      );
    return [
      ...host.acquire,
      // apt reads this file before the host's parts: these two lines keep it from reading those at all.
      'Dir::Etc::main "/dev/null";',
      'Dir::Etc::parts "/dev/null";',
      `Dir::Etc "${this.#directory}";`,
      'Dir::Etc::sourcelist "/dev/null";',
      'Dir::Etc::preferences "/dev/null";',
      `Dir::Etc::trusted "${host.trusted}";`,
      `Dir::Etc::trustedparts "${host.trustedParts}";`,
      `Dir::Etc::netrc "${await readable(host.netrc)}";`,
      `Dir::Etc::netrcparts "${await readable(host.netrcParts)}";`,
      `Dir::State "${this.#directory}";`,
      `Dir::State::status "${path.join(this.#directory, "status")}";`,
      `Dir::Cache "${this.#directory}";`,
      'Dir::Cache::srcpkgcache "";',
      `Dir::Log "${this.#directory}";`,
      `APT::Architecture "${architecture}";`,
      `APT::Architectures { "${architecture}"; };`,
      'APT::Get::AllowUnauthenticated "false";',
      // The download user of a root apt could not enter a private directory.
      'APT::Sandbox::User "root";',
      'Acquire::AllowInsecureRepositories "false";',
      'Acquire::AllowDowngradeToInsecureRepositories "false";',
      'Acquire::Languages "none";',
      'Acquire::GzipIndexes "true";',
      "",
    ].join("\n");
  }

  /** Writes one of our files by renaming; false where it already was so. */
  async #write(name: string, content: string): Promise<boolean> {
    const file = path.join(this.#directory, name);
    if ((await readFile(file, "utf8").catch(() => undefined)) === content) return false;
    const incoming = `${file}.${randomUUID()}~`; // apt passes over names that end in a tilde
    await writeFile(incoming, content);
    await rename(incoming, file);
    return true;
  }
}

/** The file name that apt gives a package: a version's epoch colon is escaped. */
function archiveName({ name, version, architecture, format = "deb" }: AptPackage): string {
  return `${name}_${version.replaceAll(":", "%3a")}_${architecture}.${format}`;
}

interface HostConfiguration {
  /** The host's settings for fetching, such as proxies, as lines of apt.conf. */
  readonly acquire: readonly string[];
  readonly sourceList: string;
  readonly sourceParts: string;
  readonly trusted: string;
  readonly trustedParts: string;
  readonly netrc: string;
  readonly netrcParts: string;
}

async function hostConfiguration(signal: AbortSignal | undefined): Promise<HostConfiguration> {
  const dump = await runToolForText("apt-config", ["dump", "--no-empty"], { signal });
  const asked = ["sourcelist/f", "sourceparts/d", "trusted/f", "trustedparts/d", "netrc/f", "netrcparts/d"];
  const shellArgs = asked.flatMap((item, index) => [`V${index}`, `Dir::Etc::${item}`]);
  const paths = await runToolForText("apt-config", ["shell", ...shellArgs], { signal });
  const at = (index: number) => new RegExp(`^V${index}='(.*)'$`, "m").exec(paths)?.[1] ?? "/dev/null";
  return {
    acquire: dump
      .split("\n")
      .filter((line) => /^Acquire::/i.test(line) && !/^Acquire::(IndexTargets|Languages|Changelogs)\b/i.test(line)),
    sourceList: at(0),
    sourceParts: at(1),
    trusted: at(2),
    trustedParts: at(3),
    netrc: at(4),
    netrcParts: at(5),
  };
}

async function hostSources({ sourceList, sourceParts }: HostConfiguration): Promise<SourceStanza[]> {
  const parts = await readdir(sourceParts).catch(() => []);
  const files = [sourceList, ...parts.sort().map((name) => path.join(sourceParts, name))];
  const stanzas: SourceStanza[] = [];
  for (const file of files) {
    const parse = file.endsWith(".sources") ? parseDeb822 : file.endsWith(".list") ? parseSourcesList : undefined;
    const text = parse && (await readFile(file, "utf8").catch(() => undefined));
    if (parse && text !== undefined) stanzas.push(...parse(text));
  }
  return stanzas;
}
