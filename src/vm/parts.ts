/**
 * What only some machines have, loaded for those alone: most of the time that a machine takes to start goes by with
 * the loading of code.
 */
import type { Host, MachineDefinition } from "./definition.ts";
import { placeDrives } from "./drive-places.ts";
import { toolsAt } from "./guest-ram.ts";
import { hasDisplay, loadStart } from "./start.ts";

export type Parts = Awaited<ReturnType<typeof loadParts>>;
export type OptionalDevices = Awaited<ReturnType<typeof loadDevices>>;

/** Rejects with DrivePlaceError where there are more drives than places. */
export async function loadParts(definition: MachineDefinition, host: Host) {
  // What runs when must depend on the inputs alone where time is a count of instructions.
  const regions = definition.clock === "icount" ? undefined : host.regions;
  // Firmware runs at once, a kernel only when it is in place.
  if (regions && !definition.kernel) host.expectRegions?.();
  const InPlace = regions ? undefined : (await import("../cpu/translate/in-place.ts")).InPlace;
  const devices = await loadDevices(definition);
  const start = await loadStart(definition, host);
  return {
    devices,
    start,
    ...(await loadRuntime(definition, host, {
      video: devices.vga?.VIDEO_MEMORY_SIZE ?? 0,
      isLarge: start.fillsMemory,
    })),
    regions: regions ?? ((settings) => new InPlace!(settings)),
    lockStep: definition.check ? await import("../cpu/lockstep/lock-step.ts") : undefined,
  };
}

/** The processor's runtime module, built for tools that count in it if there are any. */
async function loadRuntime(
  { memory, kernel, tools: asked }: MachineDefinition,
  host: Host,
  { video, isLarge }: { video: number; isLarge: boolean },
) {
  if (asked === undefined && host.runtime) {
    // A small kernel does not come to enough of them at once: it gets them when it runs.
    const kept = kernel && !isLarge ? undefined : host.handlers?.(kernel ? "kernel" : "firmware");
    return { runtime: await host.runtime(), kept, tools: undefined };
  }
  const { buildRuntime, runtimeModule } = await import("../cpu/build-runtime.ts");
  if (asked === undefined) return { runtime: runtimeModule(), tools: undefined };
  const tools = await import("./tools/machine-tools.ts");
  const observed = tools.emittedFor(asked, toolsAt(memory, video));
  return { runtime: new WebAssembly.Module(buildRuntime(undefined, observed)), tools };
}

/** Modules of the devices that a machine has beyond those of every board. */
async function loadDevices(definition: MachineDefinition) {
  const { disks, cdroms = [], floppies = [], nics = [], firmware, pointer } = definition;
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
    usbTablet: pointer === "tablet" ? await import("./usb-tablet.ts") : undefined,
    nics: nics.length > 0 ? await import("./nics.ts") : undefined,
    systemRom: firmware ? await import("./system-rom.ts") : undefined,
  };
}
