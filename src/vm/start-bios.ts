/** Starts the machine by its own BIOS. */
import type { BlockDevice } from "../disk/block-device.ts";
import { Bios, type BiosConfig } from "../firmware/bios/bios.ts";
import { DEFAULT_ORDER } from "../firmware/bios/boot-order.ts";
import { writeCmos, writePci } from "../firmware/bios/chips.ts";
import type { BiosDrive } from "../firmware/bios/disk/drive.ts";
import type { Network } from "../firmware/bios/net/network.ts";
import type { BiosNetwork } from "../firmware/bios/net/station.ts";
import { BIOS_PORT } from "../firmware/bios/segment.ts";
import { realModeState } from "../firmware/boot-state.ts";
import { cmosBytes } from "../firmware/cmos.ts";
import { memoryMap } from "../firmware/memory-map.ts";
import { uuidBytes } from "../firmware/smbios.ts";
import { MachineBiosProcessor } from "./bios-processor.ts";
import type { Board } from "./board.ts";
import { applyBootState } from "./boot-processor.ts";
import type { BiosDefinition, MachineDefinition } from "./definition.ts";
import { describedBoard, type Start, type StartParts, setUpBoard, smbiosSystem } from "./start.ts";

/** Where the stack is until a boot sector has one of its own: right below it. */
const STACK = 0x7c00;
const PORTS = 3;
const HOST_BRIDGE = 0;
/** PAM1 to PAM4 of the host bridge: C0000h to DFFFFh. */
const ADAPTER_ROMS = [0x5a, 0x5b, 0x5c, 0x5d];
const READ_AND_WRITE = 0x33;

/** `NetworkOf` is what boots from a network, where the machine has a card. */
export function biosStart(
  parts: StartParts,
  { order, menu, serialScreen, keepTrying }: BiosDefinition,
  NetworkOf: typeof Network | undefined,
): Start {
  const { definition, board, processor, ram, hold, holdInTime, registerSet } = parts;
  const bios = new Bios(
    {
      map: memoryMap(definition.memory),
      board: describedBoard(board),
      drives: biosDrives(definition, board),
      boot: { order: order ?? DEFAULT_ORDER, menu: menu ?? false },
      serialScreen: serialScreen ?? false,
      ...network(parts, NetworkOf),
    },
    {
      ports: board.ports,
      videoMemory: board.memory,
      time: parts.time,
      processor: new MachineBiosProcessor({ processor, ram, memory: board.memory, hold, holdInTime, registerSet }),
      immediate: parts.immediate,
      nothingBoots: (reasons) => {
        if (!keepTrying) parts.end({ kind: "not-bootable", reasons });
        return keepTrying === true;
      },
      called: () => processor.requestReturn(),
    },
  );
  board.ports.register(BIOS_PORT, PORTS, bios, { name: "BIOS", width: 1 });
  board.devices.set("bios", bios);
  return () => {
    for (const { index, value } of cmosBytes(definition.memory)) writeCmos(board.ports, index, value);
    setUpBoard(parts);
    // The places of option ROMs are RAM, as nothing is in them.
    for (const register of ADAPTER_ROMS) writePci(board.ports, HOST_BRIDGE, register, 1, READ_AND_WRITE);
    const { segment, offset } = bios.entry;
    applyBootState(processor, realModeState({ cs: segment, ip: offset, ds: 0, sp: STACK }));
    bios.powerOnSelfTest();
  };
}

/** The BIOS beside the first network card. */
function network(
  { definition, board, processor }: StartParts,
  NetworkOf: typeof Network | undefined,
): Pick<BiosConfig, "network"> {
  const [nic] = board.nics;
  if (nic === undefined || NetworkOf === undefined) return {};
  const place: BiosNetwork = {
    address: nic.definition.address,
    connect: (station) => nic.hub.connect(station),
    card: nic.slot << 3,
    uuid: uuidBytes(smbiosSystem(definition, processor).uuid),
  };
  return { network: (wiring) => new NetworkOf(place, wiring) };
}

/** The drives, in the order of their kinds' numbers. */
function biosDrives({ disks, floppies = [] }: MachineDefinition, board: Board): BiosDrive[] {
  const named = (
    kind: BiosDrive["kind"],
    name: string,
    media: readonly (() => BlockDevice | undefined)[],
  ): BiosDrive[] => media.map((medium, i) => ({ kind, name: media.length > 1 ? `${name} ${i + 1}` : name, medium }));
  return [
    ...named(
      "disk",
      "disk",
      disks.map(
        ({ device }) =>
          () =>
            device,
      ),
    ),
    ...named(
      "cd",
      "CD",
      board.cdroms.map((drive) => () => drive.medium),
    ),
    ...named(
      "floppy",
      "floppy",
      floppies.map((_, i) => () => board.floppy?.medium(i)?.device),
    ),
  ];
}
