/** Sizes for people. */
const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];

/** "1.5 GiB"; whole where it is. */
export function formatBytes(bytes: number): string {
  let unit = 0;
  let value = bytes;
  for (; value >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024;
  const rounded = Number.isInteger(value) ? String(value) : value.toFixed(value < 10 ? 2 : 1);
  return `${rounded} ${UNITS[unit]}`;
}
