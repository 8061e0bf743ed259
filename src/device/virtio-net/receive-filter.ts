/**
 * Which frames a virtio network device takes from the network. Source: OASIS virtio 1.2, §5.1.6.5.1 and §5.1.6.5.2.
 *
 * A device that was reset takes all: drivers without VIRTIO_NET_F_CTRL_RX cannot ask for the groups that they joined. A
 * table with more than `MAX_TABLE` addresses is not kept; all addresses of its kind are taken instead.
 */
import { ADDRESS_LENGTH, type RxCommand } from "./layout.ts";

/** Addresses in each of the two tables. */
export const MAX_TABLE = 64;

/** Addresses are numbers of 48 bits, the first byte on top. */
export interface ReceiveFilter {
  promisc: boolean;
  allmulti: boolean;
  alluni: boolean;
  nomulti: boolean;
  nouni: boolean;
  nobcast: boolean;
  /** Further addresses of its own; undefined where there were too many. */
  unicast: number[] | undefined;
  /** Groups; undefined where there were too many. */
  multicast: number[] | undefined;
}
export type RxMode = keyof typeof RxCommand;

const BROADCAST = 0xffff_ffff_ffff;
const GROUP_BIT = 1;

export const initialFilter = (): ReceiveFilter => ({
  promisc: true,
  allmulti: false,
  alluni: false,
  nomulti: false,
  nouni: false,
  nobcast: false,
  unicast: [],
  multicast: [],
});

/** The address at byte `at`. */
export function addressAt(bytes: Uint8Array, at = 0): number {
  let address = 0;
  for (let i = 0; i < ADDRESS_LENGTH; i++) address = address * 256 + bytes[at + i]!;
  return address;
}

/** Whether a device with the address `own` takes `frame`, which has at least a header. */
export function isWanted(filter: ReceiveFilter, own: Uint8Array, frame: Uint8Array): boolean {
  if (filter.promisc) return true;
  const destination = addressAt(frame);
  if (destination === BROADCAST) return !filter.nobcast;
  if ((frame[0]! & GROUP_BIT) !== 0) {
    return !filter.nomulti && (filter.allmulti || (filter.multicast?.includes(destination) ?? true));
  }
  if (filter.nouni) return false;
  return filter.alluni || destination === addressAt(own) || (filter.unicast?.includes(destination) ?? true);
}
