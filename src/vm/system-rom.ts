/** The machine's firmware where the processor finds it: ROM that ends at 4 GiB, flash below it, shadow RAM below 1 MiB. */
import { guestPhysical } from "../bits/units.ts";
import { ROM_SIZE } from "../cpu/state.ts";
import { Pflash } from "../device/pflash/pflash.ts";
import { SHADOW_LENGTH, SHADOW_START, ShadowRam } from "../device/shadow-ram/shadow-ram.ts";
import { BootError } from "../firmware/boot-error.ts";
import type { Device, PhysicalMemory } from "../machine/device.ts";
import type { MemoryBus } from "../machine/memory-bus.ts";
import type { FirmwareDefinition } from "./definition.ts";
import { ChangedBlocks } from "./flash-file.ts";

const FOUR_GIB = 2 ** 32;
const PAGE = 4096;
const KIB = 1024;

export interface SystemRom {
  readonly shadow: ShadowRam;
  /** Where variables are kept, if anywhere. */
  readonly flash: Pflash | undefined;
}

/** Puts firmware into memory. Throws BootError for files that are no such thing. */
export function placeFirmware(
  { image, variables }: FirmwareDefinition,
  memory: PhysicalMemory,
  bus: MemoryBus,
  add: <D extends Device<object>>(name: string, device: D) => D,
): SystemRom {
  check(image, variables?.bytes);
  const at = FOUR_GIB - image.length;
  memory.storage(at, image.length, "write").set(image);
  memory.setKind(at, image.length, "rom");
  const shadow = add("shadow-ram", new ShadowRam({ memory, rom: image }));
  bus.map(guestPhysical(SHADOW_START), SHADOW_LENGTH, shadow, "shadow RAM");
  if (variables === undefined) return { shadow, flash: undefined };
  const { length } = variables.bytes;
  const address = at - length;
  memory.storage(address, length, "write").set(variables.bytes);
  const changed = new ChangedBlocks();
  const keep = (offset: number, size: number) =>
    variables.changed(offset, memory.storage(address + offset, size).slice());
  const flash = add(
    "pflash",
    new Pflash(
      { address, length },
      {
        memory,
        changed: (offset, size) => changed.add(offset, size),
        settled: () => changed.take(keep),
      },
    ),
  );
  bus.map(guestPhysical(address), length, flash, "flash");
  return { shadow, flash };
}

function check(image: Uint8Array, variables: Uint8Array | undefined): void {
  if (image.length === 0 || image.length % PAGE !== 0) {
    throw new BootError("not-a-kernel", `firmware has whole pages of 4 KiB, and not ${image.length} bytes`);
  }
  // The processor starts 16 bytes before the end, where there is no room for anything but a jump.
  if (image.subarray(-16).every((byte) => byte === image.at(-1))) {
    throw new BootError("not-a-kernel", "this is no firmware: there is no code where a processor starts");
  }
  if (variables !== undefined && (variables.length === 0 || variables.length % PAGE !== 0)) {
    throw new BootError("not-a-kernel", `firmware variables have whole pages of 4 KiB, not ${variables.length} bytes`);
  }
  const together = image.length + (variables?.length ?? 0);
  if (together > ROM_SIZE) {
    const room = ROM_SIZE / KIB;
    throw new BootError("no-room", `firmware and its variables have ${together / KIB} KiB, and may have ${room} KiB`);
  }
}
