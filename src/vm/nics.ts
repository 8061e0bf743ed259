/** The network cards of machines that have some, and the networks that the cards are on. */
import { E1000 } from "../device/e1000/e1000.ts";
import type { PciFunction } from "../device/pci/function.ts";
import { VirtioPci } from "../device/virtio/virtio-pci.ts";
import { VirtioNet } from "../device/virtio-net/virtio-net.ts";
import type { MsiTarget } from "../machine/apic-bus.ts";
import type { AsyncWork, Device, SignalLine, TimeSource } from "../machine/device.ts";
import type { MemoryBus } from "../machine/memory-bus.ts";
import type { PortBus } from "../machine/port-bus.ts";
import { EthernetHub } from "../net/hub.ts";
import { VirtualNetwork } from "../net/stack/virtual-network.ts";
import type { NicDefinition } from "./definition.ts";
import type { GuestRam } from "./guest-ram.ts";

export interface NicWiring {
  readonly ports: PortBus;
  readonly memory: MemoryBus;
  readonly ram: GuestRam;
  readonly time: TimeSource;
  readonly work: AsyncWork;
  readonly msi: MsiTarget;
  /** Makes a device part of the board. */
  add<D extends Device<object>>(name: string, device: D): D;
  /** Puts a card on the PCI bus; returns its slot. */
  plug(make: (intx: SignalLine) => PciFunction): number;
}

/** A card on its network, where other stations may be plugged in beside it. */
export interface Nic {
  readonly definition: NicDefinition;
  readonly hub: EthernetHub;
  /** On PCI bus 0. */
  readonly slot: number;
  /** The machine has ended: ends what goes on beyond it. */
  close(): void;
}

/** Makes a machine's cards, and the network of each. */
export function plugNics(nics: readonly NicDefinition[], wiring: NicWiring): Nic[] {
  return nics.map((definition, number) => {
    const hub = new EthernetHub();
    const network = makeNetwork(number, definition, hub, wiring);
    const slot = wiring.plug((intx) => makeCard(number, definition, hub, intx, wiring));
    return { definition, hub, slot, close: () => void network.close() };
  });
}

function makeNetwork(
  number: number,
  { network }: NicDefinition,
  hub: EthernetHub,
  { time, work, add }: NicWiring,
): VirtualNetwork {
  const { files, bootFile } = network;
  const config = { ...(files ? { files } : {}), ...(bootFile === undefined ? {} : { bootFile }) };
  const outside = network.kind === "user" ? { outside: network.outside } : {};
  return add(`network${number}`, new VirtualNetwork(config, { time, work, hub, ...outside }));
}

function makeCard(
  number: number,
  { model, address, rom }: NicDefinition,
  hub: EthernetHub,
  intx: SignalLine,
  { ports, memory, ram, time, msi, add }: NicWiring,
): PciFunction {
  const connect: EthernetHub["connect"] = (station) => hub.connect(station);
  const name = `${model}-net${number}`;
  switch (model) {
    case "virtio": {
      const device = new VirtioNet({ memory: ram, connect, address });
      return add(name, new VirtioPci({ name, device, ports, memory, intx, msi, ...(rom && { rom }) })).pci;
    }
    case "e1000":
      return add(name, new E1000({ ports, memory, ram, time, intx, connect, address, ...(rom && { rom }) })).pci;
  }
}
