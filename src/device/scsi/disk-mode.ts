/** Mode pages of a disk. @spec SBC-3 §6.4; SPC-4 §7.5 */
import { concatBytes } from "./cdrom-layout.ts";
import { PageControl } from "./cdrom-mode.ts";

const Page = { errorRecovery: 0x01, caching: 0x08, control: 0x0a, all: 0x3f } as const;
const PAGES = [Page.errorRecovery, Page.caching, Page.control] as const;
const WRITE_CACHE = 0x04;
/** Device-specific parameter of the header. */
const WRITE_PROTECTED = 0x80;
const FORCE_UNIT_ACCESS = 0x10;

function page(code: number, control: number, writeCache: boolean): Uint8Array | undefined {
  const changeable = control === PageControl.changeable;
  switch (code) {
    case Page.errorRecovery:
      // Automatic reallocation of blocks that cannot be written or read.
      return Uint8Array.of(code, 10, changeable ? 0 : 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    case Page.caching: {
      const bytes = new Uint8Array(20);
      bytes.set([code, 18, changeable || control === PageControl.default || writeCache ? WRITE_CACHE : 0]);
      return bytes;
    }
    case Page.control:
      // Commands may be reordered without restriction.
      return Uint8Array.of(code, 10, 0, changeable ? 0 : 0x10, 0, 0, 0, 0, 0, 0, 0, 0);
    default:
      return undefined;
  }
}

/** MODE SENSE's answer; undefined where there is no such page. */
export function modeSense(
  long: boolean,
  code: number,
  control: number,
  { writeCache, readOnly }: { writeCache: boolean; readOnly: boolean },
): Uint8Array | undefined {
  const codes = code === Page.all ? PAGES : [code];
  const found = codes.map((each) => page(each, control, writeCache));
  if (found.some((each) => each === undefined)) return undefined;
  const pages = concatBytes(...(found as Uint8Array[]));
  const parameter = (readOnly ? WRITE_PROTECTED : 0) | FORCE_UNIT_ACCESS;
  const header = long
    ? Uint8Array.of(0, 6 + pages.length, 0, parameter, 0, 0, 0, 0)
    : Uint8Array.of(3 + pages.length, 0, parameter, 0);
  return concatBytes(header, pages);
}

/** MODE SELECT: whether the write cache is to be on, or undefined where the list is not as it must be. */
export function modeSelect(long: boolean, list: Uint8Array, writeCache: boolean): boolean | undefined {
  const header = long ? 8 : 4;
  if (list.length === 0) return writeCache;
  if (list.length < header) return undefined;
  const descriptors = long ? (list[6]! << 8) | list[7]! : list[3]!;
  let result = writeCache;
  for (let at = header + descriptors; at < list.length; ) {
    const code = list[at]! & 0x3f;
    const current = page(code, PageControl.current, writeCache);
    const mask = page(code, PageControl.changeable, writeCache);
    const given = list.subarray(at, at + (current?.length ?? 0));
    if (!current || !mask || given.length < current.length || given[1] !== current[1]) return undefined;
    // What cannot be changed must be as it is.
    for (let i = 2; i < given.length; i++) if (((given[i]! ^ current[i]!) & ~mask[i]!) !== 0) return undefined;
    if (code === Page.caching) result = (given[2]! & WRITE_CACHE) !== 0;
    at += given.length;
  }
  return result;
}
