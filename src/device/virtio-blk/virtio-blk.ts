/**
 * Virtio block device. Source: OASIS virtio 1.2, §5.2 "Block Device".
 *
 * Requests run concurrently, up to `MAX_IN_FLIGHT`, each in pieces of at most `PIECE` bytes: however large a
 * request is, the host's memory for it is not. A piece is copied between guest memory and a buffer of its own
 * at one moment of guest time, so that neither the host's timing shows in what a disk gets nor a driver's
 * reset is followed by writes into memory that it took back.
 *
 * Not modelled: multiple queues, topology, lifetime, secure erase, zones. All errors of the host's storage are
 * VIRTIO_BLK_S_IOERR to the guest; the `ioError` event has the details.
 */
import { type ByteOffset, byteOffset, SECTOR_SIZE } from "../../bits/units.ts";
import type { BlockDevice } from "../../disk/block-device.ts";
import { lengthOf } from "../../disk/parts.ts";
import type { AsyncWork, GuestMemory } from "../../machine/device.ts";
import type { DescriptorChain } from "../virtio/descriptor-chain.ts";
import { VirtioDevice, type VirtioEvents } from "../virtio/virtio-device.ts";
import {
  BlkConfig,
  BlkFeature,
  geometryOf,
  ID_LENGTH,
  RANGE_FLAG_UNMAP,
  RangeSegment,
  RequestHeader,
  RequestStatus,
  RequestType,
} from "./layout.ts";

export interface VirtioBlkState {
  /** 1 with a write-back cache, 0 when writes are stable once completed. */
  writeback: number;
  /** Heads of the chains taken and not handed back, in the order taken: begun again after a snapshot is loaded. */
  inFlight: number[];
}

export interface VirtioBlkEvents extends VirtioEvents {
  /** The host's storage failed a request. */
  ioError?(error: Error): void;
}

export interface VirtioBlkWiring {
  memory: GuestMemory;
  disk: BlockDevice;
  work: AsyncWork;
  /** Up to 20 ASCII characters, which Linux shows in /sys/block/vda/serial and /dev/disk/by-id. */
  serial?: string;
  events?: VirtioBlkEvents;
}

const REQUESTQ = 0;
const QUEUE_SIZE = 256;
/** The rest of a chain is the header and the status. */
const SEG_MAX = QUEUE_SIZE - 2;
export const MAX_IN_FLIGHT = 64;
/** Bytes. */
export const PIECE = 1024 * 1024;
/** Bytes of a request that are moved at once at the most: however large it is, the machine goes on meanwhile. */
const MOST_AT_ONCE = 8 * PIECE;
/** Ranges of a discard or write zeroes request. */
export const MAX_RANGES = 16;
/** Sectors of one range: 1 GiB. */
export const MAX_RANGE_SECTORS = 2 * 1024 * 1024;

/** A host operation that a request waits for. */
type HostOperation = () => Promise<void>;
/**
 * What serving a request takes: runs in guest time, waits for the host operations that it yields, each of
 * which must succeed for it to go on, and ends with the status.
 */
type Steps = Generator<HostOperation, number, void>;

interface Request {
  readonly chain: DescriptorChain;
  readonly steps: Steps;
}

export class VirtioBlk extends VirtioDevice<VirtioBlkState> {
  readonly #disk: BlockDevice;
  readonly #work: AsyncWork;
  readonly #id: Uint8Array;
  readonly #events: VirtioBlkEvents;
  readonly #active = new Map<number, Request>();
  readonly #hostOperations = new Set<Promise<void>>();
  /** Resolves when what was in flight before the last reset has ended. */
  #settled: Promise<unknown> = Promise.resolve();
  #drained = true;

  constructor({ memory, disk, work, serial = "", events = {} }: VirtioBlkWiring) {
    const { segMax, geometry, readOnly, blkSize, flush, configWce, discard, writeZeroes } = BlkFeature;
    const writing = disk.readOnly ? [readOnly] : [configWce, discard, writeZeroes];
    const type = {
      deviceId: 2,
      features: [segMax, geometry, blkSize, flush, ...writing],
      queueSizes: [QUEUE_SIZE],
      configLength: BlkConfig.size,
      initial: { writeback: 1, inFlight: [] },
    };
    super(memory, type, events);
    this.#disk = disk;
    this.#work = work;
    this.#events = events;
    this.#id = new Uint8Array(ID_LENGTH);
    for (let i = 0; i < Math.min(serial.length, ID_LENGTH); i++) this.#id[i] = serial.charCodeAt(i) & 0x7f;
  }

  protected override config(): Uint8Array {
    const capacity = Math.floor(this.#disk.size / SECTOR_SIZE);
    const ranges = this.#disk.readOnly
      ? {}
      : {
          maxDiscardSectors: MAX_RANGE_SECTORS,
          maxDiscardSeg: MAX_RANGES,
          discardSectorAlignment: 8,
          maxWriteZeroesSectors: MAX_RANGE_SECTORS,
          maxWriteZeroesSeg: MAX_RANGES,
          writeZeroesMayUnmap: 1,
        };
    return BlkConfig.make({
      capacity: BigInt(capacity),
      segMax: SEG_MAX,
      ...geometryOf(capacity),
      blkSize: SECTOR_SIZE,
      writeback: this.#writeThrough ? 0 : 1,
      ...ranges,
    });
  }

  override writeConfig(offset: number, _size: number, value: number): void {
    if (offset !== BlkConfig.offset.writeback || !this.negotiated(BlkFeature.configWce)) return;
    this.state.device.writeback = value & 1;
  }

  /** A write is stable when it completes: cases 1 and 2 of §5.2.6.2. */
  get #writeThrough(): boolean {
    if (!this.negotiated(BlkFeature.flush)) return true;
    return this.negotiated(BlkFeature.configWce) && this.state.device.writeback === 0;
  }

  protected override serviceQueue(): void {
    const queue = this.queues[REQUESTQ]!;
    while (this.running && this.#active.size < MAX_IN_FLIGHT) {
      const chain = queue.pop();
      if (chain === undefined) return;
      this.#begin(chain);
    }
  }

  protected override resetDevice(): void {
    this.state.device.writeback = 1;
    this.state.device.inFlight = [];
    this.#abandon();
  }

  protected override restoredDevice(): void {
    this.#abandon();
    const heads = this.state.device.inFlight;
    this.state.device.inFlight = [];
    if (!this.running) return;
    for (const head of heads) {
      const chain = this.queues[REQUESTQ]!.chain(head);
      if (chain !== undefined) this.#begin(chain);
    }
  }

  /** Forgets what is in flight. What the host began still ends, and what comes next must not overtake it. */
  #abandon(): void {
    this.#active.clear();
    if (this.#hostOperations.size === 0) return;
    const settled = Promise.allSettled([...this.#hostOperations]).then(() => {
      if (this.#settled === settled) this.#drained = true;
    });
    this.#drained = false;
    this.#settled = settled;
  }

  #begin(chain: DescriptorChain): void {
    if (chain.writableLength === 0) {
      this.fail("a block request without a status byte");
      return;
    }
    if (this.#active.has(chain.head)) {
      this.fail(`descriptor ${chain.head} was made available twice`);
      return;
    }
    const request: Request = { chain, steps: this.#serve(chain) };
    this.#active.set(chain.head, request);
    this.state.device.inFlight.push(chain.head);
    this.#advance(request);
  }

  #advance(request: Request): void {
    const step = request.steps.next();
    if (step.done === true) {
      this.#finish(request, step.value);
      return;
    }
    this.#work.run(this.#onHost(step.value), (result) => {
      if (this.#active.get(request.chain.head) !== request) return;
      if (!this.running) {
        this.#forget(request);
        return;
      }
      if (result.ok) {
        this.#advance(request);
      } else {
        this.#events.ioError?.(result.error);
        this.#finish(request, RequestStatus.ioError);
      }
      this.notified(REQUESTQ);
    });
  }

  async #onHost(operation: HostOperation): Promise<void> {
    const settled = this.#settled;
    const ended = (async () => {
      await settled;
      await operation();
    })();
    this.#hostOperations.add(ended);
    try {
      await ended;
    } finally {
      this.#hostOperations.delete(ended);
    }
  }

  #forget({ chain }: Request): void {
    this.#active.delete(chain.head);
    const { inFlight } = this.state.device;
    inFlight.splice(inFlight.indexOf(chain.head), 1);
  }

  #finish(request: Request, status: number): void {
    this.#forget(request);
    const { chain } = request;
    const dataLength = chain.writableLength - 1;
    chain.write(dataLength, Uint8Array.of(status));
    // The length counts from the start of the buffer without a gap (§2.7.8.2), and the status byte is its end.
    this.use(REQUESTQ, chain.head, status === RequestStatus.ok || dataLength === 0 ? chain.writableLength : 0);
  }

  *#serve(chain: DescriptorChain): Steps {
    const bytes = new Uint8Array(RequestHeader.size);
    if (chain.read(0, bytes) < bytes.length) return RequestStatus.ioError;
    const { type, sector } = RequestHeader.at(bytes);
    switch (type) {
      case RequestType.in:
        return yield* this.#read(chain, sector);
      case RequestType.out:
        return yield* this.#write(chain, sector);
      case RequestType.flush:
        yield () => this.#disk.flush();
        return RequestStatus.ok;
      case RequestType.getId:
        return this.#getId(chain);
      case RequestType.discard:
        if (!this.negotiated(BlkFeature.discard)) return RequestStatus.unsupported;
        return yield* this.#erase(chain, type);
      case RequestType.writeZeroes:
        if (!this.negotiated(BlkFeature.writeZeroes)) return RequestStatus.unsupported;
        return yield* this.#erase(chain, type);
      default:
        return RequestStatus.unsupported;
    }
  }

  *#read(chain: DescriptorChain, sector: bigint): Steps {
    const length = chain.writableLength - 1;
    const start = Number(sector) * SECTOR_SIZE;
    if (!this.#inside(start, length)) return RequestStatus.ioError;
    for (let at = 0; at < length; at += PIECE) {
      const place = byteOffset(start + at);
      const size = Math.min(length - at, PIECE);
      if (at < MOST_AT_ONCE && this.#readNow(place, chain, at, size)) continue;
      const piece = new Uint8Array(size);
      yield () => this.#disk.read(place, piece);
      if (chain.write(at, piece) < size) return RequestStatus.ioError;
    }
    return RequestStatus.ok;
  }

  /** What the host does at once need not be waited for, unless what was given up by a reset has not ended. */
  get #isImmediate(): boolean {
    return this.#work.immediate === true && this.#drained;
  }

  /** Between the disk and the guest's memory, without a copy. */
  #readNow(place: ByteOffset, chain: DescriptorChain, at: number, size: number): boolean {
    if (!this.#isImmediate || this.#disk.readNow === undefined) return false;
    const views = chain.writableViews(at, size);
    return lengthOf(views) === size && this.#disk.readNow(place, views);
  }

  #writeNow(place: ByteOffset, chain: DescriptorChain, at: number, size: number): boolean {
    if (!this.#isImmediate || this.#disk.writeNow === undefined) return false;
    const views = chain.readableViews(at, size);
    return lengthOf(views) === size && this.#disk.writeNow(place, views);
  }

  *#write(chain: DescriptorChain, sector: bigint): Steps {
    const length = chain.readableLength - RequestHeader.size;
    const start = Number(sector) * SECTOR_SIZE;
    if (this.#disk.readOnly || !this.#inside(start, length)) return RequestStatus.ioError;
    for (let at = 0; at < length; at += PIECE) {
      const place = byteOffset(start + at);
      const size = Math.min(length - at, PIECE);
      if (at < MOST_AT_ONCE && this.#writeNow(place, chain, RequestHeader.size + at, size)) continue;
      const piece = new Uint8Array(size);
      if (chain.read(RequestHeader.size + at, piece) < size) return RequestStatus.ioError;
      yield () => this.#disk.write(place, piece);
    }
    if (this.#writeThrough) yield () => this.#disk.flush();
    return RequestStatus.ok;
  }

  #getId(chain: DescriptorChain): number {
    const id = new Uint8Array(Math.min(chain.writableLength - 1, ID_LENGTH));
    id.set(this.#id.subarray(0, id.length));
    return chain.write(0, id) === id.length ? RequestStatus.ok : RequestStatus.ioError;
  }

  *#erase(chain: DescriptorChain, type: number): Steps {
    const bytes = new Uint8Array(
      Math.min(chain.readableLength - RequestHeader.size, (MAX_RANGES + 1) * RangeSegment.size),
    );
    const count = bytes.length / RangeSegment.size;
    if (!Number.isInteger(count) || count < 1 || count > MAX_RANGES) return RequestStatus.ioError;
    if (chain.read(RequestHeader.size, bytes) < bytes.length) return RequestStatus.ioError;
    const ranges = [];
    const knownFlags = type === RequestType.writeZeroes ? RANGE_FLAG_UNMAP : 0;
    for (let at = 0; at < bytes.length; at += RangeSegment.size) {
      const { sector, numSectors, flags } = RangeSegment.at(bytes, at);
      const start = Number(sector) * SECTOR_SIZE;
      const length = numSectors * SECTOR_SIZE;
      if ((flags & ~knownFlags) !== 0) return RequestStatus.unsupported;
      if (numSectors > MAX_RANGE_SECTORS || !this.#inside(start, length)) return RequestStatus.ioError;
      ranges.push({ start: byteOffset(start), length });
    }
    for (const { start, length } of ranges) {
      if (type === RequestType.discard) yield () => this.#disk.discard(start, length);
      else yield () => this.#disk.writeZeroes(start, length);
    }
    if (this.#writeThrough) yield () => this.#disk.flush();
    return RequestStatus.ok;
  }

  /** Whether `length` bytes from `start` on are whole sectors of the disk. */
  #inside(start: number, length: number): boolean {
    return length % SECTOR_SIZE === 0 && start + length <= this.#disk.size;
  }
}
