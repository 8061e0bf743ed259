/**
 * A disk, as a SCSI logical unit.
 *
 * @spec SBC-3; SPC-4 for INQUIRY, mode parameters and REPORT LUNS
 *
 * Not modelled: protection information, blocks other than 512 bytes, formatting, defect lists, reservations (they
 * succeed: there is one initiator), comparing (VERIFY with BYTCHK), COMPARE AND WRITE, log pages, reports of supported
 * commands, power conditions (START STOP UNIT does nothing). An UNMAP may leave blocks as they were.
 */
import { byteOffset } from "../../bits/units.ts";
import type { BlockDevice } from "../../disk/block-device.ts";
import { BlockError } from "../../disk/block-device.ts";
import type { Device } from "../../machine/device.ts";
import { extentOf } from "./disk-extent.ts";
import { standardInquiry, vitalPage } from "./disk-inquiry.ts";
import {
  BLOCK,
  Capacity10,
  Capacity16,
  MOST_UNMAP,
  MOST_UNMAP_RANGES,
  MOST_WRITE_SAME,
  PROVISIONING_MANAGED,
  READ_CAPACITY_16,
  Sbc,
  UnmapHeader,
  UnmapRange,
} from "./disk-layout.ts";
import { modeSelect, modeSense } from "./disk-mode.ts";
import { MAX_CDB_LENGTH, type ScsiEnd, type ScsiTask, type ScsiUnit } from "./scsi-unit.ts";
import { fixedSense, ScsiStatus, SENSE, type Sense, SenseKey } from "./sense.ts";

export interface ScsiDiskState {
  /** Sense codes of unit attentions that wait to be told. */
  attentions: number[];
  /** Writes are stable after the next SYNCHRONIZE CACHE only. */
  writeCache: boolean;
}

export interface ScsiDiskConfig {
  readonly disk: BlockDevice;
  /** ASCII. */
  readonly serial: string;
}

const READS: ReadonlySet<number> = new Set([Sbc.read6, Sbc.read10, Sbc.read12, Sbc.read16]);
const WRITES: ReadonlySet<number> = new Set([
  Sbc.write6,
  Sbc.write10,
  Sbc.write12,
  Sbc.write16,
  Sbc.writeAndVerify10,
  Sbc.writeAndVerify12,
  Sbc.writeAndVerify16,
]);
const VERIFIES: ReadonlySet<number> = new Set([Sbc.verify10, Sbc.verify12, Sbc.verify16]);
const NOTHING_TO_DO: ReadonlySet<number> = new Set([
  Sbc.testUnitReady,
  Sbc.startStopUnit,
  Sbc.preventAllowMediumRemoval,
  Sbc.seek10,
  Sbc.reserve6,
  Sbc.release6,
]);
/** Commands that a pending unit attention does not stop. */
const WITHOUT_ATTENTION: ReadonlySet<number> = new Set([Sbc.inquiry, Sbc.requestSense, Sbc.reportLuns]);

const GOOD: ScsiEnd = { status: ScsiStatus.good };
const NO_DATA_OUT = 0x01;
const FORCE_UNIT_ACCESS = 0x08;
const BYTE_CHECK = 0x06;
/** Bytes of a pattern that are written at once. */
const PATTERN = 1024 * 1024;
const LONGEST_LIST = UnmapHeader.size + MOST_UNMAP_RANGES * UnmapRange.size;

interface Range {
  readonly start: number;
  readonly length: number;
}

const check = (sense: Sense): ScsiEnd => ({ status: ScsiStatus.checkCondition, sense });
const refuse = (cdb: Uint8Array, sense: Sense): ScsiTask => ({ kind: "none", cdb, end: check(sense) });
const done = (cdb: Uint8Array): ScsiTask => ({ kind: "none", cdb, end: GOOD });
const answer = (cdb: Uint8Array, data: Uint8Array, allocation: number): ScsiTask => ({
  kind: "data",
  cdb,
  data: data.slice(0, allocation),
});

export class ScsiDisk implements ScsiUnit, Device<ScsiDiskState> {
  readonly state: ScsiDiskState = { attentions: [], writeCache: true };
  readonly #disk: BlockDevice;
  readonly #serial: string;

  constructor({ disk, serial }: ScsiDiskConfig) {
    this.#disk = disk;
    this.#serial = serial;
    this.reset();
  }

  reset(): void {
    this.state.attentions = [SENSE.powerOnOrReset.code];
    this.state.writeCache = true;
  }

  begin(command: Uint8Array): ScsiTask {
    const cdb = new Uint8Array(Math.max(16, Math.min(command.length, MAX_CDB_LENGTH)));
    cdb.set(command.subarray(0, cdb.length));
    const code = cdb[0]!;
    const attention = WITHOUT_ATTENTION.has(code) ? undefined : this.state.attentions.shift();
    if (attention !== undefined) return refuse(cdb, { key: SenseKey.unitAttention, code: attention });
    if (READS.has(code) || WRITES.has(code) || VERIFIES.has(code)) return this.#onBlocks(code, cdb);
    return NOTHING_TO_DO.has(code) ? done(cdb) : this.#start(code, cdb);
  }

  async read(task: ScsiTask, at: number, target: Uint8Array): Promise<void> {
    await this.#disk.read(byteOffset(extentOf(task.cdb).lba * BLOCK + at), target);
  }

  readNow(task: ScsiTask, at: number, target: Uint8Array): boolean {
    return this.#disk.readNow?.(byteOffset(extentOf(task.cdb).lba * BLOCK + at), [target]) ?? false;
  }

  async write(task: ScsiTask, at: number, source: Uint8Array): Promise<void> {
    await this.#disk.write(byteOffset(extentOf(task.cdb).lba * BLOCK + at), source);
  }

  writeNow(task: ScsiTask, at: number, source: Uint8Array): boolean {
    return this.#disk.writeNow?.(byteOffset(extentOf(task.cdb).lba * BLOCK + at), [source]) ?? false;
  }

  async finish(task: ScsiTask, parameters: Uint8Array): Promise<void> {
    const code = task.cdb[0];
    if (code === Sbc.unmap) {
      const ranges = this.#unmapRanges(parameters);
      if (Array.isArray(ranges)) {
        for (const { start, length } of ranges) await this.#disk.discard(byteOffset(start), length);
      }
    } else if (code === Sbc.writeSame10 || code === Sbc.writeSame16) {
      if (task.kind === "none" || parameters.length === BLOCK) await this.#writeSame(task.cdb, parameters);
    } else {
      await this.#disk.flush();
    }
  }

  complete(task: ScsiTask, parameters: Uint8Array): ScsiEnd {
    if (task.kind !== "parameters") return task.kind === "none" ? (task.end ?? GOOD) : GOOD;
    const code = task.cdb[0];
    if (parameters.length < task.length) return check(SENSE.parameterListLengthError);
    if (code === Sbc.unmap) {
      const ranges = this.#unmapRanges(parameters);
      return Array.isArray(ranges) ? GOOD : check(ranges);
    }
    if (code === Sbc.writeSame10 || code === Sbc.writeSame16) return GOOD;
    const writeCache = modeSelect(code === Sbc.modeSelect10, parameters, this.state.writeCache);
    if (writeCache === undefined) return check(SENSE.invalidFieldInParameterList);
    this.state.writeCache = writeCache;
    return GOOD;
  }

  fail(task: ScsiTask, error: Error, at: number): ScsiEnd {
    if (error instanceof BlockError && error.kind === "no-space") return check(SENSE.spaceAllocationFailed);
    if (task.kind === "read") {
      const information = extentOf(task.cdb).lba + Math.floor(at / BLOCK);
      return check({ ...SENSE.unrecoveredReadError, information: information >>> 0 });
    }
    return check(task.kind === "none" ? SENSE.internalTargetFailure : SENSE.writeError);
  }

  abort(): ScsiEnd {
    return check({ key: SenseKey.abortedCommand, code: 0 });
  }

  get #blocks(): number {
    return Math.floor(this.#disk.size / BLOCK);
  }

  #onBlocks(code: number, cdb: Uint8Array): ScsiTask {
    const { lba, count } = extentOf(cdb);
    if (lba + count > this.#blocks) return refuse(cdb, SENSE.blockOutOfRange);
    if (VERIFIES.has(code)) return cdb[1]! & BYTE_CHECK ? refuse(cdb, SENSE.invalidFieldInCdb) : done(cdb);
    if (READS.has(code)) return { kind: "read", cdb, length: count * BLOCK };
    if (this.#disk.readOnly) return refuse(cdb, SENSE.writeProtected);
    const stable = !this.state.writeCache || (code !== Sbc.write6 && (cdb[1]! & FORCE_UNIT_ACCESS) !== 0);
    return { kind: "write", cdb, length: count * BLOCK, finishes: stable };
  }

  #start(code: number, cdb: Uint8Array): ScsiTask {
    const view = new DataView(cdb.buffer);
    switch (code) {
      case Sbc.inquiry:
        return this.#inquiry(cdb, view.getUint16(3));
      case Sbc.requestSense:
        // Sense data go with the status of the command that they are about.
        return answer(cdb, fixedSense(SENSE.none), cdb[4]!);
      case Sbc.reportLuns:
        return answer(cdb, Uint8Array.of(0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), view.getUint32(6));
      case Sbc.readCapacity10: {
        const last = Math.min(this.#blocks - 1, 0xffff_ffff);
        return answer(cdb, Capacity10.make({ last, blockLength: BLOCK }), Capacity10.size);
      }
      case Sbc.serviceActionIn16:
        if ((cdb[1]! & 0x1f) !== READ_CAPACITY_16) return refuse(cdb, SENSE.invalidFieldInCdb);
        return answer(cdb, this.#capacity16(), view.getUint32(10));
      case Sbc.modeSense6:
      case Sbc.modeSense10:
        return this.#modeSense(cdb, code === Sbc.modeSense10);
      case Sbc.modeSelect6:
        return this.#modeSelect(cdb, cdb[4]!);
      case Sbc.modeSelect10:
        return this.#modeSelect(cdb, view.getUint16(7));
      case Sbc.synchronizeCache10:
      case Sbc.synchronizeCache16:
        return { kind: "none", cdb, finishes: true };
      case Sbc.writeSame10:
      case Sbc.writeSame16:
        return this.#beginWriteSame(cdb, code === Sbc.writeSame16 && (cdb[1]! & NO_DATA_OUT) !== 0);
      case Sbc.unmap: {
        const length = view.getUint16(7);
        if (this.#disk.readOnly) return refuse(cdb, SENSE.writeProtected);
        if (length === 0) return done(cdb);
        if (length < UnmapHeader.size || length > LONGEST_LIST) return refuse(cdb, SENSE.parameterListLengthError);
        return { kind: "parameters", cdb, length, finishes: true };
      }
      default:
        return refuse(cdb, SENSE.invalidOperationCode);
    }
  }

  #inquiry(cdb: Uint8Array, allocation: number): ScsiTask {
    const vital = (cdb[1]! & 1) !== 0;
    if (!vital && cdb[2] !== 0) return refuse(cdb, SENSE.invalidFieldInCdb);
    const identity = { serial: this.#serial, readOnly: this.#disk.readOnly };
    const data = vital ? vitalPage(cdb[2]!, identity) : standardInquiry();
    return data ? answer(cdb, data, allocation) : refuse(cdb, SENSE.invalidFieldInCdb);
  }

  #capacity16(): Uint8Array {
    return Capacity16.make({
      last: BigInt(this.#blocks - 1),
      blockLength: BLOCK,
      provisioning: this.#disk.readOnly ? 0 : PROVISIONING_MANAGED,
    });
  }

  #modeSense(cdb: Uint8Array, long: boolean): ScsiTask {
    const control = cdb[2]! >>> 6;
    if (control === 3) return refuse(cdb, SENSE.savingParametersNotSupported);
    const allocation = long ? (cdb[7]! << 8) | cdb[8]! : cdb[4]!;
    const { writeCache } = this.state;
    const data = modeSense(long, cdb[2]! & 0x3f, control, { writeCache, readOnly: this.#disk.readOnly });
    return data ? answer(cdb, data, allocation) : refuse(cdb, SENSE.invalidFieldInCdb);
  }

  #modeSelect(cdb: Uint8Array, length: number): ScsiTask {
    // Pages cannot be saved.
    if ((cdb[1]! & 0x01) !== 0) return refuse(cdb, SENSE.invalidFieldInCdb);
    return length === 0 ? done(cdb) : { kind: "parameters", cdb, length };
  }

  #beginWriteSame(cdb: Uint8Array, noData: boolean): ScsiTask {
    const { lba, count } = extentOf(cdb);
    if (this.#disk.readOnly) return refuse(cdb, SENSE.writeProtected);
    if (lba + count > this.#blocks) return refuse(cdb, SENSE.blockOutOfRange);
    if (count === 0 || count > MOST_WRITE_SAME) return refuse(cdb, SENSE.invalidFieldInCdb);
    if (noData) return { kind: "none", cdb, finishes: true };
    return { kind: "parameters", cdb, length: BLOCK, finishes: true };
  }

  /** Unmapped blocks would have to read as the pattern: zeros are what the image can do without storing. */
  async #writeSame(cdb: Uint8Array, block: Uint8Array): Promise<void> {
    const { lba, count } = extentOf(cdb);
    const start = lba * BLOCK;
    const length = count * BLOCK;
    if (block.every((byte) => byte === 0)) {
      await this.#disk.writeZeroes(byteOffset(start), length);
    } else {
      const pattern = new Uint8Array(Math.min(length, PATTERN));
      for (let at = 0; at < pattern.length; at += BLOCK) pattern.set(block, at);
      for (let at = 0; at < length; at += pattern.length) {
        await this.#disk.write(byteOffset(start + at), pattern.subarray(0, length - at));
      }
    }
    if (!this.state.writeCache) await this.#disk.flush();
  }

  /** What UNMAP's list names, in bytes; or what is wrong with it. */
  #unmapRanges(list: Uint8Array): Range[] | Sense {
    if (list.length < UnmapHeader.size) return SENSE.parameterListLengthError;
    const { descriptors } = UnmapHeader.at(list);
    const ranges: Range[] = [];
    let total = 0;
    const end = Math.min(UnmapHeader.size + descriptors, list.length);
    for (let at = UnmapHeader.size; at + UnmapRange.size <= end; at += UnmapRange.size) {
      const { lba, count } = UnmapRange.at(list, at);
      if (Number(lba) + count > this.#blocks) return SENSE.blockOutOfRange;
      total += count;
      if (count > 0) ranges.push({ start: Number(lba) * BLOCK, length: count * BLOCK });
    }
    return total > MOST_UNMAP ? SENSE.invalidFieldInParameterList : ranges;
  }
}
