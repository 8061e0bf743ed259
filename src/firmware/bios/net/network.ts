/** The BIOS's part that is about the network: what is booted from it, and what the booted program finds. */
import type { TimeSource } from "../../../machine/device.ts";
import type { BootSource } from "../boot-source.ts";
import type { BiosCall } from "../call.ts";
import type { Ports } from "../chips.ts";
import { TableAt } from "../tables.ts";
import { networkSource } from "./network-source.ts";
import { NetworkStack } from "./network-stack.ts";
import { PxeService } from "./pxe-service.ts";
import type { BiosNetwork } from "./station.ts";

export interface NetworkWiring {
  readonly time: TimeSource;
  readonly ports: Ports;
  /** Writes to the screen. */
  print(call: BiosCall, text: string): void;
  /** Offsets of the BIOS's code. */
  readonly symbols: ReadonlyMap<string, number>;
}

export class Network {
  readonly source: BootSource;
  readonly pxe: PxeService;
  readonly #stack: NetworkStack;

  constructor(network: BiosNetwork, { time, ports, print, symbols }: NetworkWiring) {
    const symbol = (name: string) => symbols.get(name) as number;
    this.#stack = new NetworkStack(network, time);
    this.pxe = new PxeService(this.#stack, ports, {
      pxenvAt: TableAt.pxenv,
      pxeAt: TableAt.pxe,
      pxenvEntry: symbol("pxenv_entry"),
      pxeEntry: symbol("pxe_entry"),
      returned: symbol("pxe_returned"),
    });
    this.source = networkSource({ stack: this.#stack, pxe: this.pxe, print });
  }

  get state() {
    return { ...this.#stack.state, ...this.pxe.state };
  }

  reset(): void {
    this.#stack.reset();
    this.pxe.reset();
  }

  restored(): void {
    this.#stack.restored();
  }
}
