/**
 * Which client has which address, and until when. An address that ran out stays its client's until another needs it, so that
 * a client gets the same one again.
 *
 * @spec RFC 2131 §2.2, §4.3.1
 */
import type { TimeSource } from "../../machine/device.ts";
import { type Ipv4Address, ipv4Address } from "../wire/addresses.ts";

export interface Lease {
  /** The client, by its Ethernet address as a text; empty for an address that a client found in use. */
  client: string;
  address: number;
  /** Guest time in nanoseconds. */
  expires: number;
}

export interface LeaseState {
  /** One for each address at the most. */
  leases: Lease[];
}

export interface AddressPool {
  readonly first: Ipv4Address;
  readonly last: Ipv4Address;
}

const SECOND = 1e9;
/** How long an address is kept for a client that was offered it. */
const OFFER_TIME = 60 * SECOND;
/** How long an address that was found in use is given to nobody. */
const DECLINE_TIME = 600 * SECOND;

export class Leases {
  readonly #state: LeaseState;
  readonly #pool: AddressPool;
  readonly #time: TimeSource;

  constructor(state: LeaseState, pool: AddressPool, time: TimeSource) {
    this.#state = state;
    this.#pool = pool;
    this.#time = time;
  }

  /** An address that is kept for the client for a minute: its own, the one it wants, a free one. Undefined if all are taken. */
  offer(client: string, wanted: Ipv4Address | undefined): Ipv4Address | undefined {
    const address = this.#addressOf(client) ?? (this.#isFree(wanted) ? wanted : this.#freeAddress());
    if (address !== undefined) this.#keep(client, address, OFFER_TIME);
    return address;
  }

  /** Gives the client this address for a time in nanoseconds; false where it has another, or somebody else has it. */
  grant(client: string, address: Ipv4Address, duration: number): boolean {
    const own = this.#addressOf(client);
    if (own === undefined ? !this.#isFree(address) : own !== address) return false;
    this.#keep(client, address, duration);
    return true;
  }

  /** The client no longer uses its address, or takes an offer of somebody else's. */
  release(client: string): void {
    const lease = this.#find(client);
    if (lease !== undefined) lease.expires = this.#time.now();
  }

  /** The client found somebody who uses its address. */
  decline(client: string): void {
    const lease = this.#find(client);
    if (lease === undefined) return;
    lease.client = "";
    lease.expires = this.#time.now() + DECLINE_TIME;
  }

  /** The address that the client has or had, if nobody else needed it since. */
  #addressOf(client: string): Ipv4Address | undefined {
    const lease = this.#find(client);
    return lease && ipv4Address(lease.address);
  }

  #find(client: string): Lease | undefined {
    return this.#state.leases.find((lease) => lease.client === client);
  }

  #isFree(address: Ipv4Address | undefined): address is Ipv4Address {
    if (address === undefined || address < this.#pool.first || address > this.#pool.last) return false;
    const lease = this.#state.leases.find((other) => other.address === address);
    return lease === undefined || lease.expires <= this.#time.now();
  }

  /** One that nobody had yet, or that ran out the longest time ago. */
  #freeAddress(): Ipv4Address | undefined {
    const { leases } = this.#state;
    const known = new Set(leases.map(({ address }) => address));
    for (let address: number = this.#pool.first; address <= this.#pool.last; address++) {
      if (!known.has(address)) return ipv4Address(address);
    }
    const expired = leases.filter(({ expires }) => expires <= this.#time.now());
    if (expired.length === 0) return undefined;
    return ipv4Address(expired.reduce((oldest, lease) => (lease.expires < oldest.expires ? lease : oldest)).address);
  }

  #keep(client: string, address: Ipv4Address, duration: number): void {
    const expires = this.#time.now() + duration;
    const lease = this.#state.leases.find((other) => other.address === address);
    if (lease === undefined) this.#state.leases.push({ client, address, expires });
    else {
      lease.expires = lease.client === client ? Math.max(lease.expires, expires) : expires;
      lease.client = client;
    }
  }
}
