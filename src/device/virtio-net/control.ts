/** Commands of a virtio network device's control queue. Source: OASIS virtio 1.2, §5.1.6.5. */
import type { DescriptorChain } from "../virtio/descriptor-chain.ts";
import { ADDRESS_LENGTH, ControlClass, ControlHeader, MacCommand, NetFeature, RxCommand } from "./layout.ts";
import { addressAt, MAX_TABLE, type ReceiveFilter, type RxMode } from "./receive-filter.ts";

/** What commands change. */
export interface Controlled {
  /** The device's own address. */
  address: Uint8Array;
  filter: ReceiveFilter;
}

/** Bytes of a table's count of entries. */
const COUNT_LENGTH = 4;
const RX_MODES = new Map(Object.entries(RxCommand).map(([mode, command]) => [command as number, mode as RxMode]));

/**
 * Does the command in the device-readable part of `chain`. Returns whether it was done; a command that was not changes
 * nothing. What a driver did not negotiate is not there for it.
 */
export function control(chain: DescriptorChain, controlled: Controlled, negotiated: (bit: number) => boolean): boolean {
  const header = read(chain, 0, ControlHeader.size);
  if (header === undefined) return false;
  const { class: commandClass, command } = ControlHeader.at(header);
  if (commandClass === ControlClass.rx) {
    const isExtra = command !== RxCommand.promisc && command !== RxCommand.allmulti;
    if (!negotiated(isExtra ? NetFeature.ctrlRxExtra : NetFeature.ctrlRx)) return false;
    return setMode(chain, command, controlled.filter);
  }
  if (commandClass !== ControlClass.mac) return false;
  if (command === MacCommand.tableSet) return negotiated(NetFeature.ctrlRx) && setTables(chain, controlled.filter);
  if (command === MacCommand.addrSet) return negotiated(NetFeature.ctrlMacAddr) && setAddress(chain, controlled);
  return false;
}

function setMode(chain: DescriptorChain, command: number, filter: ReceiveFilter): boolean {
  const mode = RX_MODES.get(command);
  const data = read(chain, ControlHeader.size, 1);
  if (mode === undefined || data === undefined) return false;
  filter[mode] = data[0] !== 0;
  return true;
}

/** Two tables, one after the other: addresses of its own, and groups. */
function setTables(chain: DescriptorChain, filter: ReceiveFilter): boolean {
  const unicast = tableAt(chain, ControlHeader.size);
  const multicast = unicast && tableAt(chain, unicast.end);
  if (multicast === undefined) return false;
  filter.unicast = unicast?.addresses;
  filter.multicast = multicast.addresses;
  return true;
}

function setAddress(chain: DescriptorChain, controlled: Controlled): boolean {
  const address = read(chain, ControlHeader.size, ADDRESS_LENGTH);
  if (address === undefined) return false;
  controlled.address = address;
  return true;
}

/** The table at byte `at`, without its addresses if they are more than `MAX_TABLE`. */
function tableAt(chain: DescriptorChain, at: number): { addresses: number[] | undefined; end: number } | undefined {
  const count = read(chain, at, COUNT_LENGTH);
  if (count === undefined) return undefined;
  const entries = new DataView(count.buffer).getUint32(0, true);
  const start = at + COUNT_LENGTH;
  const end = start + entries * ADDRESS_LENGTH;
  if (end > chain.readableLength) return undefined;
  if (entries > MAX_TABLE) return { addresses: undefined, end };
  const table = read(chain, start, end - start);
  return table && { addresses: Array.from({ length: entries }, (_, i) => addressAt(table, i * ADDRESS_LENGTH)), end };
}

function read(chain: DescriptorChain, at: number, length: number): Uint8Array<ArrayBuffer> | undefined {
  const bytes = new Uint8Array(length);
  return chain.read(at, bytes) === length ? bytes : undefined;
}
