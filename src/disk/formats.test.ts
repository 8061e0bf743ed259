/** Every format that can be written keeps the contract of a disk. */
import { describe, test } from "node:test";
import { byteOffset } from "../bits/units.ts";
import { formatNamed } from "./formats.ts";
import type { CreateOptions, FormatName } from "./image-format.ts";
import { MemoryStore } from "./memory-store.ts";
import { blockDeviceContract, type OpenDisk, readOnlyContract } from "./testing/contract.ts";
import { imageHost } from "./testing/node/image-host.ts";

function opener(name: FormatName, options: Partial<CreateOptions>): OpenDisk {
  return async (content, { readOnly }) => {
    const format = await formatNamed(name);
    if (format?.create === undefined) throw new Error(`${name} images cannot be made`);
    const { create } = format;
    const host = imageHost();
    const store = new MemoryStore(0, { name: "disk" });
    await create(store, host, { ...options, size: content.length });
    const filled = await format.open(store, host, { readOnly: false });
    await filled.write(byteOffset(0), content);
    await filled.close();
    return format.open(store, host, { readOnly });
  };
}

const IMPLEMENTATIONS: readonly (readonly [FormatName, Partial<CreateOptions>])[] = [
  ["vdi", {}],
  ["vdi", { variant: "fixed" }],
  ["vhd", {}],
  ["vhd", { variant: "fixed" }],
  ["vhdx", {}],
  ["vhdx", { variant: "fixed" }],
  ["vmdk", {}],
];

for (const [name, options] of IMPLEMENTATIONS) {
  describe([name, options.variant].filter(Boolean).join(", "), () => {
    const open = opener(name, options);
    for (const part of [...blockDeviceContract, ...readOnlyContract]) test(part.name, () => part.run(open));
  });
}
