/**
 * Bit fields of a register, named as in its datasheet.
 *
 *     const Lsr = bits({ dataReady: 0, overrun: 1, fifo: [6, 7] });
 *     Lsr(0x41).dataReady       // true
 *     Lsr(0x41).fifo            // 1
 *     Lsr.pack({ dataReady: true, fifo: 3 })   // 0xc1
 *     Lsr.mask.overrun          // 2
 */
export type FieldSpec = number | readonly [low: number, high: number];
type FieldValue<F> = F extends number ? boolean : number;
export type Fields<S> = { readonly [K in keyof S]: FieldValue<S[K]> };

export interface BitFields<S extends Record<string, FieldSpec>> {
  /** The fields of `value`, each a boolean (one bit) or an unsigned number (a range). */
  (value: number): Fields<S>;
  /** A register value with the given fields set and all others zero. */
  pack(fields: Partial<Fields<S>>): number;
  /** `value` with the given fields replaced. */
  with(value: number, fields: Partial<Fields<S>>): number;
  /** Each field's bits, in place. */
  readonly mask: { readonly [K in keyof S]: number };
}

/** Defines the bit fields of a register of up to 32 bits: a bit number, or `[lowest, highest]`. */
export function bits<const S extends Record<string, FieldSpec>>(spec: S): BitFields<S> {
  const layout = Object.entries(spec).map(([name, field]) => {
    const [low, high] = typeof field === "number" ? [field, field] : field;
    const mask = ((2 ** (high - low + 1) - 1) * 2 ** low) >>> 0;
    return { name, low, mask, flag: typeof field === "number" };
  });
  const read = (value: number): Fields<S> => {
    const fields: Record<string, boolean | number> = {};
    for (const { name, low, mask, flag } of layout) {
      const raw = (value & mask) >>> low;
      fields[name] = flag ? raw !== 0 : raw;
    }
    return fields as Fields<S>;
  };
  const replace = (value: number, fields: Partial<Fields<S>>): number => {
    let result = value;
    for (const { name, low, mask } of layout) {
      const field = (fields as Record<string, boolean | number | undefined>)[name];
      if (field !== undefined) result = (result & ~mask) | ((Number(field) << low) & mask);
    }
    return result >>> 0;
  };
  const mask = Object.fromEntries(layout.map((field) => [field.name, field.mask]));
  return Object.assign(read, {
    pack: (fields: Partial<Fields<S>>) => replace(0, fields),
    with: replace,
    mask: mask as { readonly [K in keyof S]: number },
  });
}
