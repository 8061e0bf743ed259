/**
 * The bus master of one IDE channel: walks physical region descriptors and moves the drive's data to and from memory.
 * @spec Programming Interface for Bus Master IDE Controller 1.0; Intel 82371SB (PIIX3) datasheet (290550) §2.7
 */
import { bits } from "../../bits/fields.ts";
import { struct, u16, u32 } from "../../bits/struct.ts";
import { guestPhysical } from "../../bits/units.ts";
import type { GuestMemory } from "../../machine/device.ts";
import type { ChannelBusMaster, MoveResult } from "./channel-state.ts";

export const BusMasterCommand = bits({ start: 0, toMemory: 3 });
export const BusMasterStatus = bits({ active: 0, error: 1, interrupt: 2, drive0: 5, drive1: 6, simplex: 7 });

/** A physical region descriptor. */
const Prd = struct("LE", { address: u32, count: u16, flags: u16 });
const END_OF_TABLE = 0x8000;
/** A table is no longer than this, and does not cross a multiple of it. */
const TABLE_LIMIT = 65536;
const WHOLE_REGION = 65536;

export interface BusMasterState {
  command: number;
  status: number;
  table: number;
  /** Byte of the table where the next descriptor is. */
  next: number;
  /** What is left of the region at hand. */
  address: number;
  left: number;
  /** The last descriptor was read. */
  last: boolean;
}

export interface BusMasterWiring {
  readonly memory: GuestMemory;
  /** Whether the PCI function may reach memory. */
  allowed(): boolean;
  started(): void;
}

export class BusMaster implements ChannelBusMaster {
  readonly state: BusMasterState = { command: 0, status: 0, table: 0, next: 0, address: 0, left: 0, last: false };
  readonly #wiring: BusMasterWiring;

  constructor(wiring: BusMasterWiring) {
    this.#wiring = wiring;
  }

  reset(): void {
    Object.assign(this.state, { command: 0, status: 0, table: 0, next: 0, address: 0, left: 0, last: false });
  }

  writeCommand(value: number): void {
    const { start } = BusMasterCommand(value);
    const before = BusMasterCommand(this.state.command).start;
    // The direction is not to change during a transfer.
    const writable = before
      ? BusMasterCommand.mask.start
      : BusMasterCommand.mask.start | BusMasterCommand.mask.toMemory;
    this.state.command = (this.state.command & ~writable) | (value & writable);
    if (!start) {
      this.state.status &= ~BusMasterStatus.mask.active;
    } else if (!before) {
      this.state.status |= BusMasterStatus.mask.active;
      Object.assign(this.state, { next: 0, address: 0, left: 0, last: false });
      this.#wiring.started();
    }
  }

  /** Error and interrupt are cleared by writing ones; what drives can do is stored. */
  writeStatus(value: number): void {
    const { error, interrupt, drive0, drive1 } = BusMasterStatus.mask;
    this.state.status =
      (this.state.status & ~(value & (error | interrupt)) & ~(drive0 | drive1)) | (value & (drive0 | drive1));
  }

  /** INTRQ rose. */
  interrupted(): void {
    this.state.status |= BusMasterStatus.mask.interrupt;
  }

  ready(toMemory: boolean): boolean {
    const command = BusMasterCommand(this.state.command);
    return command.start && BusMasterStatus(this.state.status).active && command.toMemory === toMemory;
  }

  put(bytes: Uint8Array): MoveResult {
    return this.#move(bytes.length, "write", (view, at) => view.set(bytes.subarray(at, at + view.length)));
  }

  take(target: Uint8Array): MoveResult {
    return this.#move(target.length, "read", (view, at) => target.set(view, at));
  }

  /** A transfer that took all that the descriptors name is over; otherwise the bus master stays active. */
  ended(): void {
    if (this.state.left === 0 && this.state.last) this.state.status &= ~BusMasterStatus.mask.active;
  }

  #move(length: number, access: "read" | "write", copy: (view: Uint8Array, at: number) => void): MoveResult {
    let at = 0;
    while (at < length) {
      if (this.state.left === 0) {
        const fetched = this.#fetch();
        if (fetched !== "done") return this.#stop(fetched);
      }
      const { address, left } = this.state;
      const piece = Math.min(left, length - at);
      const view = this.#wiring.allowed() ? this.#wiring.memory.view(guestPhysical(address), piece, access) : undefined;
      if (view === undefined) return this.#stop("error");
      copy(view, at);
      at += piece;
      this.state.address = address + piece;
      this.state.left = left - piece;
    }
    return "done";
  }

  #fetch(): MoveResult {
    const { table, next, last } = this.state;
    if (last) return "short";
    if (next + Prd.size > TABLE_LIMIT || !this.#wiring.allowed()) return "error";
    const view = this.#wiring.memory.view(guestPhysical(table + next), Prd.size, "read");
    if (view === undefined) return "error";
    const { address, count, flags } = Prd.at(view);
    this.state.next = next + Prd.size;
    this.state.address = (address & ~1) >>> 0;
    this.state.left = count & ~1 || WHOLE_REGION;
    this.state.last = (flags & END_OF_TABLE) !== 0;
    return "done";
  }

  #stop(result: MoveResult): MoveResult {
    this.state.status &= ~BusMasterStatus.mask.active;
    if (result === "error") this.state.status |= BusMasterStatus.mask.error;
    return result;
  }
}
