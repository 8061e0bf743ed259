/** A set of cluster numbers, as bits: however many clusters a guest zeroes, this stays small. */

/** Clusters per page of bits. */
const PAGE_CLUSTERS = 32 * 1024;

export class ClusterSet {
  readonly #pages = new Map<number, Uint8Array>();

  has(index: number): boolean {
    const page = this.#pages.get(Math.floor(index / PAGE_CLUSTERS));
    const bit = index % PAGE_CLUSTERS;
    return page !== undefined && (page[bit >>> 3]! & (1 << (bit & 7))) !== 0;
  }

  add(index: number): void {
    const number = Math.floor(index / PAGE_CLUSTERS);
    let page = this.#pages.get(number);
    if (page === undefined) {
      page = new Uint8Array(PAGE_CLUSTERS / 8);
      this.#pages.set(number, page);
    }
    const bit = index % PAGE_CLUSTERS;
    page[bit >>> 3]! |= 1 << (bit & 7);
  }

  delete(index: number): void {
    const page = this.#pages.get(Math.floor(index / PAGE_CLUSTERS));
    const bit = index % PAGE_CLUSTERS;
    if (page !== undefined) page[bit >>> 3]! &= ~(1 << (bit & 7));
  }
}
