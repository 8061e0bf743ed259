/**
 * Debian's installer comes over the network: by the machine's own BIOS, by iPXE's option ROMs on SeaBIOS, and by OVMF; and
 * finds the network again with drivers of its own.
 */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { VirtualMachine, type VirtualMachineOptions } from "../../src/vm/index.ts";
import { GuestShell } from "./guest-shell.ts";
import { packagedFile } from "./packaged-file.ts";

const PACKAGE = "debian-installer-12-netboot-amd64";
const FILES = "usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64";
const SEABIOS = "/usr/share/seabios/bios-256k.bin";
/** A shell before the installer has done anything; as it says on a serial line. */
const CONFIGURATION = `DEFAULT install
LABEL install
KERNEL linux
APPEND initrd=initrd.gz console=ttyS0 quiet BOOT_DEBUG=3
`;
const PATIENCE = { timeout: 900_000 };

/** A folder with these files of the installer's package, under the names that they are given; undefined without Debian's packages. */
async function folderWith(t: TestContext, files: Readonly<Record<string, string>>): Promise<string | undefined> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-netboot-"));
  t.after(() => rm(folder, { recursive: true }));
  for (const [name, file] of Object.entries(files)) {
    const bytes = await packagedFile(t, PACKAGE, `${FILES}/${file}`);
    if (bytes === undefined) return undefined;
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), bytes);
  }
  return folder;
}

async function started(t: TestContext, options: VirtualMachineOptions) {
  const vm = await VirtualMachine.create({ memory: "512M", boot: { order: ["net"], serialScreen: true }, ...options });
  t.after(() => vm.stop());
  void vm.start();
  return vm;
}

/** From the installer's first shell to pings of the network's server. */
async function useNetwork(shell: GuestShell, module: string): Promise<void> {
  await shell.expect("access tty");
  await shell.run("mount -t proc proc /proc; mount -t sysfs sysfs /sys");
  await shell.run(`modprobe -a ${module}; while ! [ -e /sys/class/net/eth0 ]; do sleep 1; done; ip link set eth0 up`);
  assert.match(await shell.run("udhcpc -i eth0 -n -q -f 2>&1"), /lease of 10\.0\.2\.15 obtained from 10\.0\.2\.2/);
  assert.match(await shell.run("ping -c 3 10.0.2.2"), /3 packets transmitted, 3 packets received/);
  // There is nothing else.
  await shell.run("wget -O - http://10.0.2.2/ 2>&1 | grep refused");
  await shell.run("! ping -c 1 -w 2 192.0.2.1");
}

for (const [model, module] of [
  ["virtio", "virtio_pci virtio_net"],
  ["e1000", "e1000"],
] as const) {
  test(`the BIOS boots Debian's installer from the network of a card ${model}, which Linux uses then`, async (t) => {
    const files = await folderWith(t, {
      "pxelinux.0": "pxelinux.0",
      "ldlinux.c32": "boot-screens/ldlinux.c32",
      linux: "linux",
      "initrd.gz": "initrd.gz",
    });
    if (!files) return;
    await mkdir(path.join(files, "pxelinux.cfg"));
    await writeFile(path.join(files, "pxelinux.cfg/default"), CONFIGURATION);
    const vm = await started(t, { nics: [{ network: "isolated", model, files, bootFile: "pxelinux.0" }] });
    await useNetwork(new GuestShell(vm.serial), module);
  });

  test(`SeaBIOS boots from the network by the option ROM of a card ${model}`, async (t) => {
    const rom = await packagedFile(t, "ipxe-qemu", `usr/lib/ipxe/qemu/pxe-${model}.rom`);
    const files =
      rom && (await folderWith(t, { "pxelinux.0": "pxelinux.0", "ldlinux.c32": "boot-screens/ldlinux.c32" }));
    if (!rom || !files) return;
    await writeFile(path.join(files, "card.rom"), rom);
    await mkdir(path.join(files, "pxelinux.cfg"));
    await writeFile(path.join(files, "pxelinux.cfg/default"), "PROMPT 1\nDEFAULT none\n");
    const card = { network: "isolated", model, files, bootFile: "pxelinux.0" } as const;
    const vm = await started(t, {
      firmware: { image: SEABIOS },
      nics: [{ ...card, rom: path.join(files, "card.rom") }],
    });
    await vm.display.waitForText(/^boot: *$/m, PATIENCE);
  });
}

test("OVMF boots GRUB from the network", async (t) => {
  const image = await packagedFile(t, "ovmf", "usr/share/OVMF/OVMF_CODE_4M.fd");
  const empty = image && (await packagedFile(t, "ovmf", "usr/share/OVMF/OVMF_VARS_4M.fd"));
  const files = empty && (await folderWith(t, { "bootnetx64.efi": "bootnetx64.efi", "grubx64.efi": "grubx64.efi" }));
  if (!image || !empty || !files) return;
  const variables = path.join(files, "vars.fd");
  await writeFile(variables, empty);
  const vm = await started(t, {
    firmware: { image, variables },
    nics: [{ network: "isolated", files, bootFile: "bootnetx64.efi" }],
  });
  await vm.serial.expect("NBP file downloaded successfully", PATIENCE);
  await vm.serial.expect("Welcome to GRUB", PATIENCE);
});
