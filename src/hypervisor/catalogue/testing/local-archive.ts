/** A Debian archive in a directory, with packages made for a test, as the only source of the host's apt. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import process from "node:process";

export interface TestPackage {
  readonly name: string;
  readonly version: string;
  readonly depends?: string;
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
}

/** Why tests with apt cannot run here; undefined where they can. */
export const aptMissing: string | undefined = ["apt-get", "dpkg-deb"].some(
  (tool) => spawnSync(tool, ["--version"]).error !== undefined,
)
  ? "needs apt and dpkg, which this host does not have"
  : undefined;

export class LocalArchive {
  readonly directory: string;
  readonly #configured = process.env.APT_CONFIG;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** Makes the archive of suite `bookworm`, architecture amd64, and points apt's configuration of this process at it. */
  static async create(packages: readonly TestPackage[]): Promise<LocalArchive> {
    const archive = new LocalArchive(await mkdtemp(path.join(os.tmpdir(), "bunkhouse-archive-")));
    await archive.publish(packages);
    const { directory } = archive;
    const sources = path.join(directory, "sources.list");
    await writeFile(sources, `deb [trusted=yes] file:${directory}/archive bookworm main\n`);
    const configuration = path.join(directory, "apt.conf");
    await writeFile(
      configuration,
      `Dir::Etc::main "/dev/null"; Dir::Etc::parts "/dev/null"; Dir::Etc::sourcelist "${sources}"; Dir::Etc::sourceparts "/dev/null";\n`,
    );
    process.env.APT_CONFIG = configuration;
    return archive;
  }

  /** Replaces the archive's packages. */
  async publish(packages: readonly TestPackage[]): Promise<void> {
    const root = path.join(this.directory, "archive");
    await rm(root, { recursive: true, force: true });
    const suite = path.join(root, "dists/bookworm");
    const index = "main/binary-amd64/Packages";
    await mkdir(path.join(suite, path.dirname(index)), { recursive: true });
    await mkdir(path.join(root, "pool"));
    const records = [];
    for (const item of packages) records.push(await this.#makePackage(item, root));
    const listing = records.join("\n");
    await writeFile(path.join(suite, index), listing);
    const release = `Origin: Debian\nSuite: oldstable\nCodename: bookworm\nArchitectures: amd64\nComponents: main\nSHA256:\n ${sha256(listing)} ${listing.length} ${index}\n`;
    await writeFile(path.join(suite, "Release"), release);
  }

  /** Path of a package's file in the archive. */
  packageFile(name: string): string {
    return path.join(this.directory, "archive/pool", `${name}.deb`);
  }

  async remove(): Promise<void> {
    if (this.#configured === undefined) delete process.env.APT_CONFIG;
    else process.env.APT_CONFIG = this.#configured;
    await rm(this.directory, { recursive: true, force: true });
  }

  async #makePackage({ name, version, depends, files = {} }: TestPackage, root: string): Promise<string> {
    const tree = await mkdtemp(path.join(this.directory, "tree-"));
    const fields = [
      `Package: ${name}`,
      `Version: ${version}`,
      "Architecture: amd64",
      "Maintainer: Test <test@example.org>",
    ];
    if (depends !== undefined) fields.push(`Depends: ${depends}`);
    fields.push("Description: test");
    for (const [file, content] of Object.entries({ ...files, "DEBIAN/control": `${fields.join("\n")}\n` })) {
      await mkdir(path.join(tree, path.dirname(file)), { recursive: true });
      await writeFile(path.join(tree, file), content);
    }
    const target = path.join(root, "pool", `${name}.deb`);
    const built = spawnSync("dpkg-deb", ["--root-owner-group", "-Znone", "--build", tree, target], {
      encoding: "utf8",
    });
    if (built.status !== 0) throw new Error(built.stderr);
    await rm(tree, { recursive: true });
    const { size } = await stat(target);
    const sum = sha256(await readFile(target));
    return `${[...fields, `Filename: pool/${name}.deb`, `Size: ${size}`, `SHA256: ${sum}`].join("\n")}\n`;
  }
}

function sha256(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}
