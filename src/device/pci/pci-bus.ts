/** PCI bus 0: which function is where. There are no bridges to other buses. */
import type { AccessSize } from "../../machine/device.ts";
import type { PciConfigTarget } from "./function.ts";

/** Device 0 to 31 and function 0 to 7 in one byte. */
export const devfn = (slot: number, fn: number): number => (slot << 3) | fn;

export class PciBus {
  readonly #functions: (PciConfigTarget | undefined)[] = new Array(256).fill(undefined);

  /** Puts a function into its place. Throws where there is one already: a mistake of the board. */
  attach(slot: number, fn: number, target: PciConfigTarget): void {
    const place = devfn(slot, fn);
    if (this.#functions[place] !== undefined) throw new Error(`PCI 00:${slot.toString(16)}.${fn} is taken`);
    this.#functions[place] = target;
  }

  /** Configuration read; all ones where there is no function. */
  readConfig(bus: number, place: number, offset: number, size: AccessSize): number {
    const target = bus === 0 ? this.#functions[place] : undefined;
    return target === undefined ? 2 ** (8 * size) - 1 : target.readConfig(offset, size);
  }

  writeConfig(bus: number, place: number, offset: number, size: AccessSize, value: number): void {
    if (bus === 0) this.#functions[place]?.writeConfig(offset, size, value);
  }
}
