/**
 * A kernel that UEFI firmware starts: OVMF takes it from fw_cfg, with its initial RAM disk and command line.
 *
 * @spec QEMU docs/specs/fw_cfg.rst (items); Linux Documentation/x86/boot.rst (setup_sects); UEFI Platform Initialization 1.7
 * volume 3, 3.2.1 (firmware volumes)
 */
import { struct, u32 } from "../bits/struct.ts";
import { type FwCfg, FwCfgKey } from "../device/fw-cfg/fw-cfg.ts";
import { utf8 } from "../firmware/c-string.ts";
import type { KernelDefinition } from "./definition.ts";

const Word = struct("LE", { value: u32 });
const VOLUME_SIGNATURE_AT = 0x28;
const VOLUME_SIGNATURE = utf8("_FVH");

const SETUP_SECTORS_AT = 0x1f1;
const USUAL_SETUP_SECTORS = 4;
const SECTOR = 512;

/** Whether firmware is made of the volumes that UEFI firmware has. */
export function isUefi(image: Uint8Array): boolean {
  return VOLUME_SIGNATURE.every((byte, i) => image[VOLUME_SIGNATURE_AT + i] === byte);
}

/** Has firmware start a kernel. */
export function addKernelItems(fwCfg: FwCfg, { image, initrd, commandLine }: KernelDefinition): void {
  const setupSectors = image[SETUP_SECTORS_AT] || USUAL_SETUP_SECTORS;
  const setup = image.subarray(0, (setupSectors + 1) * SECTOR);
  const add = (size: number, data: number, bytes: Uint8Array) => {
    fwCfg.addItem(size, Word.make({ value: bytes.length }));
    fwCfg.addItem(data, bytes);
  };
  add(FwCfgKey.setupSize, FwCfgKey.setupData, setup);
  add(FwCfgKey.kernelSize, FwCfgKey.kernelData, image.subarray(setup.length));
  add(FwCfgKey.initrdSize, FwCfgKey.initrdData, initrd ?? new Uint8Array(0));
  add(FwCfgKey.commandLineSize, FwCfgKey.commandLineData, utf8(`${commandLine}\0`));
}
