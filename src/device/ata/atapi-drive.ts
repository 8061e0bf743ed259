/**
 * An ATAPI drive: brings the command packets of PACKET to a SCSI logical unit, such as a CD drive.
 * @spec ATA/ATAPI-7 volume 1 §6.24 "PACKET", §6.18 "IDENTIFY PACKET DEVICE"; INF-8020 for the older commands
 *
 * Not modelled: overlapped commands, media status notification.
 */
import type { Device } from "../../machine/device.ts";
import type { ScsiEnd, ScsiTask, ScsiUnit } from "../scsi/scsi-unit.ts";
import { ScsiStatus, SenseKey } from "../scsi/sense.ts";
import { type AtaDrive, type AtaEnd, type AtaTask, MAX_GATHERED, type TaskFile } from "./ata-drive.ts";
import { DEFAULT_TRANSFER_MODE, identifyPacketDevice, isTransferMode } from "./identify.ts";
import { Command, ErrorBit, READY, Reason, SetFeature, SIGNATURE, Status } from "./registers.ts";

export interface AtapiDriveState {
  transferMode: number;
}

export interface AtapiDriveConfig {
  readonly interface: "pata" | "sata";
  readonly serial: string;
  readonly model?: string;
}

const MODEL = "BUNKHOUSE DVD-ROM";
export const PACKET_LENGTH = 12;
const SECTOR = 512;
/** What PACKET has in the features register. */
const Features = { dma: 1 } as const;
const ACTIVE = 0xff;

export class AtapiDrive implements AtaDrive, Device<AtapiDriveState> {
  readonly kind = "packet";
  readonly state: AtapiDriveState = { transferMode: DEFAULT_TRANSFER_MODE };
  readonly #config: AtapiDriveConfig;
  readonly #unit: ScsiUnit;

  constructor(config: AtapiDriveConfig, { unit }: { unit: ScsiUnit }) {
    this.#config = config;
    this.#unit = unit;
  }

  reset(): void {
    this.state.transferMode = DEFAULT_TRANSFER_MODE;
  }

  busReset(): void {}

  begin(taskFile: TaskFile): AtaTask {
    const task = { taskFile: { ...taskFile }, length: 0, block: SECTOR };
    const none = (end: AtaEnd): AtaTask => ({ ...task, protocol: "none", end });
    switch (taskFile.command) {
      case Command.packet:
        return { ...task, protocol: "packet", length: PACKET_LENGTH };
      case Command.identifyPacketDevice: {
        const { serial, model = MODEL, interface: connection } = this.#config;
        const data = identifyPacketDevice({ serial, model, interface: connection, ...this.state });
        return { ...task, protocol: "pioIn", length: data.length, data };
      }
      case Command.identifyDevice:
      case Command.readSectors:
        // A drive that is no disk says so with its signature.
        return none({ ...ABORTED, ...SIGNATURE.packet });
      case Command.setFeatures: {
        const isMode = (taskFile.features & 0xff) === SetFeature.transferMode && isTransferMode(taskFile.count & 0xff);
        const isRevert = [SetFeature.enableRevert, SetFeature.disableRevert].some((code) => code === taskFile.features);
        if (isMode) this.state.transferMode = taskFile.count & 0xff;
        return none(isMode || isRevert ? DONE : ABORTED);
      }
      case Command.checkPowerMode:
        return none({ ...DONE, count: ACTIVE });
      case Command.standbyImmediate:
      case Command.idleImmediate:
      case Command.standby:
      case Command.idle:
      case Command.sleep:
      case Command.flushCache:
        return none(DONE);
      default:
        return none(ABORTED);
    }
  }

  packet(task: AtaTask, cdb: Uint8Array): AtaTask {
    const scsi = this.#unit.begin(cdb);
    const { taskFile } = task;
    const dma = (taskFile.features & Features.dma) !== 0;
    const block = byteCount(taskFile.lba);
    switch (scsi.kind) {
      case "none":
        return { ...task, protocol: "none", length: 0, scsi, finishes: scsi.finishes ?? false };
      case "data":
        return { ...task, protocol: dma ? "dmaIn" : "pioIn", length: scsi.data.length, block, scsi, data: scsi.data };
      case "read":
        return { ...task, protocol: dma ? "dmaIn" : "pioIn", length: scsi.length, block, scsi };
      case "write":
        return { ...this.#out(task, scsi, scsi.length, dma), block };
      case "parameters":
        return { ...this.#out(task, scsi, Math.min(scsi.length, MAX_GATHERED), dma), block, gathers: true };
    }
  }

  #out(task: AtaTask, scsi: ScsiTask & { finishes?: boolean }, length: number, dma: boolean): AtaTask {
    return { ...task, protocol: dma ? "dmaOut" : "pioOut", length, scsi, finishes: scsi.finishes ?? false };
  }

  async read(task: AtaTask, at: number, target: Uint8Array): Promise<void> {
    if (task.scsi !== undefined) await this.#unit.read(task.scsi, at, target);
  }

  readNow(task: AtaTask, at: number, target: Uint8Array): boolean {
    return task.scsi !== undefined && (this.#unit.readNow?.(task.scsi, at, target) ?? false);
  }

  async write(task: AtaTask, at: number, source: Uint8Array): Promise<void> {
    if (task.scsi !== undefined) await this.#unit.write(task.scsi, at, source);
  }

  writeNow(): boolean {
    return false;
  }

  async finish(task: AtaTask, data: Uint8Array): Promise<void> {
    if (task.scsi !== undefined) await this.#unit.finish(task.scsi, data);
  }

  complete(task: AtaTask, data: Uint8Array): AtaEnd {
    const { scsi } = task;
    if (scsi === undefined) return task.end ?? DONE;
    return endOf(scsi.kind === "none" && scsi.end ? scsi.end : this.#unit.complete(scsi, data));
  }

  fail(task: AtaTask, error: Error, at: number): AtaEnd {
    return task.scsi === undefined ? ABORTED : endOf(this.#unit.fail(task.scsi, error, at));
  }

  abort(task: AtaTask): AtaEnd {
    return task.scsi === undefined ? ABORTED : endOf(this.#unit.abort(task.scsi));
  }
}

const DONE: AtaEnd = { status: READY, error: 0 };
const ABORTED: AtaEnd = { status: READY | Status.mask.err, error: ErrorBit.abrt };

/** Bytes that one interrupt of PIO moves: an even number from the byte count registers. */
function byteCount(lba: number): number {
  const limit = (lba >>> 8) & 0xfffe;
  return limit === 0 ? 0xfffe : limit;
}

/** The registers of a packet command that ended: the error register has the sense key. */
function endOf({ status, sense }: ScsiEnd): AtaEnd {
  const count = Reason.command | Reason.toHost;
  if (status === ScsiStatus.good) return { ...DONE, count };
  const key = sense?.key ?? SenseKey.hardwareError;
  const aborted = key === SenseKey.illegalRequest || key === SenseKey.abortedCommand ? ErrorBit.abrt : 0;
  return { status: READY | Status.mask.err, error: (key << 4) | aborted, count };
}
