import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const SOURCES = fileURLToPath(new URL("../", import.meta.url));

/** What is loaded with these files: what they import when they are loaded, and so on. */
function loadedWith(...files: string[]): Set<string> {
  const loaded = new Set(files);
  for (const file of loaded) {
    const text = readFileSync(path.join(SOURCES, file), "utf8");
    for (const [, target = ""] of text.matchAll(/^(?:import|export) (?!type\b)(?:[^;"]*? from )?"(\..+)";$/gm)) {
      loaded.add(path.join(path.dirname(file), target));
    }
  }
  return loaded;
}

test("a kernel is started without the code of what its machine has not", () => {
  const loaded = [...loadedWith("cli/main.ts", "cli/run-command.ts", "vm/start-kernel.ts")];
  assert.ok(loaded.includes("vm/machine.ts") && loaded.includes("isa/index.ts"));
  const needless = [
    ...["cpu/fpu/", "cpu/sse/", "cpu/lockstep/", "cpu/translate/region.ts"],
    ...[
      "device/ahci/",
      "device/ata/ata-disk.ts",
      "device/nvme/",
      "device/scsi/",
      "device/vga/",
      "device/i82077/i82077.ts",
    ],
    ...["disk/qcow2/", "disk/vdi/", "disk/vhd/", "disk/vhdx/", "disk/vmdk/", "disk/iso9660/"],
    ...[
      "firmware/linux-unpack.ts",
      "firmware/lz4.ts",
      "firmware/vga/",
      "vm/gdb/",
      "vm/rfb/",
      "vm/screen/",
      "hypervisor/catalogue/debian-guest.ts",
      "cli/web/web-server.ts",
    ],
  ];
  assert.deepEqual(
    loaded.filter((file) => needless.some((part) => file.startsWith(part))),
    [],
  );
});
