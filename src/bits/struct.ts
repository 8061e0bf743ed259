/**
 * Byte structs: a layout declared once, read and written through a typed view of bytes.
 *
 *     const Header = struct("LE", { magic: u32, size: u16, name: bytes(8), next: u64 });
 *     const header = Header.at(buffer, 0x40);
 *     header.size = 3;            // numbers for u8 to u32, bigint for u64, Uint8Array for bytes
 *     Header.offset.size          // 4
 *     Header.size                 // 22; fields are packed, no padding is added
 */
export type Endianness = "LE" | "BE";

export interface FieldType<T> {
  readonly size: number;
  get(view: DataView, at: number, littleEndian: boolean): T;
  set(view: DataView, at: number, value: T, littleEndian: boolean): void;
}

export const u8: FieldType<number> = {
  size: 1,
  get: (view, at) => view.getUint8(at),
  set: (view, at, value) => view.setUint8(at, value),
};
export const u16: FieldType<number> = {
  size: 2,
  get: (view, at, le) => view.getUint16(at, le),
  set: (view, at, value, le) => view.setUint16(at, value, le),
};
export const u32: FieldType<number> = {
  size: 4,
  get: (view, at, le) => view.getUint32(at, le),
  set: (view, at, value, le) => view.setUint32(at, value, le),
};
export const u64: FieldType<bigint> = {
  size: 8,
  get: (view, at, le) => view.getBigUint64(at, le),
  set: (view, at, value, le) => view.setBigUint64(at, value, le),
};
/** `size` raw bytes; reading gives a view of them, writing copies and fills up with zeros. */
export const bytes = (size: number): FieldType<Uint8Array> => ({
  size,
  get: (view, at) => new Uint8Array(view.buffer, view.byteOffset + at, size),
  set: (view, at, value) => {
    const target = new Uint8Array(view.buffer, view.byteOffset + at, size);
    target.fill(0).set(value.subarray(0, size));
  },
});

type Spec = Record<string, FieldType<number> | FieldType<bigint> | FieldType<Uint8Array>>;
export type StructView<S> = { -readonly [K in keyof S]: S[K] extends FieldType<infer T> ? T : never };

export interface Struct<S extends Spec> {
  /** Bytes, without padding. */
  readonly size: number;
  /** Each field's byte offset. */
  readonly offset: { readonly [K in keyof S]: number };
  /** A live view of `buffer` at byte `at`; throws RangeError where the struct does not fit. */
  at(buffer: Uint8Array, at?: number): StructView<S>;
  /** New bytes with the given fields, all others zero. */
  make(fields: Partial<StructView<S>>): Uint8Array;
}

/** Defines a packed struct; fields stand in the order given. */
export function struct<const S extends Spec>(endianness: Endianness, spec: S): Struct<S> {
  const littleEndian = endianness === "LE";
  const offset: Record<string, number> = {};
  let size = 0;
  for (const [name, type] of Object.entries(spec)) {
    offset[name] = size;
    size += type.size;
  }
  class View {
    readonly view: DataView;
    constructor(view: DataView) {
      this.view = view;
    }
  }
  for (const [name, type] of Object.entries(spec)) {
    const at = offset[name] as number;
    Object.defineProperty(View.prototype, name, {
      enumerable: true,
      get(this: View) {
        return type.get(this.view, at, littleEndian);
      },
      set(this: View, value: never) {
        (type as FieldType<unknown>).set(this.view, at, value, littleEndian);
      },
    });
  }
  const viewAt = (buffer: Uint8Array, at = 0) =>
    new View(new DataView(buffer.buffer, buffer.byteOffset + at, size)) as unknown as StructView<S>;
  return {
    size,
    offset: offset as { readonly [K in keyof S]: number },
    at: viewAt,
    make(fields) {
      const buffer = new Uint8Array(size);
      Object.assign(viewAt(buffer) as object, fields);
      return buffer;
    },
  };
}
