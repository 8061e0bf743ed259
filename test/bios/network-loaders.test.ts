/** Boot loaders of Debian's packages come over the network to their prompts, and load what they start from there. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import type { BiosState } from "../../src/firmware/bios/bios.ts";
import { biosGuest, needs, PATIENCE, screenText, screenWith } from "./bios-guest.ts";
import { ADDRESS, hostFile, onNetwork } from "./network-guest.ts";

const MEMORY = 64 << 20;
const PXELINUX = "/usr/lib/PXELINUX";
const MODULES = "/usr/lib/syslinux/modules/bios";
const MEMTEST = "/boot/memtest86+x64.bin";

/** Files of a loader of SYSLINUX's that uses PXE, with its configuration; undefined, and the test skipped, without it. */
function syslinux(t: TestContext, loader: string, configuration: string, modules = ["ldlinux.c32"]) {
  if (!needs(t, `${PXELINUX}/${loader}`, "pxelinux") || !needs(t, MODULES, "syslinux-common")) return undefined;
  return {
    [loader]: hostFile(`${PXELINUX}/${loader}`),
    ...Object.fromEntries(modules.map((name) => [name, hostFile(`${MODULES}/${name}`)])),
    "pxelinux.cfg/default": configuration,
  };
}

// The second one has a stack of its own, on PXE's frames.
for (const loader of ["pxelinux.0", "lpxelinux.0"]) {
  test(`${loader} shows its prompt, with a configuration from the network`, async (t) => {
    const files: Record<string, Uint8Array | string> | undefined = syslinux(
      t,
      loader,
      "PROMPT 1\nSAY what there is to start\nDEFAULT none\n",
    );
    if (!files) return;
    const guest = await biosGuest({ memory: MEMORY, ...onNetwork(files, loader) });
    const shown = await screenWith(guest, /^boot: *$/m);
    const lines = shown.split("\n");
    assert.deepEqual(lines.slice(0, 3), [
      `Network ${ADDRESS}: DHCP.`,
      "Address 10.0.2.15/24, no gateway",
      `${loader} from 10.0.2.2: ${files[loader]?.length} bytes`,
    ]);
    assert.match(shown, /PXELINUX \d.*\n(.*\n)*what there is to start/);
  });

  test(`${loader} loads a kernel and starts it`, async (t) => {
    if (!needs(t, MEMTEST, "memtest86+")) return;
    const files = syslinux(t, loader, "DEFAULT test\nLABEL test\nLINUX kernels/memtest\n");
    if (!files) return;
    const network = onNetwork({ ...files, "kernels/memtest": hostFile(MEMTEST) }, loader);
    const guest = await biosGuest({ memory: MEMORY, ...network });
    await screenWith(guest, /Memory +: +\d[\s\S]*Pass:[\s\S]*Errors/);
    // It has freed what PXE had.
    const { board } = guest.machine;
    const left = (board.devices.get("bios")?.state as BiosState | undefined)?.network;
    assert.deepEqual([left?.pxe.isLoaded, left?.station.listens, left?.memory.startKib], [false, false, 0]);
  });
}

test("pxelinux.0 that starts nothing gives way to what is next in the boot order, with all of the memory", async (t) => {
  const files = syslinux(t, "pxelinux.0", "DEFAULT leave\nLABEL leave\nLOCALBOOT 0\n");
  if (!files) return;
  const guest = await biosGuest({
    memory: MEMORY,
    ...onNetwork(files, "pxelinux.0"),
    bios: { order: ["net", "disk"] },
  });
  const end = await guest.machine.run();
  assert.deepEqual(end, { kind: "not-bootable", reasons: ["network: what was booted gave up"] });
  const { bytes } = guest.machine.ram;
  assert.equal((bytes[0x413] as number) | ((bytes[0x414] as number) << 8), 639);
});

test("GRUB, as an image for PXE, has the address of the BIOS and reads its script and files", async (t) => {
  if (!needs(t, "/usr/bin/grub-mkimage", "grub-common") || !needs(t, "/usr/lib/grub/i386-pc", "grub-pc-bin")) return;
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-pxe-"));
  t.after(() => rm(directory, { recursive: true }));
  const image = path.join(directory, "grub.pxe");
  const modules = ["pxe", "tftp", "net", "normal", "echo", "cat", "sleep"];
  execFileSync("grub-mkimage", ["-O", "i386-pc-pxe", "-o", image, "-p", "(pxe)/grub", ...modules]);
  const files = {
    "grub.pxe": new Uint8Array(await readFile(image)),
    "grub/grub.cfg": "net_ls_addr\ncat (tftp,10.0.2.2)/hello\nsleep 1000\n",
    hello: "a file from the network\n",
  };
  const guest = await biosGuest({ memory: MEMORY, ...onNetwork(files, "grub.pxe") });
  const shown = await screenWith(guest, /a file from the network/);
  assert.match(shown, new RegExp(`^pxe.* ${ADDRESS} 10\\.0\\.2\\.15`, "m"));
});

test("iPXE without drivers of its own gets an address and a script over PXE's frames, and gives up to the BIOS", async (t) => {
  const loader = "/usr/lib/ipxe/undionly.kpxe";
  if (!needs(t, loader, "ipxe")) return;
  const script = ["#!ipxe", "echo This is script $" + "{net0/ip}", ""].join("\n");
  const files = { "undionly.kpxe": hostFile(loader), script };
  const guest = await biosGuest({
    memory: MEMORY,
    ...onNetwork(files, "undionly.kpxe"),
    bios: { order: ["net"], serialScreen: true },
  });
  const { machine } = guest;
  // Autoconfiguration of IPv6, which nobody answers, would take a while.
  const answers = [
    [/iPXE initialising devices/, "\x02"],
    [/iPXE> *$/m, "ifconf -c dhcp && chain tftp://10.0.2.2/script\r"],
    [/This is script 10\.0\.2\.15\niPXE> *$/m, "exit\r"],
  ] as const;
  let answered = 0;
  const look = setInterval(() => {
    const answer = answers[answered];
    if (machine.instructions > PATIENCE) machine.stop();
    if (answer === undefined || !answer[0].test(screenText(guest).join("\n").trimEnd())) return;
    machine.sendSerial(new TextEncoder().encode(answer[1]));
    answered++;
  }, 20);
  t.after(() => clearInterval(look));
  const end = await machine.run();
  const shown = screenText(guest).join("\n");
  assert.deepEqual(end, { kind: "not-bootable", reasons: ["network: what was booted gave up"] }, shown);
  assert.match(shown, new RegExp(`^Configuring \\[dhcp\\] \\(net0 ${ADDRESS}\\).*ok`, "m"));
});
