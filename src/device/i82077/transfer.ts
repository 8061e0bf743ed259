/**
 * The commands that move data between a disk and the host: which sectors come when, and how it ends. Sectors are read
 * and written in runs, each up to the end of a track.
 * @spec Intel 82077AA datasheet (290166), §5.1 "Data Transfer Commands", §5.1.8 (result phase), table 5-5 to 5-8
 */
import { SECTOR_SIZE } from "../../bits/units.ts";
import type { AsyncWork } from "../../machine/device.ts";
import type { FloppyDrive } from "./drive.ts";
import type { FloppyMedium, Geometry } from "./medium.ts";
import { InterruptCode, St1, St2 } from "./registers.ts";

export interface TransferState {
  operation: "read" | "write" | "verify" | "format";
  drive: number;
  /** Goes on with head 1 after the last sector of head 0. */
  multiTrack: boolean;
  /** Double density, the only one that disks here have. */
  mfm: boolean;
  /** The command is about sectors with a deleted data mark, which no disk here has. */
  deleted: boolean;
  skip: boolean;
  /** The ID has another head than the one to read with. */
  wrongHead: boolean;
  /** The ID looked for. */
  cylinder: number;
  head: number;
  sector: number;
  sizeCode: number;
  /** EOT: the last sector of a track. */
  last: number;
  /** Sectors to verify; 0 verifies up to `last`. */
  left: number;
  /** What a track is formatted with. */
  filler: number;
  /** The run of sectors that is moved now, or the IDs of a format. */
  buffer: Uint8Array;
  /** Bytes of `buffer` that were moved. */
  moved: number;
  /** Whose turn it is: "data" the guest's to move bytes, "host" the disk image's. */
  step: "data" | "host";
  terminalCount: boolean;
}

export interface TransferResult {
  readonly interruptCode: number;
  readonly st1?: number;
  readonly st2?: number;
}

export interface TransferWiring {
  readonly work: AsyncWork;
  readonly transfer: TransferState;
  readonly drive: FloppyDrive | undefined;
  /** Whether the controller is set up for this disk: motor and data rate. */
  ready(medium: FloppyMedium): boolean;
  /** Whether this transfer is still the one under way. */
  current(): boolean;
  /** It is the guest's turn to move bytes, or no longer. */
  stepped(): void;
  ended(result: TransferResult): void;
  ioError(error: Error): void;
}

/** 128 bytes, doubled so often. */
const SIZE_CODE = 2;
const ID_LENGTH = 4;

const abnormal = (st1: number, st2 = 0): TransferResult => ({ interruptCode: InterruptCode.abnormal, st1, st2 });
const NORMAL: TransferResult = { interruptCode: InterruptCode.normal };
const NO_DISK = abnormal(St1.mask.missingAddressMark);
const NOT_FOUND = abnormal(St1.mask.noData);
const DATA_ERROR = abnormal(St1.mask.dataError, St2.mask.dataErrorInData);

export class Transfer {
  readonly #wiring: TransferWiring;
  readonly #state: TransferState;

  constructor(wiring: TransferWiring) {
    this.#wiring = wiring;
    this.#state = wiring.transfer;
  }

  begin(): void {
    const { drive, ready, ended } = this.#wiring;
    const { operation, mfm } = this.#state;
    const medium = drive?.medium;
    if (!medium || !ready(medium) || !mfm) ended(NO_DISK);
    else if ((operation === "write" || operation === "format") && medium.device.readOnly) {
      ended(abnormal(St1.mask.notWritable));
    } else if (operation === "format") this.#beginFormat(medium);
    else this.#nextRun();
  }

  /** Begins again what the host was at when a snapshot was taken. */
  resume(): void {
    if (this.#state.step === "host") this.#onHost();
  }

  /** Bytes that the guest can move now. */
  get available(): number {
    const { step, buffer, moved } = this.#state;
    return step === "data" ? buffer.length - moved : 0;
  }

  /** Moves up to `bytes.length` bytes; `terminalCount` comes with the last of them. Returns how many it moved. */
  move(bytes: Uint8Array, terminalCount: boolean): number {
    const state = this.#state;
    const count = Math.min(bytes.length, this.available);
    const part = state.buffer.subarray(state.moved, state.moved + count);
    if (state.operation === "read") bytes.set(part);
    else part.set(bytes.subarray(0, count));
    state.moved += count;
    if (terminalCount && count === bytes.length) state.terminalCount = true;
    if (state.terminalCount || (count > 0 && state.moved === state.buffer.length)) this.#runMoved();
    return count;
  }

  /** The guest did not move data in time, or in the wrong direction. */
  overrun(): void {
    this.#wiring.ended(abnormal(St1.mask.overrun));
  }

  #nextRun(): void {
    const state = this.#state;
    const geometry = this.#wiring.drive?.medium?.geometry;
    const problem = this.#problem(geometry);
    if (!geometry || problem) {
      this.#wiring.ended(problem ?? NO_DISK);
      return;
    }
    const end = state.last < state.sector ? geometry.sectors : Math.min(state.last, geometry.sectors);
    let count = end - state.sector + 1;
    if (state.deleted) count = 1;
    if (state.left > 0) count = Math.min(count, state.left);
    state.buffer = new Uint8Array(count * SECTOR_SIZE);
    state.moved = 0;
    if (state.operation === "write") this.#turn("data");
    else this.#onHost();
  }

  /** Why the sector that comes next is not there. */
  #problem(geometry: Geometry | undefined): TransferResult | undefined {
    const { head, cylinder, sizeCode, wrongHead, sector, deleted, skip } = this.#state;
    const at = this.#wiring.drive?.state.cylinder ?? 0;
    // Beyond the last cylinder nothing is recorded.
    if (!geometry || at >= geometry.cylinders || head >= geometry.heads) return NO_DISK;
    if (cylinder !== at) return abnormal(St1.mask.noData, St2.mask.wrongCylinder);
    if (wrongHead || sizeCode !== SIZE_CODE || sector < 1 || sector > geometry.sectors) return NOT_FOUND;
    return deleted && skip ? abnormal(St1.mask.endOfCylinder, St2.mask.controlMark) : undefined;
  }

  #beginFormat({ geometry }: FloppyMedium): void {
    const { cylinder, head } = this.#state;
    if (cylinder >= geometry.cylinders || head >= geometry.heads || this.#state.buffer.length === 0) {
      this.#wiring.ended(NO_DISK);
      return;
    }
    this.#turn("data");
  }

  #turn(step: TransferState["step"]): void {
    this.#state.step = step;
    this.#wiring.stepped();
  }

  /** All of a run was moved, or terminal count came. */
  #runMoved(): void {
    const { operation, moved, buffer } = this.#state;
    if (operation === "read") {
      this.#advance(Math.ceil(moved / SECTOR_SIZE));
    } else {
      // What is missing of a sector is written as zeros.
      if (operation === "write") this.#state.buffer = buffer.subarray(0, Math.ceil(moved / SECTOR_SIZE) * SECTOR_SIZE);
      this.#onHost();
    }
  }

  #onHost(): void {
    const { drive, work, current, ended, ioError } = this.#wiring;
    const state = this.#state;
    const geometry = drive?.medium?.geometry;
    if (!drive || !geometry) {
      ended(NO_DISK);
      return;
    }
    this.#turn("host");
    const track = (state.cylinder * geometry.heads + state.head) * geometry.sectors;
    const { operation, buffer } = state;
    const sector = track + state.sector - 1;
    const operations = {
      read: () => drive.read(sector, buffer),
      verify: () => drive.read(sector, buffer),
      write: () => drive.write(sector, buffer),
      format: () => this.#format(drive, track, geometry.sectors),
    };
    work.run(operations[operation](), (result) => {
      if (!current()) return;
      if (!result.ok) {
        ioError(result.error);
        ended(DATA_ERROR);
      } else if (operation === "read") this.#turn("data");
      else if (operation === "format") ended(this.#formatted(geometry.sectors));
      else this.#advance(buffer.length / SECTOR_SIZE);
    });
  }

  /** A run of `count` sectors is done: goes on with the next one, or ends. */
  #advance(count: number): void {
    const more = this.#moveOn(count);
    const result = this.#outcome(count, more);
    if (result) this.#wiring.ended(result);
    else this.#nextRun();
  }

  /** Goes to the ID that the result phase shows; returns whether the command goes on there. */
  #moveOn(count: number): boolean {
    const state = this.#state;
    state.sector += count;
    if (state.sector !== state.last + 1) return true;
    const heads = this.#wiring.drive?.medium?.geometry.heads ?? 1;
    const more = state.multiTrack && state.head === 0 && heads === 2;
    state.sector = 1;
    if (state.multiTrack) state.head ^= 1;
    if (!state.multiTrack || state.head === 0) state.cylinder = (state.cylinder + 1) & 0xff;
    return more;
  }

  /** How the command ends with this run; undefined where it goes on. */
  #outcome(count: number, more: boolean): TransferResult | undefined {
    const state = this.#state;
    if (state.deleted) return { ...NORMAL, st2: St2.mask.controlMark };
    if (state.terminalCount) return NORMAL;
    if (state.operation === "verify" && state.left > 0) {
      state.left -= count;
      if (state.left === 0) return NORMAL;
    } else if (state.operation === "verify" && !more) return NORMAL;
    return more ? undefined : abnormal(St1.mask.endOfCylinder);
  }

  /** The sectors named by IDs that fit this track: the image has room for no others. */
  #ids(sectors: number): number[] {
    const { buffer, cylinder, head } = this.#state;
    const found: number[] = [];
    for (let at = 0; at + ID_LENGTH <= buffer.length; at += ID_LENGTH) {
      const sector = buffer[at + 2]!;
      const fits = buffer[at] === cylinder && buffer[at + 1] === head && buffer[at + 3] === SIZE_CODE;
      if (fits && sector >= 1 && sector <= sectors) found.push(sector);
    }
    return found;
  }

  async #format(drive: FloppyDrive, track: number, sectors: number): Promise<void> {
    const filler = new Uint8Array(SECTOR_SIZE).fill(this.#state.filler);
    for (const sector of this.#ids(sectors)) await drive.write(track + sector - 1, filler);
  }

  /** A track can only get the sectors that the image has. */
  #formatted(sectors: number): TransferResult {
    const complete = this.#ids(sectors).length === this.#state.buffer.length / ID_LENGTH;
    return complete ? NORMAL : NOT_FOUND;
  }
}
