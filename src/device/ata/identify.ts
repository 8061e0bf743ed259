/**
 * IDENTIFY DEVICE and IDENTIFY PACKET DEVICE data.
 * @spec ATA/ATAPI-7 volume 1 §6.17, §6.18; ACS-3 §7.12 for words 76 to 79, 105, 169, 217
 */

export const IDENTIFY_LENGTH = 512;
/** Sectors of the largest block of READ MULTIPLE. */
export const MAX_MULTIPLE = 16;
/** Blocks of 512 bytes of ranges that DATA SET MANAGEMENT takes. */
export const MAX_TRIM_BLOCKS = 8;
/** Commands in flight of NCQ. */
export const QUEUE_DEPTH = 32;
const LBA28_LIMIT = 0x0fff_ffff;

export interface DiskIdentity {
  readonly sectors: number;
  readonly serial: string;
  readonly model: string;
  readonly interface: "pata" | "sata";
  readonly geometry: { readonly cylinders: number; readonly heads: number; readonly sectors: number };
  readonly current: { readonly heads: number; readonly sectors: number };
  /** Sectors of a block of READ MULTIPLE; 0 for disabled. */
  readonly multiple: number;
  readonly writeCache: boolean;
  readonly readAhead: boolean;
  readonly transferMode: number;
}

export interface PacketIdentity {
  readonly serial: string;
  readonly model: string;
  readonly interface: "pata" | "sata";
  readonly transferMode: number;
}

const FIRMWARE = "1.0";

/** Word n of the standard's tables is bytes 2n and 2n + 1. */
class Words {
  readonly bytes = new Uint8Array(IDENTIFY_LENGTH);
  readonly #view = new DataView(this.bytes.buffer);
  set(word: number, ...values: readonly number[]): void {
    for (const [i, value] of values.entries()) this.#view.setUint16((word + i) * 2, value, true);
  }
  set32(word: number, value: number): void {
    this.#view.setUint32(word * 2, value, true);
  }
  /** ASCII with the bytes of each word swapped, padded with spaces. */
  text(word: number, length: number, text: string): void {
    for (let i = 0; i < length; i++)
      this.bytes[(word * 2 + i) ^ 1] = i < text.length ? text.charCodeAt(i) & 0x7f : 0x20;
  }
  /** The signature and checksum of word 255. */
  seal(): Uint8Array {
    this.bytes[510] = 0xa5;
    let sum = 0;
    for (let i = 0; i < 511; i++) sum += this.bytes[i]!;
    this.bytes[511] = -sum;
    return this.bytes;
  }
}

/** SET FEATURES's transfer mode: the kind in bits 3 to 7, the mode below. */
const TransferKind = { multiwordDma: 0x20, ultraDma: 0x40 } as const;

/** Whether a transfer mode is one that the drives have: PIO 0 to 4, multiword DMA 0 to 2, Ultra DMA 0 to 5. */
export function isTransferMode(mode: number): boolean {
  const kind = mode & 0xf8;
  const number = mode & 7;
  if (mode <= 1) return true;
  if (kind === 0x08) return number <= 4;
  if (kind === TransferKind.multiwordDma) return number <= 2;
  return kind === TransferKind.ultraDma && number <= 5;
}

/** The mode that a drive wakes up with. */
export const DEFAULT_TRANSFER_MODE = TransferKind.ultraDma | 5;

function transferModes(words: Words, mode: number): void {
  const active = 1 << (8 + (mode & 7));
  words.set(53, 0x0007);
  words.set(63, 0x0007 | ((mode & 0xf8) === TransferKind.multiwordDma ? active : 0));
  // PIO 3 and 4; cycle times in nanoseconds.
  words.set(64, 0x0003, 120, 120, 120, 120);
  words.set(88, 0x003f | ((mode & 0xf8) === TransferKind.ultraDma ? active : 0));
}

/** An 80-conductor cable, found by device 0; SATA has no such thing. */
const HARDWARE_RESET_RESULT = 0x6001;
/** ATA/ATAPI-4 to -7, and ATA8-ACS. */
const MAJOR_VERSION = 0x01f0;

export function identifyDisk(disk: DiskIdentity): Uint8Array {
  const words = new Words();
  const { geometry, current, sectors } = disk;
  const sata = disk.interface === "sata";
  words.set(0, 0x0040, geometry.cylinders, 0, geometry.heads);
  words.set(6, geometry.sectors);
  words.text(10, 20, disk.serial);
  words.text(23, 8, FIRMWARE);
  words.text(27, 40, disk.model);
  words.set(47, 0x8000 | MAX_MULTIPLE);
  // Standby timers as the standard has them, IORDY, LBA, DMA.
  words.set(49, 0x2f00, 0x4000, 0x0200);
  const perCylinder = current.heads * current.sectors;
  const cylinders = Math.min(Math.floor(sectors / perCylinder), 65535);
  words.set(54, cylinders, current.heads, current.sectors);
  words.set32(57, cylinders * perCylinder);
  words.set(59, disk.multiple === 0 ? 0 : 0x0100 | disk.multiple);
  words.set32(60, Math.min(sectors, LBA28_LIMIT));
  transferModes(words, disk.transferMode);
  if (sata) words.set(75, QUEUE_DEPTH - 1, 0x010e, 0, 0, 0);
  words.set(80, MAJOR_VERSION);
  // NOP, read ahead, write cache, power management, security; flush, 48 bits; FUA, logs.
  words.set(82, 0x406a, 0x7400, 0x4060);
  words.set(85, 0x4008 | (disk.writeCache ? 0x20 : 0) | (disk.readAhead ? 0x40 : 0), 0x3400, 0x4060);
  if (!sata) words.set(93, HARDWARE_RESET_RESULT);
  words.set32(100, sectors % 2 ** 32);
  words.set32(102, Math.floor(sectors / 2 ** 32));
  words.set(105, MAX_TRIM_BLOCKS);
  words.set(106, 0x4000);
  // Security is there and frozen.
  words.set(128, 0x0009);
  words.set(169, 0x0001);
  // Not a rotating medium.
  words.set(217, 0x0001);
  if (sata) words.set(222, 0x1020);
  return words.seal();
}

export function identifyPacketDevice(drive: PacketIdentity): Uint8Array {
  const words = new Words();
  const sata = drive.interface === "sata";
  // A CD drive with removable media, that asks for the packet within 50 us and without an interrupt: 12 bytes.
  words.set(0, 0x85c0);
  words.text(10, 20, drive.serial);
  words.text(23, 8, FIRMWARE);
  words.text(27, 40, drive.model);
  words.set(49, 0x0f00, 0, 0x0200);
  transferModes(words, drive.transferMode);
  if (sata) words.set(76, 0x000e);
  words.set(80, MAJOR_VERSION);
  // NOP, DEVICE RESET, PACKET, power management.
  words.set(82, 0x4218, 0x4000, 0x4000, 0x4218, 0, 0x4000);
  if (!sata) words.set(93, HARDWARE_RESET_RESULT);
  return words.seal();
}
