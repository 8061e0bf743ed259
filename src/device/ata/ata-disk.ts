/**
 * An ATA disk: PIO, DMA and queued transfers with CHS, 28-bit and 48-bit addresses, TRIM, write cache, power modes.
 *
 * @spec ATA/ATAPI-7 volume 1; ACS-3 for queued commands, logs and DATA SET MANAGEMENT
 *
 * Not modelled: SMART, host protected area, device configuration overlay, streaming, microcode; their commands are
 * aborted, and IDENTIFY DEVICE does not announce them. Security is frozen from the start, so that its commands are
 * aborted too. Standby timers are stored by nobody: the disk never spins down of itself. A disk that the host opened
 * for reading only aborts writes.
 */
import { byteOffset, SECTOR_SIZE } from "../../bits/units.ts";
import { type BlockDevice, BlockError } from "../../disk/block-device.ts";
import type { Device } from "../../machine/device.ts";
import type { AtaDrive, AtaEnd, AtaTask, TaskFile } from "./ata-drive.ts";
import { DATA_COMMANDS, type DataCommand, isWrite } from "./disk-commands.ts";
import { DEFAULT_TRANSFER_MODE, identifyDisk, isTransferMode, MAX_MULTIPLE, MAX_TRIM_BLOCKS } from "./identify.ts";
import { LOG_PAGE, type QueuedError, readLog } from "./log-pages.ts";
import { Command, Device as DeviceBit, ErrorBit, READY, SetFeature, Status } from "./registers.ts";
import { trimRanges } from "./trim-ranges.ts";

export interface AtaDiskState {
  /** Sectors of a block of READ and WRITE MULTIPLE; 0 for disabled. */
  multiple: number;
  /** The translation that INITIALIZE DEVICE PARAMETERS chose. */
  heads: number;
  sectors: number;
  writeCache: boolean;
  readAhead: boolean;
  transferMode: number;
  /** As CHECK POWER MODE has it: 00h standby, 80h idle, FFh active. */
  powerMode: number;
  /** The queued command that failed, for log page 10h. */
  queuedError: QueuedError | undefined;
}

export interface AtaDiskConfig {
  readonly interface: "pata" | "sata";
  /** Up to 20 ASCII characters. */
  readonly serial: string;
  /** Up to 40 ASCII characters. */
  readonly model?: string;
}

const MODEL = "BUNKHOUSE DISK";
const PowerMode = { standby: 0x00, idle: 0x80, active: 0xff } as const;
const HEADS = 16;
const SECTORS_PER_TRACK = 63;
const MAX_CYLINDERS = 16383;
const LBA24 = 2 ** 24;
const DONE: AtaEnd = { status: READY, error: 0 };

export class AtaDisk implements AtaDrive, Device<AtaDiskState> {
  readonly kind = "disk";
  readonly state: AtaDiskState = {
    multiple: MAX_MULTIPLE,
    heads: HEADS,
    sectors: SECTORS_PER_TRACK,
    writeCache: true,
    readAhead: true,
    transferMode: DEFAULT_TRANSFER_MODE,
    powerMode: PowerMode.active,
    queuedError: undefined,
  };
  readonly #config: AtaDiskConfig;
  readonly #disk: BlockDevice;
  /** Sectors of the disk. */
  readonly #capacity: number;

  constructor(config: AtaDiskConfig, { disk }: { disk: BlockDevice }) {
    this.#config = config;
    this.#disk = disk;
    this.#capacity = Math.floor(disk.size / SECTOR_SIZE);
  }

  reset(): void {
    Object.assign(this.state, {
      heads: HEADS,
      sectors: SECTORS_PER_TRACK,
      writeCache: true,
      readAhead: true,
      transferMode: DEFAULT_TRANSFER_MODE,
    });
    this.busReset();
  }

  busReset(): void {
    this.state.multiple = MAX_MULTIPLE;
    this.state.powerMode = PowerMode.active;
    this.state.queuedError = undefined;
  }

  begin(taskFile: TaskFile): AtaTask {
    const task = { taskFile: { ...taskFile }, length: 0, block: SECTOR_SIZE };
    const transfer = DATA_COMMANDS.get(taskFile.command);
    if (transfer !== undefined) return this.#transfer(taskFile, transfer);
    const none = (end: AtaEnd): AtaTask => ({ ...task, protocol: "none", end });
    switch (taskFile.command) {
      case Command.identifyDevice: {
        const data = this.#identify();
        return { ...task, protocol: "pioIn", length: data.length, data };
      }
      case Command.flushCache:
      case Command.flushCacheExt:
        return { ...task, protocol: "none", finishes: true };
      case Command.dataSetManagement:
        return this.#dataSetManagement(taskFile);
      case Command.readLogExt:
      case Command.readLogDmaExt:
        return this.#readLog(taskFile);
      case Command.setFeatures:
        return none(this.#setFeatures(taskFile) ? DONE : ABORTED);
      case Command.setMultipleMode: {
        const count = taskFile.count & 0xff;
        if (count > MAX_MULTIPLE || (count & (count - 1)) !== 0) return none(ABORTED);
        this.state.multiple = count;
        return none(DONE);
      }
      case Command.initializeParameters: {
        const sectors = taskFile.count & 0xff;
        if (sectors === 0) return none(ABORTED);
        this.state.sectors = sectors;
        this.state.heads = (taskFile.device & DeviceBit.head) + 1;
        return none(DONE);
      }
      case Command.seek:
        return none(this.#address(taskFile, false) === undefined ? NOT_FOUND : DONE);
      case Command.securityFreezeLock:
        return none(DONE);
      default:
        return none(this.#power(taskFile.command));
    }
  }

  packet(task: AtaTask): AtaTask {
    return { ...task, protocol: "none", end: ABORTED };
  }

  read(task: AtaTask, at: number, target: Uint8Array): Promise<void> {
    return this.#disk.read(byteOffset((task.offset ?? 0) + at), target);
  }

  readNow(task: AtaTask, at: number, target: Uint8Array): boolean {
    return this.#disk.readNow?.(byteOffset((task.offset ?? 0) + at), [target]) ?? false;
  }

  write(task: AtaTask, at: number, source: Uint8Array): Promise<void> {
    return this.#disk.write(byteOffset((task.offset ?? 0) + at), source);
  }

  writeNow(task: AtaTask, at: number, source: Uint8Array): boolean {
    return this.#disk.writeNow?.(byteOffset((task.offset ?? 0) + at), [source]) ?? false;
  }

  async finish(task: AtaTask, data: Uint8Array): Promise<void> {
    if (task.taskFile.command !== Command.dataSetManagement) return this.#disk.flush();
    const ranges = trimRanges(data);
    if (ranges.some(({ lba, count }) => lba + count > this.#capacity)) {
      throw new BlockError("out-of-range", "a range to trim is beyond the end of the disk");
    }
    for (const { lba, count } of ranges) await this.#disk.discard(byteOffset(lba * SECTOR_SIZE), count * SECTOR_SIZE);
  }

  complete(task: AtaTask): AtaEnd {
    return task.end ?? DONE;
  }

  fail(task: AtaTask, error: Error, at: number): AtaEnd {
    const { taskFile, protocol, offset } = task;
    const lba = Math.floor(((offset ?? 0) + at) / SECTOR_SIZE);
    const outOfRange = error instanceof BlockError && error.kind === "out-of-range";
    const reading = protocol === "pioIn" || protocol === "dmaIn" || protocol === "queuedIn" || protocol === "none";
    const bit = outOfRange ? ErrorBit.idnf : reading ? ErrorBit.unc : ErrorBit.abrt;
    const end = { status: READY | Status.mask.err, error: bit, ...this.#location(taskFile, lba) };
    return this.#noteQueued(task, end, lba);
  }

  abort(task: AtaTask): AtaEnd {
    return this.#noteQueued(task, ABORTED, 0);
  }

  /** Remembers the error of a queued command, which the host reads from the log. */
  #noteQueued({ protocol, taskFile }: AtaTask, end: AtaEnd, lba: number): AtaEnd {
    if (protocol === "queuedIn" || protocol === "queuedOut") {
      this.state.queuedError = { tag: (taskFile.count >>> 3) & 31, status: end.status, error: end.error, lba };
    }
    return end;
  }

  #identify(): Uint8Array {
    const { heads, sectors } = this.state;
    return identifyDisk({
      ...this.state,
      sectors: this.#capacity,
      serial: this.#config.serial,
      model: this.#config.model ?? MODEL,
      interface: this.#config.interface,
      geometry: {
        cylinders: Math.min(Math.floor(this.#capacity / (HEADS * SECTORS_PER_TRACK)), MAX_CYLINDERS),
        heads: HEADS,
        sectors: SECTORS_PER_TRACK,
      },
      current: { heads, sectors },
    });
  }

  #transfer(taskFile: TaskFile, command: DataCommand): AtaTask {
    const { protocol, extended, multiple = false } = command;
    const task = { taskFile: { ...taskFile }, protocol, block: SECTOR_SIZE, length: 0 };
    const queued = protocol === "queuedIn" || protocol === "queuedOut";
    const refused = (end: AtaEnd): AtaTask => ({ ...task, end: this.#noteQueued(task, end, 0) });
    // Queued commands have their count in the features register, and exist on SATA.
    const raw = queued ? taskFile.features : taskFile.count;
    const count = extended ? raw & 0xffff || 65536 : raw & 0xff || 256;
    if (queued && this.#config.interface !== "sata") return refused(ABORTED);
    if (multiple && this.state.multiple === 0) return refused(ABORTED);
    if (isWrite(command) && this.#disk.readOnly) return refused(ABORTED);
    const lba = this.#address(taskFile, extended);
    if (lba === undefined || lba + count > this.#capacity) return refused(NOT_FOUND);
    this.state.powerMode = PowerMode.active;
    if (protocol === "none") return { ...task, end: DONE };
    const fua = command.fua || (queued && (taskFile.device & DeviceBit.fua) !== 0);
    return {
      ...task,
      length: count * SECTOR_SIZE,
      block: SECTOR_SIZE * (multiple ? this.state.multiple : 1),
      offset: lba * SECTOR_SIZE,
      finishes: isWrite(command) && (fua || !this.state.writeCache),
    };
  }

  /** The first sector that a command is about; undefined for an address in CHS that is none. */
  #address({ lba, device }: TaskFile, extended: boolean): number | undefined {
    if (extended) return lba;
    const low = lba % LBA24;
    const head = device & DeviceBit.head;
    if ((device & DeviceBit.lba) !== 0) return low + head * LBA24;
    const sector = low & 0xff;
    const cylinder = low >>> 8;
    const { heads, sectors } = this.state;
    if (sector === 0 || sector > sectors || head >= heads) return undefined;
    return (cylinder * heads + head) * sectors + sector - 1;
  }

  /** The LBA registers that name a sector, in the way that the command named its own. */
  #location({ command, device }: TaskFile, lba: number): Partial<AtaEnd> {
    if (DATA_COMMANDS.get(command)?.extended !== false) return { lba };
    const head = device & ~DeviceBit.head;
    if ((device & DeviceBit.lba) !== 0) return { lba: lba % LBA24, device: head | (Math.floor(lba / LBA24) & 0xf) };
    const { heads, sectors } = this.state;
    const cylinder = Math.floor(lba / (heads * sectors)) & 0xffff;
    return { lba: (cylinder << 8) | ((lba % sectors) + 1), device: head | (Math.floor(lba / sectors) % heads) };
  }

  #dataSetManagement(taskFile: TaskFile): AtaTask {
    const task = { taskFile: { ...taskFile }, block: SECTOR_SIZE, length: 0 };
    const blocks = taskFile.count & 0xffff;
    const trims = (taskFile.features & 0xff) === 1 && blocks >= 1 && blocks <= MAX_TRIM_BLOCKS;
    if (!trims || this.#disk.readOnly) return { ...task, protocol: "dmaOut", end: ABORTED };
    return { ...task, protocol: "dmaOut", length: blocks * SECTOR_SIZE, gathers: true, finishes: true };
  }

  #readLog(taskFile: TaskFile): AtaTask {
    const protocol = taskFile.command === Command.readLogExt ? "pioIn" : "dmaIn";
    const task = { taskFile: { ...taskFile }, protocol, block: SECTOR_SIZE, length: 0 } as const;
    const sata = this.#config.interface === "sata";
    const data = readLog(taskFile, sata ? this.state.queuedError : undefined, sata);
    if (data === undefined) return { ...task, end: ABORTED };
    if ((taskFile.lba & 0xff) === LOG_PAGE.queuedError) this.state.queuedError = undefined;
    return { ...task, length: data.length, data };
  }

  #setFeatures({ features, count }: TaskFile): boolean {
    switch (features & 0xff) {
      case SetFeature.enableWriteCache:
      case SetFeature.disableWriteCache:
        this.state.writeCache = (features & 0xff) === SetFeature.enableWriteCache;
        return true;
      case SetFeature.enableReadAhead:
      case SetFeature.disableReadAhead:
        this.state.readAhead = (features & 0xff) === SetFeature.enableReadAhead;
        return true;
      case SetFeature.transferMode:
        if (!isTransferMode(count & 0xff)) return false;
        this.state.transferMode = count & 0xff;
        return true;
      case SetFeature.enableRevert:
      case SetFeature.disableRevert:
        return true;
      default:
        return false;
    }
  }

  /** Commands of the power management, and those that are there no more. */
  #power(command: number): AtaEnd {
    // RECALIBRATE is 10h to 1Fh; the power commands have a second set of codes.
    if ((command & 0xf0) === Command.recalibrate) return DONE;
    const code = command >= 0x94 && command <= 0x99 ? 0xe0 + OLD_POWER_COMMANDS.indexOf(command) : command;
    switch (code) {
      case Command.standbyImmediate:
      case Command.standby:
      case Command.sleep:
        this.state.powerMode = PowerMode.standby;
        return DONE;
      case Command.idleImmediate:
      case Command.idle:
        this.state.powerMode = PowerMode.idle;
        return DONE;
      case Command.checkPowerMode:
        return { ...DONE, count: this.state.powerMode };
      default:
        return ABORTED;
    }
  }
}

/** In the order of E0h to E6h; E4h has no older one. */
const OLD_POWER_COMMANDS: readonly (number | undefined)[] = [0x94, 0x95, 0x96, 0x97, undefined, 0x98, 0x99];

const ABORTED: AtaEnd = { status: READY | Status.mask.err, error: ErrorBit.abrt };
const NOT_FOUND: AtaEnd = { status: READY | Status.mask.err, error: ErrorBit.idnf };
