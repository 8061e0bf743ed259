import { type BlockDevice, BlockError } from "../../disk/block-device.ts";
import type { Device } from "../../machine/device.ts";
import { extentOf, readExtent, readExtentNow } from "./cdrom-extent.ts";
import { inquiry } from "./cdrom-inquiry.ts";
import { BLOCK_SIZE, concatBytes, Mmc } from "./cdrom-layout.ts";
import { defaultErrorRecovery, modeHeader, modePages, PageControl, selectPages } from "./cdrom-mode.ts";
import {
  capacity,
  configuration,
  discInformation,
  discStructure,
  isDvd,
  sectorHeader,
  subChannel,
  tableOfContents,
  trackInformation,
} from "./cdrom-replies.ts";
import { MAX_CDB_LENGTH, type ScsiEnd, type ScsiTask, type ScsiUnit } from "./scsi-unit.ts";
import { fixedSense, ScsiStatus, SENSE, type Sense, SenseKey } from "./sense.ts";

export interface ScsiCdromState {
  trayOpen: boolean;
  /** The guest does not let the disc out. */
  locked: boolean;
  /** Sense codes of unit attentions that wait to be told. */
  attentions: number[];
  /** What REQUEST SENSE tells. */
  senseKey: number;
  senseCode: number;
  /** The media event that waits to be polled: one of `MediaEvent`. */
  mediaEvent: number;
  errorRecovery: Uint8Array;
}

export interface ScsiCdromConfig {
  /** In the inquiry data: as an ATAPI drive has them, or as SCSI has. */
  readonly transport: "atapi" | "scsi";
  readonly serial?: string;
}

export interface ScsiCdromWiring {
  /** The disc that is in the drive at first. */
  readonly medium?: BlockDevice;
  /** Told when the guest opens or closes the tray. */
  trayMoved?(open: boolean): void;
}

const MediaEvent = { none: 0, ejectRequest: 1, newMedia: 2, removal: 3 } as const;
const EventClass = { operationalChange: 1, media: 4 } as const;
const SUPPORTED_EVENTS = (1 << EventClass.operationalChange) | (1 << EventClass.media);
const NO_EVENT_AVAILABLE = 0x80;
/** Mode parameters' medium type. */
const MediumType = { dataCd: 0x01, noDisc: 0x70, doorOpen: 0x71 } as const;

/** Commands that a pending unit attention does not stop. */
const WITHOUT_ATTENTION: ReadonlySet<number> = new Set([
  Mmc.inquiry,
  Mmc.requestSense,
  Mmc.getConfiguration,
  Mmc.getEventStatusNotification,
  Mmc.reportLuns,
]);
const GOOD: ScsiEnd = { status: ScsiStatus.good };

export class ScsiCdrom implements ScsiUnit, Device<ScsiCdromState> {
  readonly state: ScsiCdromState = {
    trayOpen: false,
    locked: false,
    attentions: [],
    senseKey: 0,
    senseCode: 0,
    mediaEvent: MediaEvent.none,
    errorRecovery: defaultErrorRecovery(),
  };
  readonly #config: ScsiCdromConfig;
  readonly #trayMoved: (open: boolean) => void;
  #medium: BlockDevice | undefined;

  constructor(config: ScsiCdromConfig, { medium, trayMoved = () => {} }: ScsiCdromWiring = {}) {
    this.#config = config;
    this.#medium = medium;
    this.#trayMoved = trayMoved;
    this.reset();
  }

  reset(): void {
    const { trayOpen } = this.state;
    Object.assign(this.state, {
      trayOpen,
      locked: false,
      attentions: [SENSE.powerOnOrReset.code],
      senseKey: 0,
      senseCode: 0,
      mediaEvent: this.#disc === undefined ? MediaEvent.none : MediaEvent.newMedia,
      errorRecovery: defaultErrorRecovery(),
    });
  }

  /** The disc in the drive, or in its open tray. */
  get medium(): BlockDevice | undefined {
    return this.#medium;
  }

  /** Puts a disc in and closes the tray; what was in the drive is taken out, even if the guest locked it. */
  insert(medium: BlockDevice): void {
    this.#medium = medium;
    this.state.trayOpen = false;
    this.#discArrived();
  }

  /**
   * Takes the disc out. Where the guest locked it, the guest is asked to let it go and nothing else happens, unless
   * `force`: returns whether the drive is empty.
   */
  eject({ force = false } = {}): boolean {
    if (this.#medium === undefined) return true;
    if (this.state.locked && !this.state.trayOpen && !force) {
      this.state.mediaEvent = MediaEvent.ejectRequest;
      return false;
    }
    const present = this.#disc !== undefined;
    this.#medium = undefined;
    this.state.locked = false;
    if (present) this.#discLeft();
    return true;
  }

  begin(command: Uint8Array): ScsiTask {
    const cdb = new Uint8Array(Math.max(16, Math.min(command.length, MAX_CDB_LENGTH)));
    cdb.set(command.subarray(0, cdb.length));
    const code = cdb[0]!;
    const attention = WITHOUT_ATTENTION.has(code) ? undefined : this.state.attentions.shift();
    if (attention !== undefined) return this.#refuse(cdb, { key: SenseKey.unitAttention, code: attention });
    const task = this.#start(code, cdb);
    if (code !== Mmc.requestSense && !(task.kind === "none" && task.end?.sense)) this.#remember(SENSE.none);
    return task;
  }

  async read(task: ScsiTask, at: number, target: Uint8Array): Promise<void> {
    const disc = this.#disc;
    const extent = extentOf(task.cdb);
    if (disc === undefined || extent === undefined) throw new BlockError("io", "there is no disc in the drive");
    await readExtent(disc, extent, at, target);
  }

  readNow(task: ScsiTask, at: number, target: Uint8Array): boolean {
    const disc = this.#disc;
    const extent = extentOf(task.cdb);
    return disc !== undefined && extent !== undefined && readExtentNow(disc, extent, at, target);
  }

  async write(): Promise<void> {
    throw new BlockError("read-only", "discs cannot be written");
  }

  async finish(): Promise<void> {}

  complete(task: ScsiTask, parameters: Uint8Array): ScsiEnd {
    const code = task.cdb[0];
    if (task.kind !== "parameters") return task.kind === "none" ? (task.end ?? GOOD) : GOOD;
    if (parameters.length < task.length) return this.#check(SENSE.parameterListLengthError);
    const selected = selectPages(code === Mmc.modeSelect10, parameters, this.state);
    if (selected === undefined) return this.#check(SENSE.invalidFieldInParameterList);
    this.state.errorRecovery = selected;
    return GOOD;
  }

  fail(task: ScsiTask, _error: Error, at: number): ScsiEnd {
    if (this.#disc === undefined) return this.#check(this.#notReady());
    const extent = extentOf(task.cdb);
    if (extent === undefined) return this.#check(SENSE.internalTargetFailure);
    const information = extent.lba + Math.floor(at / extent.sectorLength);
    return this.#check({ ...SENSE.unrecoveredReadError, information });
  }

  abort(): ScsiEnd {
    return this.#check({ key: SenseKey.abortedCommand, code: 0 });
  }

  /** The disc, where it is in the closed drive. */
  get #disc(): BlockDevice | undefined {
    return this.state.trayOpen ? undefined : this.#medium;
  }

  get #blocks(): number {
    return Math.ceil((this.#disc?.size ?? 0) / BLOCK_SIZE);
  }

  #start(code: number, cdb: Uint8Array): ScsiTask {
    const view = new DataView(cdb.buffer);
    switch (code) {
      case Mmc.inquiry:
        return this.#inquiry(cdb, view.getUint16(3));
      case Mmc.requestSense:
        return this.#requestSense(cdb);
      case Mmc.reportLuns:
        return this.#data(cdb, Uint8Array.of(0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), view.getUint32(6));
      case Mmc.getConfiguration:
        return this.#getConfiguration(cdb, view);
      case Mmc.getEventStatusNotification:
        return this.#getEvent(cdb, view.getUint16(7));
      case Mmc.mechanismStatus:
        return this.#data(cdb, Uint8Array.of(0, this.state.trayOpen ? 0x10 : 0, 0, 0, 0, 1, 0, 0), view.getUint16(8));
      case Mmc.startStopUnit:
        return this.#startStop(cdb);
      case Mmc.preventAllowMediumRemoval:
        this.state.locked = (cdb[4]! & 1) !== 0;
        return none(cdb);
      case Mmc.setCdSpeed:
        return none(cdb);
      case Mmc.modeSense6:
      case Mmc.modeSense10:
        return this.#modeSense(cdb, code === Mmc.modeSense10);
      case Mmc.modeSelect6:
      case Mmc.modeSelect10:
        return this.#modeSelect(cdb, code === Mmc.modeSelect6 ? cdb[4]! : view.getUint16(7));
      default:
        return this.#startOnDisc(code, cdb, view);
    }
  }

  /** Commands that need a disc. */
  #startOnDisc(code: number, cdb: Uint8Array, view: DataView): ScsiTask {
    if (!ON_DISC.has(code)) return this.#refuse(cdb, SENSE.invalidOperationCode);
    if (this.#disc === undefined) return this.#refuse(cdb, this.#notReady());
    const blocks = this.#blocks;
    switch (code) {
      case Mmc.readCapacity: {
        const data = capacity(blocks);
        return this.#data(cdb, data, data.length);
      }
      case Mmc.read10:
      case Mmc.read12:
      case Mmc.readCd:
      case Mmc.readCdMsf:
        return this.#read(cdb);
      case Mmc.seek10:
      case Mmc.verify10:
        return this.#inside(view.getUint32(2), code === Mmc.verify10 ? view.getUint16(7) : 1)
          ? none(cdb)
          : this.#refuse(cdb, SENSE.blockOutOfRange);
      case Mmc.readTocPmaAtip: {
        // Older drives had the format in the control byte.
        const format = cdb[2]! & 0xf || cdb[9]! >>> 6;
        const msf = (cdb[1]! & 2) !== 0;
        return this.#answer(cdb, tableOfContents(format, msf, cdb[6]!, blocks), view.getUint16(7));
      }
      case Mmc.readDiscInformation:
        return this.#answer(cdb, (cdb[1]! & 7) === 0 ? discInformation() : undefined, view.getUint16(7));
      case Mmc.readTrackInformation:
        return this.#trackInformation(cdb, view, blocks);
      case Mmc.readDiscStructure: {
        if (!isDvd(blocks)) return this.#refuse(cdb, SENSE.incompatibleFormat);
        const structure = (cdb[1]! & 0xf) === 0 ? discStructure(cdb[7]!, cdb[6]!, blocks) : undefined;
        return this.#answer(cdb, structure, view.getUint16(8));
      }
      case Mmc.readHeader:
        return this.#inside(view.getUint32(2), 1)
          ? this.#data(cdb, sectorHeader(view.getUint32(2), (cdb[1]! & 2) !== 0), view.getUint16(7))
          : this.#refuse(cdb, SENSE.blockOutOfRange);
      case Mmc.readSubChannel:
        return this.#answer(cdb, subChannel(cdb[3]!, (cdb[1]! & 2) !== 0, (cdb[2]! & 0x40) !== 0), view.getUint16(7));
      default:
        return none(cdb);
    }
  }

  #inquiry(cdb: Uint8Array, allocation: number): ScsiTask {
    const vital = (cdb[1]! & 1) !== 0;
    return this.#answer(cdb, inquiry(this.#config, vital ? cdb[2]! : undefined, cdb[2]!), allocation);
  }

  #requestSense(cdb: Uint8Array): ScsiTask {
    const attention = this.state.attentions.shift();
    const { senseKey, senseCode } = this.state;
    const sense =
      attention === undefined ? { key: senseKey, code: senseCode } : { key: SenseKey.unitAttention, code: attention };
    this.#remember(SENSE.none);
    return this.#data(cdb, fixedSense(sense), cdb[4]!);
  }

  #getConfiguration(cdb: Uint8Array, view: DataView): ScsiTask {
    const requested = cdb[1]! & 3;
    if (requested === 3) return this.#refuse(cdb, SENSE.invalidFieldInCdb);
    const blocks = this.#disc === undefined ? undefined : this.#blocks;
    return this.#data(cdb, configuration(blocks, requested, view.getUint16(2)), view.getUint16(7));
  }

  #getEvent(cdb: Uint8Array, allocation: number): ScsiTask {
    // Asynchronous notification was never made.
    if ((cdb[1]! & 1) === 0) return this.#refuse(cdb, SENSE.invalidFieldInCdb);
    const requested = cdb[4]! & SUPPORTED_EVENTS;
    if (requested === 0) return this.#data(cdb, Uint8Array.of(0, 2, NO_EVENT_AVAILABLE, SUPPORTED_EVENTS), allocation);
    if ((requested & (1 << EventClass.media)) === 0) {
      const none = Uint8Array.of(0, 6, EventClass.operationalChange, SUPPORTED_EVENTS, 0, 0, 0, 0);
      return this.#data(cdb, none, allocation);
    }
    const { mediaEvent, trayOpen } = this.state;
    const status = (trayOpen ? 1 : 0) | (this.#disc === undefined ? 0 : 2);
    // An event that the initiator has no room for is not told, and stays.
    if (allocation > 4) this.state.mediaEvent = MediaEvent.none;
    return this.#data(
      cdb,
      Uint8Array.of(0, 6, EventClass.media, SUPPORTED_EVENTS, mediaEvent, status, 0, 0),
      allocation,
    );
  }

  #startStop(cdb: Uint8Array): ScsiTask {
    const [powerCondition, loadEject, start] = [cdb[4]! >>> 4, (cdb[4]! & 2) !== 0, (cdb[4]! & 1) !== 0];
    if (powerCondition !== 0 || !loadEject) return none(cdb);
    if (start) {
      if (this.state.trayOpen) {
        this.state.trayOpen = false;
        if (this.#medium !== undefined) this.#discArrived();
        this.#trayMoved(false);
      }
      return none(cdb);
    }
    if (this.state.trayOpen) return none(cdb);
    if (this.state.locked) return this.#refuse(cdb, SENSE.mediumRemovalPrevented);
    const present = this.#medium !== undefined;
    this.state.trayOpen = true;
    if (present) this.state.mediaEvent = MediaEvent.removal;
    this.#trayMoved(true);
    return none(cdb);
  }

  #modeSense(cdb: Uint8Array, long: boolean): ScsiTask {
    const control = cdb[2]! >>> 6;
    if (control === PageControl.saved) return this.#refuse(cdb, SENSE.savingParametersNotSupported);
    const pages = cdb[3] === 0 ? modePages(cdb[2]! & 0x3f, control, this.state) : undefined;
    if (pages === undefined) return this.#refuse(cdb, SENSE.invalidFieldInCdb);
    const { trayOpen } = this.state;
    const type = this.#disc ? MediumType.dataCd : trayOpen ? MediumType.doorOpen : MediumType.noDisc;
    const allocation = long ? (cdb[7]! << 8) | cdb[8]! : cdb[4]!;
    return this.#data(cdb, concatBytes(modeHeader(long, type, pages.length), pages), allocation);
  }

  #modeSelect(cdb: Uint8Array, length: number): ScsiTask {
    // Page format, and nothing is saved.
    if ((cdb[1]! & 0x11) !== 0x10) return this.#refuse(cdb, SENSE.invalidFieldInCdb);
    return length === 0 ? none(cdb) : { kind: "parameters", cdb, length };
  }

  #read(cdb: Uint8Array): ScsiTask {
    if (cdb[0] === Mmc.readCd || cdb[0] === Mmc.readCdMsf) {
      const type = (cdb[1]! >>> 2) & 7;
      if (type !== 0 && type !== 2) return this.#refuse(cdb, SENSE.illegalModeForThisTrack);
      // C2 error pointers, sub-channels.
      if ((cdb[9]! & 6) !== 0 || (cdb[10]! & 7) !== 0) return this.#refuse(cdb, SENSE.invalidFieldInCdb);
    }
    const extent = extentOf(cdb);
    if (extent === undefined) return this.#refuse(cdb, SENSE.invalidFieldInCdb);
    const { lba, count, sectorLength } = extent;
    if (count === 0 || sectorLength === 0) return none(cdb);
    if (!this.#inside(lba, count)) return this.#refuse(cdb, { ...SENSE.blockOutOfRange, information: lba >>> 0 });
    return { kind: "read", cdb, length: count * sectorLength };
  }

  #inside(lba: number, count: number): boolean {
    return lba >= 0 && lba + count <= this.#blocks;
  }

  #trackInformation(cdb: Uint8Array, view: DataView, blocks: number): ScsiTask {
    const number = view.getUint32(2);
    const type = cdb[1]! & 3;
    // By block address, by track, by session.
    const known = type === 0 ? number < blocks : type !== 3 && number === 1;
    return this.#answer(cdb, known ? trackInformation(blocks) : undefined, view.getUint16(7));
  }

  #data(cdb: Uint8Array, data: Uint8Array, allocation: number): ScsiTask {
    return allocation === 0 ? none(cdb) : { kind: "data", cdb, data: data.subarray(0, allocation) };
  }

  /** Data, or the refusal of a field of the command. */
  #answer(cdb: Uint8Array, data: Uint8Array | undefined, allocation: number): ScsiTask {
    return data === undefined ? this.#refuse(cdb, SENSE.invalidFieldInCdb) : this.#data(cdb, data, allocation);
  }

  #refuse(cdb: Uint8Array, sense: Sense): ScsiTask {
    return { kind: "none", cdb, end: this.#check(sense) };
  }

  #check(sense: Sense): ScsiEnd {
    this.#remember(sense);
    return { status: ScsiStatus.checkCondition, sense };
  }

  #remember({ key, code }: Sense): void {
    this.state.senseKey = key;
    this.state.senseCode = code;
  }

  #notReady(): Sense {
    return this.state.trayOpen ? SENSE.mediumNotPresentTrayOpen : SENSE.mediumNotPresentTrayClosed;
  }

  #discArrived(): void {
    this.state.mediaEvent = MediaEvent.newMedia;
    this.#attention(SENSE.mediumMayHaveChanged.code);
  }

  #discLeft(): void {
    this.state.mediaEvent = MediaEvent.removal;
    this.#attention(SENSE.mediumMayHaveChanged.code);
  }

  #attention(code: number): void {
    if (!this.state.attentions.includes(code)) this.state.attentions.push(code);
  }
}

const ON_DISC: ReadonlySet<number> = new Set([
  Mmc.testUnitReady,
  Mmc.readCapacity,
  Mmc.read10,
  Mmc.read12,
  Mmc.readCd,
  Mmc.readCdMsf,
  Mmc.seek10,
  Mmc.verify10,
  Mmc.synchronizeCache,
  Mmc.readTocPmaAtip,
  Mmc.readDiscInformation,
  Mmc.readTrackInformation,
  Mmc.readDiscStructure,
  Mmc.readHeader,
  Mmc.readSubChannel,
]);

const none = (cdb: Uint8Array): ScsiTask => ({ kind: "none", cdb });
