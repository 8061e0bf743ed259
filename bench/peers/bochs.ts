/**
 * Bochs (Debian packages bochs, bochsbios, bochs-term): it has no direct start of kernels, so SeaBIOS boots an ISO image
 * that ISOLINUX starts the kernel from. Debian's Bochs is built with its debugger, which is told to go on. Its display
 * is text on a terminal that nobody looks at; the serial port is a connection to us. Guest time is a count of
 * instructions: it runs as fast as it can.
 */
import { execFile } from "node:child_process";
import { access, copyFile, mkdir, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import path from "node:path";
import { promisify } from "node:util";
import type { Command } from "../guest-process.ts";
import type { BootFiles } from "../machines.ts";

export const BOCHS = "bochs-bin";
const DISPLAY = "/usr/lib/x86_64-linux-gnu/bochs/plugins/libbx_term_gui.so";
const FIRMWARE = { bios: "/usr/share/seabios/bios.bin", vga: "/usr/share/seabios/vgabios-stdvga.bin" };
const ISOLINUX = "/usr/lib/ISOLINUX/isolinux.bin";
const LDLINUX = "/usr/lib/syslinux/modules/bios/ldlinux.c32";
const XORRISO = "/usr/bin/xorriso";
/** Instructions of a guest second: near what it does in a real one. */
const INSTRUCTIONS_PER_SECOND = 50_000_000;

const NEEDED: Readonly<Record<string, string>> = {
  "/usr/bin/bochs-bin": "bochs",
  [DISPLAY]: "bochs-term",
  [FIRMWARE.bios]: "seabios",
  [ISOLINUX]: "isolinux",
  [LDLINUX]: "syslinux-common",
  [XORRISO]: "xorriso",
};

export async function bochsLacks(): Promise<string | undefined> {
  const missing: string[] = [];
  for (const [file, debianPackage] of Object.entries(NEEDED)) {
    await access(file).catch(() => missing.push(debianPackage));
  }
  return missing.length === 0 ? undefined : `Debian packages are not installed: ${missing.join(", ")}`;
}

export async function bochsCommand(files: BootFiles, directory: string): Promise<Command> {
  const place = path.join(directory, `bochs-${path.basename(path.dirname(files.kernel))}-${files.memoryMiB}`);
  await mkdir(place, { recursive: true });
  const image = await bootImage(files, place);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const configuration = path.join(place, "bochsrc");
  const go = path.join(place, "go");
  await writeFile(go, "c\n");
  await writeFile(configuration, settings(files.memoryMiB, image, port));
  return {
    program: BOCHS,
    args: ["-q", "-f", configuration, "-rc", go],
    env: { TERM: "vt100", LTDL_LIBRARY_PATH: path.dirname(DISPLAY) },
    console: server,
  };
}

function settings(memoryMiB: number, image: string, port: number): string {
  return `display_library: term
megs: ${memoryMiB}
cpu: model=corei7_haswell_4770, count=1, ips=${INSTRUCTIONS_PER_SECOND}, ignore_bad_msrs=1
clock: sync=none, time0=local
romimage: file=${FIRMWARE.bios}
vgaromimage: file=${FIRMWARE.vga}
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=${image}, status=inserted
boot: cdrom
com1: enabled=1, mode=socket-client, dev=localhost:${port}
log: /dev/null
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
`;
}

async function bootImage({ kernel, initrd, commandLine = "" }: BootFiles, place: string): Promise<string> {
  const tree = path.join(place, "tree");
  const boot = path.join(tree, "isolinux");
  await mkdir(boot, { recursive: true });
  await copyFile(kernel, path.join(tree, "linux"));
  if (initrd !== undefined) await copyFile(initrd, path.join(tree, "initrd"));
  await copyFile(ISOLINUX, path.join(boot, "isolinux.bin"));
  await copyFile(LDLINUX, path.join(boot, "ldlinux.c32"));
  const lines = ["DEFAULT linux", "PROMPT 0", "LABEL linux", "KERNEL /linux", `APPEND ${commandLine}`];
  if (initrd !== undefined) lines.push("INITRD /initrd");
  await writeFile(path.join(boot, "isolinux.cfg"), `${lines.join("\n")}\n`);
  const image = path.join(place, "boot.iso");
  const elTorito = ["-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat"];
  const emulation = ["-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"];
  await promisify(execFile)(XORRISO, ["-as", "mkisofs", "-quiet", "-o", image, ...elTorito, ...emulation, tree]);
  return image;
}
