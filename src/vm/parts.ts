/**
 * What only some machines have, loaded for those alone: most of the time that a machine takes to start goes by with
 * the loading of code.
 */
import type { Host, MachineDefinition } from "./definition.ts";
import { placeDrives } from "./drive-places.ts";
import { hasDisplay, loadStart } from "./start.ts";

export type Parts = Awaited<ReturnType<typeof loadParts>>;
export type OptionalDevices = Awaited<ReturnType<typeof loadDevices>>;

/** Rejects with DrivePlaceError where there are more drives than places. */
export async function loadParts(definition: MachineDefinition, host: Host) {
  // What runs when must depend on the inputs alone where time is a count of instructions.
  const regions = definition.clock === "icount" ? undefined : host.regions;
  const InPlace = regions ? undefined : (await import("../cpu/translate/in-place.ts")).InPlace;
  return {
    devices: await loadDevices(definition),
    start: await loadStart(definition),
    runtime: host.runtime ? await host.runtime() : (await import("../cpu/build-runtime.ts")).runtimeModule(),
    regions: regions ?? ((settings) => new InPlace!(settings)),
    lockStep: definition.check ? await import("../cpu/lockstep/lock-step.ts") : undefined,
  };
}

/** Modules of the devices that a machine has beyond those of every board. */
async function loadDevices(definition: MachineDefinition) {
  const { disks, cdroms = [], floppies = [], firmware } = definition;
  const { ide, ahci, nvme, scsi } = placeDrives(disks, cdroms);
  const hasAta = ahci.length > 0 || ide.some((drive) => drive !== undefined);
  return {
    vga: hasDisplay(definition) ? await import("../device/vga/vga.ts") : undefined,
    floppy: floppies.length > 0 ? await import("../device/i82077/i82077.ts") : undefined,
    ataDrives: hasAta ? await import("./ata-drives.ts") : undefined,
    ahci: ahci.length > 0 ? await import("../device/ahci/ahci.ts") : undefined,
    nvme: nvme.length > 0 ? await import("../device/nvme/nvme.ts") : undefined,
    scsiUnits: scsi.length > 0 ? await import("./scsi-units.ts") : undefined,
    virtioScsi: scsi.length > 0 ? await import("../device/virtio-scsi/virtio-scsi.ts") : undefined,
    systemRom: firmware ? await import("./system-rom.ts") : undefined,
  };
}
