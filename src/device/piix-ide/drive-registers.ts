/**
 * The registers of one drive on a channel. Those of two bytes have their previous content in bits 8 to 15.
 * @spec ATA/ATAPI-7 volume 2 §5.2
 */
import type { AtaEnd, TaskFile } from "../ata/ata-drive.ts";
import { Device } from "../ata/registers.ts";

/** Offsets from the command block's first port. */
export const Register = {
  data: 0,
  error: 1,
  features: 1,
  count: 2,
  low: 3,
  mid: 4,
  high: 5,
  device: 6,
  status: 7,
  command: 7,
} as const;

export interface DriveRegisters {
  features: number;
  count: number;
  low: number;
  mid: number;
  high: number;
  device: number;
  status: number;
  error: number;
  /** An interrupt is pending. */
  interrupt: boolean;
}

export function driveRegisters(): DriveRegisters {
  return { features: 0, count: 0, low: 0, mid: 0, high: 0, device: 0, status: 0, error: 0, interrupt: false };
}

/** Bits 5 and 7 of the device register are ones on drives that follow the older standards. */
const DEVICE_ONES = 0xa0;

/** `previous`: the previous content of the registers that have one. */
export function readRegister(registers: DriveRegisters, register: number, previous: boolean): number {
  const shift = previous ? 8 : 0;
  switch (register) {
    case Register.error:
      return registers.error;
    case Register.count:
      return (registers.count >>> shift) & 0xff;
    case Register.low:
      return (registers.low >>> shift) & 0xff;
    case Register.mid:
      return (registers.mid >>> shift) & 0xff;
    case Register.high:
      return (registers.high >>> shift) & 0xff;
    case Register.device:
      return registers.device | DEVICE_ONES;
    default:
      return registers.status;
  }
}

const pushed = (register: number, value: number): number => ((register & 0xff) << 8) | value;

export function writeRegister(registers: DriveRegisters, register: number, value: number): void {
  switch (register) {
    case Register.features:
      registers.features = pushed(registers.features, value);
      break;
    case Register.count:
      registers.count = pushed(registers.count, value);
      break;
    case Register.low:
      registers.low = pushed(registers.low, value);
      break;
    case Register.mid:
      registers.mid = pushed(registers.mid, value);
      break;
    case Register.high:
      registers.high = pushed(registers.high, value);
      break;
    case Register.device:
      registers.device = value & (Device.lba | Device.second | Device.head);
      break;
  }
}

export function taskFileOf({ features, count, low, mid, high, device }: DriveRegisters, command: number): TaskFile {
  const current = (low & 0xff) | ((mid & 0xff) << 8) | ((high & 0xff) << 16);
  const previous = (low >>> 8) | (mid & 0xff00) | ((high & 0xff00) << 8);
  return { command, features, count, lba: current + previous * 2 ** 24, device };
}

/** Sets the registers that a command's end, or a signature, gives. */
export function setLocation(registers: DriveRegisters, { count, lba, device }: Partial<AtaEnd>): void {
  if (count !== undefined) registers.count = (registers.count & 0xff00) | (count & 0xff);
  if (device !== undefined) registers.device = device;
  if (lba === undefined) return;
  const high = Math.floor(lba / 2 ** 24);
  registers.low = (lba & 0xff) | ((high & 0xff) << 8);
  registers.mid = ((lba >>> 8) & 0xff) | (((high >>> 8) & 0xff) << 8);
  registers.high = ((lba >>> 16) & 0xff) | (((high >>> 16) & 0xff) << 8);
}
