/** Guest RAM: the memory object that a machine lives in, and the views that bus masters get of it. */
import type { GuestPhysical } from "../bits/units.ts";
import { PAGE, PAGE_FLAGS, RAM_BASE } from "../cpu/state.ts";
import type { GuestMemory } from "../machine/device.ts";

const WASM_PAGE = 65536;
const GUEST_PAGE = 4096;
const PAGES_BELOW_4G = 2 ** 20;

export class GuestRam implements GuestMemory {
  readonly memory: WebAssembly.Memory;
  readonly memoryPages: { readonly initial: number; readonly maximum: number };
  /** Bytes of RAM from guest-physical 0 up. */
  readonly size: number;
  readonly #bytes: Uint8Array;
  /** Told before bytes of a page that code was decoded from are changed. */
  onCodeWritten: (first: number, last: number) => void = () => {};

  constructor(size: number) {
    const pages = Math.ceil((RAM_BASE + size) / WASM_PAGE);
    this.memoryPages = { initial: pages, maximum: pages };
    this.memory = new WebAssembly.Memory({ ...this.memoryPages, shared: true });
    this.#bytes = new Uint8Array(this.memory.buffer);
    this.size = size;
    this.#bytes.fill(PAGE.io, PAGE_FLAGS + size / GUEST_PAGE, PAGE_FLAGS + PAGES_BELOW_4G);
    this.setPages(0xa0000, 0x20000, PAGE.io);
  }

  /** What lies at a range of whole pages below the end of RAM: RAM (0), ROM (`PAGE.readOnly`) or a device (`PAGE.io`). */
  setPages(address: number, length: number, flags: number): void {
    const first = PAGE_FLAGS + address / GUEST_PAGE;
    for (let i = 0; i < length / GUEST_PAGE; i++) {
      this.#bytes[first + i] = ((this.#bytes[first + i] as number) & PAGE.code) | flags;
    }
  }

  view(address: GuestPhysical, length: number, access: "read" | "write"): Uint8Array | undefined {
    if (!(address >= 0 && length >= 0 && address + length <= this.size)) return undefined;
    const last = address + Math.max(length, 1) - 1;
    let code = false;
    for (let page = Math.floor(address / GUEST_PAGE); page <= Math.floor(last / GUEST_PAGE); page++) {
      const flags = this.#bytes[PAGE_FLAGS + page] as number;
      if (flags & PAGE.io || (flags & PAGE.readOnly && access === "write")) return undefined;
      if (flags & PAGE.code) code = true;
    }
    if (code && access === "write") this.onCodeWritten(address, last);
    return this.#bytes.subarray(RAM_BASE + address, RAM_BASE + address + length);
  }

  /** All of RAM, for loaders, hashes and snapshots. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(RAM_BASE, RAM_BASE + this.size);
  }
}
