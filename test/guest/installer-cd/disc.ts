/** The installer's CD: Debian's installer, the packages that an installation takes, and ISOLINUX to start it. */
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { AptCache, type DebianArchitecture } from "../../../src/hypervisor/catalogue/apt.ts";
import { defaultCacheDirectory } from "../../../src/hypervisor/catalogue/guest-store.ts";
import { runTool } from "../../../src/hypervisor/catalogue/host-tool.ts";
import { makeInitrd } from "./initrd.ts";
import { SUITE, writeArchive } from "./packages.ts";

/** The new system's kernel: one that runs on any processor of the architecture. */
const KERNELS: Readonly<Record<DebianArchitecture, string>> = { amd64: "linux-image-amd64", i386: "linux-image-686" };

/** Writes the CD's image to `file`. Throws CatalogueError where this host has no Debian to take it from. */
export async function makeInstallerCd(architecture: DebianArchitecture, file: string): Promise<void> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-cd-"));
  try {
    const [apt, amd64] = await Promise.all([aptFor(architecture), aptFor("amd64")]);
    const kernel = (await apt.resolve(KERNELS[architecture])).name;
    await writeArchive(apt, architecture, kernel, directory);
    await writeInstaller({ apt, amd64, architecture, kernel, directory });
    const boot = ["-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat"];
    const table = ["-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"];
    const names = ["-r", "-J", "-joliet-long", "-V", "Debian 12 installer"];
    await runTool("xorriso", ["-as", "mkisofs", "-quiet", "-o", file, ...names, ...boot, ...table, directory]);
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function aptFor(architecture: DebianArchitecture): Promise<AptCache> {
  const directory = path.join(defaultCacheDirectory(), "apt", `${SUITE}-installer-${architecture}`);
  const apt = new AptCache({ directory, architecture, suite: SUITE, components: ["main", "main/debian-installer"] });
  await apt.update();
  return apt;
}

interface InstallerParts {
  readonly apt: AptCache;
  readonly amd64: AptCache;
  readonly architecture: DebianArchitecture;
  readonly kernel: string;
  readonly directory: string;
}

async function writeInstaller({ apt, amd64, architecture, kernel, directory }: InstallerParts): Promise<void> {
  const images = `usr/lib/debian-installer/images/12/${architecture}/text/debian-installer/${architecture}`;
  const [installer = "", isolinux = "", syslinux = ""] = await apt.download([
    await apt.resolve(`debian-installer-12-netboot-${architecture}`),
    await apt.resolve("isolinux"),
    await apt.resolve("syslinux-common"),
  ]);
  const unpacked = path.join(directory, "unpacked");
  await apt.extract(installer, unpacked, [`./${images}/linux`, `./${images}/initrd.gz`]);
  await apt.extract(isolinux, unpacked, ["./usr/lib/ISOLINUX/isolinux.bin"]);
  await apt.extract(syslinux, unpacked, ["./usr/lib/syslinux/modules/bios/ldlinux.c32"]);
  await mkdir(path.join(directory, "isolinux"));
  const onto = (name: string) => path.join(directory, "isolinux", name);
  await copyFile(path.join(unpacked, images, "linux"), onto("linux"));
  await copyFile(path.join(unpacked, "usr/lib/ISOLINUX/isolinux.bin"), onto("isolinux.bin"));
  await copyFile(path.join(unpacked, "usr/lib/syslinux/modules/bios/ldlinux.c32"), onto("ldlinux.c32"));
  await copyFile(new URL("files/isolinux.cfg", import.meta.url), onto("isolinux.cfg"));
  const netboot = await readFile(path.join(unpacked, images, "initrd.gz"));
  await writeFile(onto("initrd.gz"), await makeInitrd({ apt, amd64, architecture, netboot, kernel }));
  await rm(unpacked, { recursive: true });
  await mkdir(path.join(directory, ".disk"));
  await writeFile(
    path.join(directory, ".disk/info"),
    `Debian GNU/Linux 12 "${SUITE}" - ${architecture} installer CD\n`,
  );
  await writeFile(path.join(directory, ".disk/base_installable"), "");
  await writeFile(path.join(directory, ".disk/base_components"), "main\n");
}
