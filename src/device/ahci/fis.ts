/**
 * Frame information structures between a SATA host and a device.
 * @spec Serial ATA 3.0 §10.3
 */
import type { AtaEnd, TaskFile } from "../ata/ata-drive.ts";

export const FisType = { registerToDevice: 0x27, registerToHost: 0x34, pioSetup: 0x5f, setDeviceBits: 0xa1 } as const;
export const REGISTER_FIS_LENGTH = 20;
const COMMAND = 0x80;
const INTERRUPT = 0x40;
const TO_HOST = 0x20;

export interface HostFis {
  /** The command register was written, or else the control register. */
  readonly isCommand: boolean;
  readonly taskFile: TaskFile;
  readonly control: number;
}

/** What the host sends; undefined where it is no register FIS. */
export function parseHostFis(bytes: Uint8Array): HostFis | undefined {
  if (bytes.length < REGISTER_FIS_LENGTH || bytes[0] !== FisType.registerToDevice) return undefined;
  const at = (index: number): number => bytes[index]!;
  const low = at(4) | (at(5) << 8) | (at(6) << 16);
  const high = at(8) | (at(9) << 8) | (at(10) << 16);
  return {
    isCommand: (at(1) & COMMAND) !== 0,
    taskFile: {
      command: at(2),
      features: at(3) | (at(11) << 8),
      count: at(12) | (at(13) << 8),
      lba: low + high * 2 ** 24,
      device: at(7),
    },
    control: at(15),
  };
}

/** Bytes 2 to 13, which a register FIS and PIO Setup share. */
function registers(fis: Uint8Array, { count, lba, device }: TaskFile, end: AtaEnd): void {
  fis[2] = end.status;
  fis[3] = end.error;
  const address = end.lba ?? lba;
  for (const [index, at] of [4, 5, 6, 8, 9, 10].entries()) fis[at] = Math.floor(address / 2 ** (8 * index)) & 0xff;
  fis[7] = end.device ?? device;
  fis[12] = end.count ?? count & 0xff;
  fis[13] = end.count === undefined ? count >>> 8 : 0;
}

export function registerFis(taskFile: TaskFile, end: AtaEnd): Uint8Array {
  const fis = new Uint8Array(REGISTER_FIS_LENGTH);
  fis[0] = FisType.registerToHost;
  fis[1] = INTERRUPT;
  registers(fis, taskFile, end);
  return fis;
}

/** `end` has the registers after the data; `drq` the status before. */
export function pioSetupFis(taskFile: TaskFile, end: AtaEnd, drq: number, length: number, toHost: boolean): Uint8Array {
  const fis = new Uint8Array(REGISTER_FIS_LENGTH);
  fis[0] = FisType.pioSetup;
  fis[1] = INTERRUPT | (toHost ? TO_HOST : 0);
  registers(fis, taskFile, end);
  fis[2] = drq;
  fis[15] = end.status;
  fis[16] = length & 0xff;
  fis[17] = (length >>> 8) & 0xff;
  return fis;
}

/** Tells which queued commands have completed, by tag. */
export function setDeviceBitsFis({ status, error }: AtaEnd, completed: number): Uint8Array {
  const fis = new Uint8Array(8);
  fis[0] = FisType.setDeviceBits;
  fis[1] = INTERRUPT;
  // The bits BSY and DRQ are not changed.
  fis[2] = status & 0x77;
  fis[3] = error;
  new DataView(fis.buffer).setUint32(4, completed, true);
  return fis;
}
