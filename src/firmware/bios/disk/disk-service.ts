/**
 * INT 13h: floppies, disks and CDs by cylinder, head and sector, and by block number (EDD). The service reads and writes
 * the media themselves, so it knows no controller.
 * @spec IBM PC/AT Technical Reference, BIOS listing "DISKETTE_IO" and "FIXED DISK I/O"; BIOS Enhanced Disk Drive
 * Services 3.0 (EDD); "El Torito" 1.0, chapter 4
 *
 * Not modelled: real formatting (a formatted track is filled with F6h), EDD's DMA and PIO parameters (4Eh), device paths.
 */
import { byteOffset } from "../../../bits/units.ts";
import type { BiosCall } from "../call.ts";
import { Bda } from "../data-area.ts";
import {
  CD_SECTOR,
  floppyGeometry,
  type Medium,
  mediumOf,
  type NumberedDrive,
  readMedium,
  readMediumNow,
} from "./drive.ts";
import type { DriveTable } from "./drive-table.ts";
import { serveElTorito } from "./el-torito-service.ts";

export const DiskStatus = {
  ok: 0x00,
  badCommand: 0x01,
  writeProtected: 0x03,
  notFound: 0x04,
  mediaChanged: 0x06,
  badGeometry: 0x0c,
  failure: 0x20,
  notReady: 0x80,
  noMedia: 0x31,
  noDrive: 0x80,
  writeFault: 0xcc,
} as const;

/** Sectors of one call at the most. */
const MOST_SECTORS = 255;
const FORMAT_FILL = 0xf6;
const EDD_PACKET = 0x10;
const FAR_BUFFER = 0xffff_ffff;

export interface DiskServiceParts {
  readonly table: DriveTable;
  /** Offset in F000h of the floppy parameters. */
  readonly floppyParameters: number;
  /** Whether media that can be read at once may be, while the guest waits. */
  readonly immediate: boolean;
}

export class DiskService {
  readonly #table: DriveTable;
  readonly #floppyParameters: number;
  readonly #immediate: boolean;
  /** The medium that was in a drive when it was last used, by drive number: to tell that it was changed. */
  readonly #lastMedium = new Map<number, object | undefined>();

  constructor({ table, floppyParameters, immediate }: DiskServiceParts) {
    this.#table = table;
    this.#floppyParameters = floppyParameters;
    this.#immediate = immediate;
  }

  reset(): void {
    this.#lastMedium.clear();
  }

  service(call: BiosCall): undefined {
    if (call.ah >= 0x4a && call.ah <= 0x4d) {
      serveElTorito(call, this.#table, (status) => this.#end(call, status));
      return;
    }
    const drive = this.#table.find(call.dl);
    if (drive === undefined) {
      this.#withoutDrive(call);
      return;
    }
    if (call.ah >= 0x41) this.#extended(call, drive);
    else this.#classic(call, drive);
  }

  /** Ends the call with this status in AH. */
  #end(call: BiosCall, status: number): undefined {
    call.ah = status;
    call.carry = status !== 0;
    call.setU8(call.dl < 0x80 ? Bda.floppyStatus : Bda.diskStatus, status);
  }

  #withoutDrive(call: BiosCall): undefined {
    const { ah, dl } = call;
    if (ah === 0x15) {
      // "No such drive" is an answer, not an error.
      call.ax = 0;
      call.carry = false;
      return;
    }
    if (ah === 0x08 && dl < 0x80) {
      call.ax = 0;
      call.bx = 0;
      call.cx = 0;
      call.dx = this.#table.count("floppy");
      call.carry = false;
      return;
    }
    if (ah === 0x00) {
      // A reset of all floppy drives.
      this.#end(call, dl < 0x80 ? DiskStatus.ok : DiskStatus.badCommand);
      return;
    }
    this.#end(call, dl < 0x80 ? DiskStatus.noDrive : DiskStatus.badCommand);
  }

  #classic(call: BiosCall, drive: NumberedDrive): undefined {
    const removable = call.dl < 0x80;
    switch (call.ah) {
      case 0x00:
      case 0x0d:
      case 0x09:
      case 0x0c:
      case 0x11:
      case 0x14:
      case 0x19:
        this.#end(call, DiskStatus.ok);
        return;
      case 0x01: {
        const at = removable ? Bda.floppyStatus : Bda.diskStatus;
        const status = call.u8(at);
        call.ah = status;
        call.carry = status !== 0;
        return;
      }
      case 0x02:
      case 0x03:
      case 0x04:
        this.#chs(call, drive);
        return;
      case 0x05:
        this.#format(call, drive);
        return;
      case 0x08:
        this.#parameters(call, drive);
        return;
      case 0x10:
        this.#end(call, mediumOf(drive) ? DiskStatus.ok : DiskStatus.notReady);
        return;
      case 0x15:
        this.#type(call, drive);
        return;
      case 0x16:
        this.#changed(call, drive);
        return;
      case 0x17:
      case 0x18:
        if (!removable) this.#end(call, DiskStatus.badCommand);
        else {
          this.#pointAtParameters(call);
          this.#end(call, DiskStatus.ok);
        }
        return;
      default:
        this.#end(call, DiskStatus.badCommand);
    }
  }

  #pointAtParameters(call: BiosCall): void {
    call.es = 0xf000;
    call.di = this.#floppyParameters;
  }

  #chs(call: BiosCall, drive: NumberedDrive): undefined {
    const medium = mediumOf(drive);
    if (drive.sectorSize !== 512) return this.#end(call, DiskStatus.badCommand);
    if (medium === undefined) {
      call.al = 0;
      return this.#end(call, DiskStatus.notReady);
    }
    const { cylinders, heads, sectors } = medium.geometry;
    const cylinder = call.ch | ((call.cl & 0xc0) << 2);
    const sector = call.cl & 0x3f;
    const count = call.al;
    if (count === 0 || sector === 0) return this.#end(call, DiskStatus.badCommand);
    if (cylinder >= Math.max(cylinders, 1) && drive.number < 0x80) {
      call.al = 0;
      return this.#end(call, DiskStatus.notFound);
    }
    if (call.dh >= heads || sector > sectors) {
      call.al = 0;
      return this.#end(call, DiskStatus.notFound);
    }
    this.#lastMedium.set(drive.number, medium.device);
    const lba = (cylinder * heads + call.dh) * sectors + sector - 1;
    this.#transfer(call, drive, medium, {
      kind: call.ah === 0x02 ? "read" : call.ah === 0x03 ? "write" : "verify",
      lba,
      count,
      buffer: call.inEs(call.bx),
      failed: () => {
        call.al = 0;
      },
    });
  }

  #transfer(call: BiosCall, drive: NumberedDrive, medium: Medium, what: Transfer): undefined {
    const { kind, lba, count, buffer } = what;
    const { sectorSize } = drive;
    const length = count * sectorSize;
    const offset = lba * sectorSize;
    const fail = (status: number): undefined => {
      what.failed();
      return this.#end(call, status);
    };
    if (count > MOST_SECTORS) return fail(DiskStatus.badCommand);
    // A partial last sector of a disc or an image is there, too.
    if (offset + length > Math.ceil(medium.bytes / sectorSize) * sectorSize) return fail(DiskStatus.notFound);
    if (kind === "verify") return this.#end(call, DiskStatus.ok);
    if (kind === "read") {
      const bytes = this.#immediate ? readMediumNow(medium, offset, length) : undefined;
      if (bytes) {
        call.setBytes(buffer, bytes);
        return this.#end(call, DiskStatus.ok);
      }
      call.hold(readMedium(medium, offset, length), (result) => {
        if (!result.ok) return fail(DiskStatus.failure);
        call.setBytes(buffer, result.value);
        this.#end(call, DiskStatus.ok);
      });
      return;
    }
    if (medium.readOnly) return fail(DiskStatus.writeProtected);
    const source = call.bytes(buffer, Math.min(length, medium.bytes - offset));
    call.hold(medium.device.write(byteOffset(medium.start + offset), source), (result) =>
      result.ok ? this.#end(call, DiskStatus.ok) : fail(DiskStatus.writeFault),
    );
  }

  #format(call: BiosCall, drive: NumberedDrive): undefined {
    const medium = mediumOf(drive);
    if (medium === undefined) return this.#end(call, DiskStatus.notReady);
    if (call.dl >= 0x80) return this.#end(call, DiskStatus.ok);
    if (medium.readOnly) return this.#end(call, DiskStatus.writeProtected);
    const { cylinders, heads, sectors } = medium.geometry;
    if (call.ch >= cylinders || call.dh >= heads) return this.#end(call, DiskStatus.notFound);
    const track = new Uint8Array(sectors * 512).fill(FORMAT_FILL);
    const offset = (call.ch * heads + call.dh) * track.length;
    if (offset + track.length > medium.bytes) return this.#end(call, DiskStatus.notFound);
    call.hold(medium.device.write(byteOffset(medium.start + offset), track), (result) =>
      this.#end(call, result.ok ? DiskStatus.ok : DiskStatus.writeFault),
    );
  }

  #parameters(call: BiosCall, drive: NumberedDrive): undefined {
    if (drive.sectorSize !== 512) return this.#end(call, DiskStatus.badCommand);
    const floppy = drive.number < 0x80;
    const medium = mediumOf(drive);
    if (medium === undefined && !floppy) return this.#end(call, DiskStatus.notReady);
    // A floppy drive has the geometry of its largest medium.
    const { cylinders, heads, sectors } = medium?.geometry ?? floppyGeometry(1440 * 1024);
    const last = Math.min(cylinders, 1024) - 1;
    call.ax = 0;
    call.ch = last & 0xff;
    call.cl = ((last >> 2) & 0xc0) | sectors;
    call.dh = heads - 1;
    call.dl = this.#table.count(floppy ? "floppy" : "disk");
    if (floppy) {
      call.bx = floppyGeometry(medium?.bytes ?? 1440 * 1024).type;
      this.#pointAtParameters(call);
    }
    call.carry = false;
    call.setU8(floppy ? Bda.floppyStatus : Bda.diskStatus, 0);
  }

  #type(call: BiosCall, drive: NumberedDrive): undefined {
    if (drive.number < 0x80) call.ah = 2;
    else if (drive.sectorSize !== 512) return this.#end(call, DiskStatus.badCommand);
    else {
      const medium = mediumOf(drive);
      const { cylinders, heads, sectors } = medium?.geometry ?? { cylinders: 1, heads: 1, sectors: 1 };
      const total = Math.max(0, (cylinders - 1) * heads * sectors);
      call.ah = 3;
      call.cx = total >>> 16;
      call.dx = total & 0xffff;
    }
    call.carry = false;
  }

  #changed(call: BiosCall, drive: NumberedDrive): undefined {
    if (drive.number >= 0x80) return this.#end(call, DiskStatus.badCommand);
    const device = mediumOf(drive)?.device;
    if (device === undefined) return this.#end(call, DiskStatus.notReady);
    const known = this.#lastMedium.get(drive.number);
    this.#lastMedium.set(drive.number, device);
    this.#end(call, known !== undefined && known !== device ? DiskStatus.mediaChanged : DiskStatus.ok);
  }

  #extended(call: BiosCall, drive: NumberedDrive): undefined {
    if (drive.number < 0x80) return this.#end(call, DiskStatus.badCommand);
    switch (call.ah) {
      case 0x41:
        if (call.bx !== 0x55aa) return this.#end(call, DiskStatus.badCommand);
        call.bx = 0xaa55;
        call.cx = 0x0007;
        call.ah = 0x30;
        call.carry = false;
        return;
      case 0x42:
      case 0x43:
      case 0x44:
        this.#packet(call, drive);
        return;
      case 0x45:
      case 0x46:
      case 0x49:
        this.#end(call, drive.drive.kind === "cd" || call.ah === 0x49 ? DiskStatus.ok : DiskStatus.badCommand);
        return;
      case 0x47:
        this.#end(call, DiskStatus.ok);
        return;
      case 0x48:
        this.#driveParameters(call, drive);
        return;
      default:
        this.#end(call, DiskStatus.badCommand);
    }
  }

  #packet(call: BiosCall, drive: NumberedDrive): undefined {
    const at = call.inDs(call.si);
    if (call.u8(at) < EDD_PACKET) return this.#end(call, DiskStatus.badCommand);
    const medium = mediumOf(drive);
    if (medium === undefined)
      return this.#end(call, drive.drive.kind === "cd" ? DiskStatus.noMedia : DiskStatus.notReady);
    const count = call.u16(at + 2);
    const [offset, segment] = [call.u16(at + 4), call.u16(at + 6)];
    const lba = call.u32(at + 8) + call.u32(at + 12) * 2 ** 32;
    const far = call.u32(at + 4) === FAR_BUFFER && call.u8(at) >= 0x18;
    const buffer = far ? call.u32(at + 16) : segment * 16 + offset;
    if (count === 0) return this.#end(call, DiskStatus.ok);
    this.#transfer(call, drive, medium, {
      kind: call.ah === 0x42 ? "read" : call.ah === 0x43 ? "write" : "verify",
      lba,
      count,
      buffer,
      failed: () => call.setU16(at + 2, 0),
    });
  }

  #driveParameters(call: BiosCall, drive: NumberedDrive): undefined {
    const at = call.inDs(call.si);
    const room = call.u16(at);
    if (room < 0x1a) return this.#end(call, DiskStatus.badCommand);
    const medium = mediumOf(drive);
    if (medium === undefined) return this.#end(call, DiskStatus.notReady);
    const { cylinders, heads, sectors } = medium.geometry;
    const cd = drive.sectorSize === CD_SECTOR;
    const total = cd ? 0xffff_ffff : Math.floor(medium.bytes / drive.sectorSize);
    call.setU16(at, room >= 0x1e ? 0x1e : 0x1a);
    // DMA boundaries are handled, and the geometry is valid; a CD's is not, and it is removable and can be locked.
    call.setU16(at + 2, cd ? 0x0075 : 0x0003);
    call.setU32(at + 4, cd ? 0xffff_ffff : total > 1024 * 255 * 63 ? Math.floor(total / (heads * sectors)) : cylinders);
    call.setU32(at + 8, cd ? 0xffff_ffff : heads);
    call.setU32(at + 12, cd ? 0xffff_ffff : sectors);
    call.setU32(at + 16, total % 2 ** 32);
    call.setU32(at + 20, cd ? 0xffff_ffff : Math.floor(total / 2 ** 32));
    call.setU16(at + 24, drive.sectorSize);
    if (room >= 0x1e) call.setU32(at + 26, 0xffff_ffff);
    this.#end(call, DiskStatus.ok);
  }
}

interface Transfer {
  readonly kind: "read" | "write" | "verify";
  readonly lba: number;
  readonly count: number;
  /** Linear address. */
  readonly buffer: number;
  failed(): void;
}
