/**
 * Virtio memory balloon. Source: OASIS virtio 1.2, §5.5 "Traditional Memory Balloon Device".
 *
 * The host sets a target; the driver gives pages (inflate), takes them back (deflate), and on its own
 * reports pages that it does not use. Pages that the guest gave or reported are handed to `release`, never
 * anything outside RAM. They stay RAM: a guest that touches them again finds zeros or the old content.
 *
 * Not modelled: VIRTIO_BALLOON_F_MUST_TELL_HOST (pages may be touched at any time anyway),
 * VIRTIO_BALLOON_F_FREE_PAGE_HINT, VIRTIO_BALLOON_F_PAGE_POISON.
 */
import { struct, u16, u32, u64 } from "../../bits/struct.ts";
import { type GuestPhysical, guestPhysical, PAGE_SIZE } from "../../bits/units.ts";
import type { GuestMemory } from "../../machine/device.ts";
import type { DescriptorChain } from "../virtio/descriptor-chain.ts";
import { VirtioDevice, type VirtioEvents } from "../virtio/virtio-device.ts";

export interface VirtioBalloonState {
  /** Pages of 4 KiB that the host wants back. */
  target: number;
  /** Pages of 4 KiB in the balloon, as the driver says. */
  actual: number;
  /** The statistics buffer that the driver lent the device, by its head; -1 when there is none. */
  statisticsHead: number;
}

/** The guest's memory statistics (§5.5.6.3), each present only if the driver supplied it; bytes or counts. */
export interface MemoryStatistics {
  swapIn?: bigint;
  swapOut?: bigint;
  majorFaults?: bigint;
  minorFaults?: bigint;
  free?: bigint;
  total?: bigint;
  available?: bigint;
  caches?: bigint;
  hugePageAllocations?: bigint;
  hugePageFailures?: bigint;
}

export interface VirtioBalloonEvents extends VirtioEvents {
  /** The driver changed the number of 4 KiB pages in the balloon. */
  resized?(pages: number): void;
  /** The driver answered `requestStatistics`. */
  statistics?(statistics: MemoryStatistics): void;
}

export interface VirtioBalloonWiring {
  memory: GuestMemory;
  /**
   * The guest does not need the content of `length` bytes from `address` on, both multiples of 4 KiB and in
   * RAM: the host may free what backs them, after which they must read as zeros.
   */
  release: (address: GuestPhysical, length: number) => void;
  events?: VirtioBalloonEvents;
}

const FEATURE_STATS_VQ = 1;
const FEATURE_DEFLATE_ON_OOM = 2;
const FEATURE_PAGE_REPORTING = 5;

const INFLATEQ = 0;
const DEFLATEQ = 1;
const STATSQ = 2;
// Queue 3 is free_page_vq, 4 is reporting_vq (§5.5.2). Drivers up to Linux 6.10 number the queues without
// gaps and report on 3 when free page hinting is not offered, so that both are taken for the reporting queue.

/** Pages taken of one inflate request (64 KiB of page numbers; Linux sends 1 KiB); the rest stay with the guest. */
const MAX_PAGES = 16 * 1024;
/** Statistics taken of one buffer; ten are defined. */
const MAX_STATISTICS = 64;

/** Device configuration (§5.5.4) without the fields of features that are not offered. */
const Config = struct("LE", { numPages: u32, actual: u32 });
/** One statistic (§5.5.6.3). */
const Statistic = struct("LE", { tag: u16, value: u64 });
/** Names of the tags 0 to 9 (§5.5.6.4). */
const STATISTIC_NAMES: readonly (keyof MemoryStatistics)[] = [
  "swapIn",
  "swapOut",
  "majorFaults",
  "minorFaults",
  "free",
  "total",
  "available",
  "caches",
  "hugePageAllocations",
  "hugePageFailures",
];

export class VirtioBalloon extends VirtioDevice<VirtioBalloonState> {
  readonly #memory: GuestMemory;
  readonly #release: (address: GuestPhysical, length: number) => void;
  readonly #events: VirtioBalloonEvents;

  constructor({ memory, release, events = {} }: VirtioBalloonWiring) {
    const type = {
      deviceId: 5,
      features: [FEATURE_STATS_VQ, FEATURE_DEFLATE_ON_OOM, FEATURE_PAGE_REPORTING],
      queueSizes: [128, 128, 8, 64, 64],
      configLength: Config.size,
      initial: { target: 0, actual: 0, statisticsHead: -1 },
    };
    super(memory, type, events);
    this.#memory = memory;
    this.#release = release;
    this.#events = events;
  }

  /** Asks the guest to keep `pages` pages of 4 KiB in the balloon. Survives a reset. */
  setTarget(pages: number): void {
    this.state.device.target = Math.min(Math.max(Math.trunc(pages), 0), 0xffff_ffff);
    this.configChanged();
  }

  /** Asks the driver for statistics, which come as an event; false when no driver is ready to give them. */
  requestStatistics(): boolean {
    const own = this.state.device;
    if (!this.running || own.statisticsHead < 0) return false;
    const head = own.statisticsHead;
    own.statisticsHead = -1;
    this.use(STATSQ, head, 0);
    return true;
  }

  protected override config(): Uint8Array {
    const { target, actual } = this.state.device;
    return Config.make({ numPages: target, actual });
  }

  override writeConfig(offset: number, size: number, value: number): void {
    if (offset !== Config.offset.actual || size !== 4) return;
    this.state.device.actual = value;
    this.#events.resized?.(value);
  }

  protected override serviceQueue(index: number): void {
    const queue = this.queues[index]!;
    for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) {
      if (index === STATSQ) {
        this.#keepStatistics(chain);
        continue;
      }
      if (index === INFLATEQ) this.#inflate(chain);
      else if (index !== DEFLATEQ) this.#report(chain);
      queue.push(chain.head, 0);
    }
    this.notifyUsed(index);
  }

  protected override resetDevice(): void {
    const own = this.state.device;
    own.actual = 0;
    own.statisticsHead = -1;
  }

  /** The array of page numbers of an inflate request, neighbours released together. */
  #inflate(chain: DescriptorChain): void {
    const bytes = new Uint8Array(Math.min(chain.readableLength, MAX_PAGES * 4));
    const view = new DataView(bytes.buffer, 0, chain.read(0, bytes));
    let start = 0;
    let pages = 0;
    for (let at = 0; at + 4 <= view.byteLength; at += 4) {
      const page = view.getUint32(at, true);
      if (pages > 0 && page === start + pages) {
        pages++;
      } else if (pages > 0 && page === start - 1) {
        // Linux takes pages from the top of memory down.
        start = page;
        pages++;
      } else {
        this.#releaseRange(start * PAGE_SIZE, pages * PAGE_SIZE);
        start = page;
        pages = 1;
      }
    }
    this.#releaseRange(start * PAGE_SIZE, pages * PAGE_SIZE);
  }

  /** Reported pages are the request's device-writable buffers themselves (§5.5.6.7). */
  #report(chain: DescriptorChain): void {
    for (const { address, length } of chain.writable) {
      const start = Math.ceil(address / PAGE_SIZE) * PAGE_SIZE;
      const end = Math.floor((address + length) / PAGE_SIZE) * PAGE_SIZE;
      this.#releaseRange(start, end - start);
    }
  }

  #releaseRange(start: number, length: number): void {
    if (length <= 0) return;
    const address = guestPhysical(start);
    // The content is about to change, which "write" makes known to whoever cached it.
    if (this.#memory.view(address, length, "write") !== undefined) {
      this.#release(address, length);
      return;
    }
    // A run that is partly outside RAM: what is inside still counts. Runs are short enough to try page by page.
    if (length === PAGE_SIZE) return;
    for (let at = start; at < start + length; at += PAGE_SIZE) this.#releaseRange(at, PAGE_SIZE);
  }

  #keepStatistics(chain: DescriptorChain): void {
    const own = this.state.device;
    if (own.statisticsHead >= 0) {
      this.fail("a second buffer in the balloon's statistics queue");
      return;
    }
    own.statisticsHead = chain.head;
    const bytes = new Uint8Array(Math.min(chain.readableLength, MAX_STATISTICS * Statistic.size));
    const length = chain.read(0, bytes);
    const statistics: MemoryStatistics = {};
    for (let at = 0; at + Statistic.size <= length; at += Statistic.size) {
      const { tag, value } = Statistic.at(bytes, at);
      const name = STATISTIC_NAMES[tag];
      if (name !== undefined) statistics[name] = value;
    }
    this.#events.statistics?.(statistics);
  }
}
