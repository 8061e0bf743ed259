/**
 * Guest memory: the memory object that a machine lives in, what lies at its physical pages, and the views that bus
 * masters get of it.
 */
import type { GuestPhysical } from "../bits/units.ts";
import { hostAddress, PAGE, PAGE_FLAGS, RAM_BASE, ROM_SIZE } from "../cpu/state.ts";
import type { GuestMemory, MemoryKind, PhysicalMemory, VideoMemory } from "../machine/device.ts";

const WASM_PAGE = 65536;
const GUEST_PAGE = 4096;
const FOUR_GIB = 2 ** 32;
const PAGES_BELOW_4G = 2 ** 20;
const FLAGS: Readonly<Record<MemoryKind, number>> = { ram: 0, rom: PAGE.readOnly, device: PAGE.io };

export interface GuestRamOptions {
  /** Bytes of video memory, a multiple of 64 KiB; none unless given. */
  readonly video?: number;
  /** Bytes behind all that is the guest's, for tools (tools/machine-tools.ts); none unless given. */
  readonly tools?: number;
}

const wholePages = (bytes: number): number => Math.ceil(bytes / WASM_PAGE) * WASM_PAGE;
const videoBase = (size: number): number => wholePages(RAM_BASE + size);
/** Where the bytes for tools are beside so much RAM and video memory. */
export const toolsAt = (size: number, video: number): number => wholePages(videoBase(size) + video);

export class GuestRam implements GuestMemory, PhysicalMemory {
  readonly memory: WebAssembly.Memory;
  readonly memoryPages: { readonly initial: number; readonly maximum: number };
  /** Bytes of RAM from guest-physical 0 up. */
  readonly size: number;
  /** Where there is any: mapped nowhere at first. */
  readonly video: VideoMemory | undefined;
  /** Where in `memory` the bytes for tools are. */
  readonly toolsAt: number;
  readonly #bytes: Uint8Array;
  readonly #videoBase: number;
  #videoAt: { readonly address: number; readonly length: number } | undefined;
  /** Told before bytes of a page that code was decoded from are changed, or cannot be fetched any more. */
  onCodeWritten: (first: number, last: number) => void = () => {};
  /** Told after something else lies at some pages. */
  onKindChanged: (address: number, length: number) => void = () => {};
  /** Told before video memory is mapped: how far its bytes are from where RAM at its address would have them. */
  onVideoPlaced: (offset: number) => void = () => {};

  constructor(size: number, { video = 0, tools = 0 }: GuestRamOptions = {}) {
    this.#videoBase = videoBase(size);
    this.toolsAt = toolsAt(size, video);
    const pages = Math.ceil((this.toolsAt + tools) / WASM_PAGE);
    this.memoryPages = { initial: pages, maximum: pages };
    this.memory = new WebAssembly.Memory({ ...this.memoryPages, shared: true });
    this.#bytes = new Uint8Array(this.memory.buffer);
    this.size = size;
    this.#bytes.fill(PAGE.io, PAGE_FLAGS + size / GUEST_PAGE, PAGE_FLAGS + PAGES_BELOW_4G);
    this.setKind(0xa0000, 0x20000, "device");
    if (video > 0) {
      const bytes = this.#bytes.subarray(this.#videoBase, this.#videoBase + video);
      this.video = { bytes, map: (address) => this.mapVideo(address, bytes.length) };
    }
  }

  setKind(address: number, length: number, kind: MemoryKind): void {
    this.storage(address, length);
    if (kind === "device") this.#codeGoes(address, length);
    this.#setFlags(address, length, FLAGS[kind]);
    this.onKindChanged(address, length);
  }

  storage(address: number, length: number, access: "read" | "write" = "read"): Uint8Array {
    const isRam = address >= 0 && address + length <= this.size;
    if (!isRam && !(address >= FOUR_GIB - ROM_SIZE && address + length <= FOUR_GIB)) {
      throw new RangeError(`no memory for ${length} bytes at ${address.toString(16)}`);
    }
    if (access === "write") this.#codeGoes(address, length);
    const at = hostAddress(address);
    return this.#bytes.subarray(at, at + length);
  }

  /**
   * Has the processor find video memory at a physical address, as far as a device's pages lie there: elsewhere it stays
   * with what is there, and is reached by the memory bus.
   */
  protected mapVideo(address: GuestPhysical | undefined, length: number): void {
    const before = this.#videoAt;
    if (before) {
      this.#setFlags(before.address, before.length, PAGE.io);
      this.#videoAt = undefined;
      this.onKindChanged(before.address, before.length);
    }
    if (address === undefined || address % GUEST_PAGE !== 0 || address + length > FOUR_GIB) return;
    for (let page = address / GUEST_PAGE; page < (address + length) / GUEST_PAGE; page++) {
      if (this.#bytes[PAGE_FLAGS + page] !== PAGE.io) return;
    }
    this.onVideoPlaced(this.#videoBase - hostAddress(address));
    this.#setFlags(address, length, PAGE.io | PAGE.video);
    this.#videoAt = { address, length };
    this.onKindChanged(address, length);
  }

  #setFlags(address: number, length: number, flags: number): void {
    const first = PAGE_FLAGS + address / GUEST_PAGE;
    for (let i = 0; i < length / GUEST_PAGE; i++) {
      this.#bytes[first + i] = ((this.#bytes[first + i] as number) & PAGE.code) | flags;
    }
  }

  #codeGoes(address: number, length: number): void {
    const last = address + Math.max(length, 1) - 1;
    for (let page = Math.floor(address / GUEST_PAGE); page <= Math.floor(last / GUEST_PAGE); page++) {
      if (((this.#bytes[PAGE_FLAGS + page] as number) & PAGE.code) === 0) continue;
      this.onCodeWritten(address, last);
      return;
    }
  }

  view(address: GuestPhysical, length: number, access: "read" | "write"): Uint8Array | undefined {
    if (!(address >= 0 && length >= 0 && address + length <= FOUR_GIB)) return undefined;
    const last = address + Math.max(length, 1) - 1;
    let code = false;
    for (let page = Math.floor(address / GUEST_PAGE); page <= Math.floor(last / GUEST_PAGE); page++) {
      const flags = this.#bytes[PAGE_FLAGS + page] as number;
      if (flags & PAGE.io) return this.#videoView(address, length);
      if (flags & PAGE.readOnly && access === "write") return undefined;
      if (flags & PAGE.code) code = true;
    }
    if (code && access === "write") this.onCodeWritten(address, last);
    const at = hostAddress(address);
    return this.#bytes.subarray(at, at + length);
  }

  has(address: GuestPhysical, length: number): boolean {
    if (!(address >= 0 && length >= 0 && address + length <= FOUR_GIB)) return false;
    const last = address + Math.max(length, 1) - 1;
    for (let page = Math.floor(address / GUEST_PAGE); page <= Math.floor(last / GUEST_PAGE); page++) {
      if ((this.#bytes[PAGE_FLAGS + page] as number) & PAGE.io) return this.#isVideo(address, length);
    }
    return true;
  }

  #isVideo(address: number, length: number): boolean {
    const video = this.#videoAt;
    return video !== undefined && address >= video.address && address + length <= video.address + video.length;
  }

  #videoView(address: number, length: number): Uint8Array | undefined {
    const video = this.#videoAt;
    if (!video || !this.#isVideo(address, length)) return undefined;
    const at = this.#videoBase + address - video.address;
    return this.#bytes.subarray(at, at + length);
  }

  /** All of RAM, for loaders, hashes and snapshots. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(RAM_BASE, RAM_BASE + this.size);
  }
}
