/** Entries of refcount blocks, which are 1 to 64 bits wide. @spec "Refcount block entry" */

/** A count wider than this is not reached: it counts as damage. */
const MOST = 2 ** 53 - 1;

export interface RefcountBits {
  /** Entries in a block of one cluster. */
  readonly entries: number;
  /** The largest count. */
  readonly most: number;
  get(view: DataView, index: number): number;
  set(view: DataView, index: number, count: number): void;
}

/** `order` is the width's power of two. */
export function refcountBits(order: number, clusterSize: number): RefcountBits {
  const entries = (clusterSize * 8) / 2 ** order;
  if (order < 3) {
    // Entry 0 is in the least significant bits of its byte.
    const perByte = 8 >> order;
    const most = 2 ** (2 ** order) - 1;
    const shift = (index: number) => (index % perByte) << order;
    return {
      entries,
      most,
      get: (view, index) => (view.getUint8(Math.floor(index / perByte)) >>> shift(index)) & most,
      set: (view, index, count) => {
        const at = Math.floor(index / perByte);
        view.setUint8(at, (view.getUint8(at) & ~(most << shift(index))) | (count << shift(index)));
      },
    };
  }
  switch (order) {
    case 3:
      return {
        entries,
        most: 0xff,
        get: (view, index) => view.getUint8(index),
        set: (view, index, count) => view.setUint8(index, count),
      };
    case 4:
      return {
        entries,
        most: 0xffff,
        get: (view, index) => view.getUint16(index * 2),
        set: (view, index, count) => view.setUint16(index * 2, count),
      };
    case 5:
      return {
        entries,
        most: 0xffff_ffff,
        get: (view, index) => view.getUint32(index * 4),
        set: (view, index, count) => view.setUint32(index * 4, count),
      };
    default:
      return {
        entries,
        most: MOST,
        get: (view, index) => view.getUint32(index * 8) * 2 ** 32 + view.getUint32(index * 8 + 4),
        set: (view, index, count) => {
          view.setUint32(index * 8, Math.floor(count / 2 ** 32));
          view.setUint32(index * 8 + 4, count % 2 ** 32);
        },
      };
  }
}
