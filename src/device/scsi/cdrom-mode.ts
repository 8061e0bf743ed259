/**
 * Mode pages of a CD or DVD drive.
 * @spec MMC-6 §7; SPC-4 §7.5 for the parameter list's header
 */
import { concatBytes, ModePage } from "./cdrom-layout.ts";

/** What of the pages can be changed, and what they tell. */
export interface ModeState {
  /** Error recovery parameter and retry count, bytes 2 and 3 of page 01h. */
  readonly errorRecovery: Uint8Array;
  readonly locked: boolean;
}

/** Kilobytes a second: 40 times the speed of a CD. */
const SPEED = 7056;
const BUFFER_KB = 512;
const RETRIES = 5;

export const defaultErrorRecovery = (): Uint8Array => Uint8Array.of(0, RETRIES);

const u16 = (value: number): [number, number] => [value >>> 8, value & 0xff];

/** Page control of MODE SENSE. */
export const PageControl = { current: 0, changeable: 1, default: 2, saved: 3 } as const;

function page(code: number, control: number, { errorRecovery, locked }: ModeState): Uint8Array | undefined {
  const changeable = control === PageControl.changeable;
  switch (code) {
    case ModePage.readErrorRecovery: {
      const current = control === PageControl.default ? defaultErrorRecovery() : errorRecovery;
      const [parameter, retries] = changeable ? [0xff, 0xff] : [current[0]!, current[1]!];
      return Uint8Array.of(code, 6, parameter, retries, 0, 0, 0, 0);
    }
    case ModePage.power:
      return Uint8Array.of(code, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    case ModePage.capabilities: {
      // Reads CD-R, CD-RW and DVD-ROM; several sessions; a tray that can be locked and ejected.
      const body = [0x0b, 0x00, 0x40, 0x00, 0x29 | (locked ? 2 : 0), 0x00];
      body.push(...u16(SPEED), ...u16(0), ...u16(BUFFER_KB), ...u16(SPEED), 0, 0, 0, 0);
      return Uint8Array.of(code, body.length, ...(changeable ? body.map(() => 0) : body));
    }
    default:
      return undefined;
  }
}

/** The pages asked for, one after the other; undefined where there is no such page. */
export function modePages(code: number, control: number, state: ModeState): Uint8Array | undefined {
  if (code !== ModePage.all) return page(code, control, state);
  const all = [ModePage.readErrorRecovery, ModePage.power, ModePage.capabilities];
  return concatBytes(...all.map((each) => page(each, control, state)!));
}

/** The header of MODE SENSE's answer, for 10 or 6 bytes of command. */
export function modeHeader(long: boolean, mediumType: number, pagesLength: number): Uint8Array {
  if (!long) return Uint8Array.of(Math.min(3 + pagesLength, 255), mediumType, 0, 0);
  return Uint8Array.of(...u16(6 + pagesLength), mediumType, 0, 0, 0, 0, 0);
}

/**
 * MODE SELECT: the error recovery values that the list sets, or undefined where it is not as it must be. Pages whose
 * values cannot change must have the values that they have.
 */
export function selectPages(long: boolean, list: Uint8Array, state: ModeState): Uint8Array | undefined {
  const header = long ? 8 : 4;
  if (list.length < header) return undefined;
  const descriptors = long ? (list[6]! << 8) | list[7]! : list[3]!;
  let errorRecovery = state.errorRecovery.slice();
  for (let at = header + descriptors; at < list.length; ) {
    const code = list[at]! & 0x3f;
    const current = page(code, PageControl.current, state);
    const given = list.subarray(at, at + (current?.length ?? 0));
    if (current === undefined || given.length < current.length || given[1] !== current[1]) return undefined;
    if (code === ModePage.readErrorRecovery) errorRecovery = given.slice(2, 4);
    else if (given.some((byte, index) => index > 0 && byte !== current[index])) return undefined;
    at += given.length;
  }
  return errorRecovery;
}
