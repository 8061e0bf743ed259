/** Cylinders, heads and sectors for headers that ask for them. */
export interface Geometry {
  readonly cylinders: number;
  readonly heads: number;
  readonly sectors: number;
}

/** @spec Microsoft "Virtual Hard Disk Image Format Specification" 1.0, Appendix "CHS Calculation" */
export function vhdGeometry(totalSectors: number): Geometry {
  const total = Math.min(totalSectors, 65535 * 16 * 255);
  if (total >= 65535 * 16 * 63) {
    return { cylinders: Math.floor(total / 255 / 16), heads: 16, sectors: 255 };
  }
  let sectors = 17;
  let perHead = Math.floor(total / sectors);
  let heads = Math.max(4, Math.floor((perHead + 1023) / 1024));
  if (perHead >= heads * 1024 || heads > 16) {
    sectors = 31;
    heads = 16;
    perHead = Math.floor(total / sectors);
  }
  if (perHead >= heads * 1024) {
    sectors = 63;
    heads = 16;
    perHead = Math.floor(total / sectors);
  }
  return { cylinders: Math.floor(perHead / heads), heads, sectors };
}
