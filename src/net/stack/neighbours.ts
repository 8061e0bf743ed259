/** Which Ethernet addresses hosts of the network have, as they were last heard. Bounded: who was not heard for longest goes. */
import { type Ipv4Address, MAC_LENGTH, type MacAddress } from "../wire/addresses.ts";

export const MOST_NEIGHBOURS = 256;

export class Neighbours {
  /** Who was heard last is last. */
  readonly #known = new Map<Ipv4Address, MacAddress>();

  /** Copies the Ethernet address. */
  learn(address: Ipv4Address, mac: MacAddress): void {
    this.#known.delete(address);
    this.#known.set(address, mac.slice(0, MAC_LENGTH));
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MOST_NEIGHBOURS) return;
      this.#known.delete(oldest);
    }
  }

  find(address: Ipv4Address): MacAddress | undefined {
    return this.#known.get(address);
  }

  get size(): number {
    return this.#known.size;
  }
}
