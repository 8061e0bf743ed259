/**
 * Boots: tries the media in order, lets the user choose, and says why none could be booted.
 * @spec BIOS Boot Specification 1.01 (order of devices, INT 18h, INT 19h); "El Torito" 1.0
 */

import type { Clock } from "../../machine/device.ts";
import type { BootKind } from "./boot-order.ts";
import type { BiosCall, Outcome } from "./call.ts";
import { type BiosDrive, mediumOf, numberDrive, readMedium } from "./disk/drive.ts";
import type { DriveTable } from "./disk/drive-table.ts";
import { type BootEntry, readBootCatalogue, readBootImage } from "./disk/el-torito.ts";
import { GPR, SEG } from "./processor.ts";

export interface BootSettings {
  /** Kinds of drive in the order in which they are tried. */
  readonly order: readonly BootKind[];
  /** Lets the user choose, before anything is booted: at once, or, where it is "offered", if F12 is pressed in time. */
  readonly menu: boolean | "offered";
}

export interface BootParts {
  readonly table: DriveTable;
  readonly settings: BootSettings;
  /** Writes to the screen; a line ends with CR LF. */
  print(call: BiosCall, text: string): void;
  /** The next key: scan code and character. */
  key(call: BiosCall): number | undefined;
  /** The next key, which stays where it is. */
  nextKey(call: BiosCall): number | undefined;
  clock: Clock;
  /** Nothing could be booted: a line for each thing that was tried. Returns whether somebody may press a key. */
  nothingBoots(reasons: readonly string[]): boolean;
  restart(): void;
}

/** What there is to start on a medium. */
type Found =
  | { readonly kind: "sector"; readonly bytes: Uint8Array }
  | { readonly kind: "disc"; readonly entry: BootEntry; readonly bytes: Uint8Array }
  | { readonly kind: "none"; readonly reason: string };

const BOOT_AT = 0x7c00;
/** An interrupt's frame below the boot sector: IP, CS, FLAGS. */
const FRAME = 6;
const FLAGS_ENABLED = 0x0202;
const SIGNATURE_AT = 510;
/** What boot sectors of the first floppies, which have no signature, begin with: jumps and the like. */
const FLOPPY_STARTS = [0xeb, 0xe9, 0xfa, 0x33];
const ESCAPE = 0x1b;
const F12 = 0x8600;
/** Nanoseconds in which F12 is waited for: long enough for a key that is held or was pressed early, short for all others. */
const OFFER = 500e6;

export interface BootState {
  phase: "start" | "offer" | "menu" | "try" | "failed";
  /** Guest time at which F12 is no longer waited for. */
  offerEnds: number;
  /** Indices of the drives that are still to be tried. */
  queue: number[];
  /** Why what was tried could not be booted. */
  reasons: string[];
  /** The drive of what has control; -1 for none. */
  entered: number;
}

const AT_START = { phase: "start", offerEnds: 0, entered: -1 } as const;

export class Boot {
  readonly state: BootState = { ...AT_START, queue: [], reasons: [] };
  readonly #parts: BootParts;

  constructor(parts: BootParts) {
    this.#parts = parts;
  }

  reset(): void {
    Object.assign(this.state, { ...AT_START, queue: [], reasons: [] });
  }

  get #candidates(): number[] {
    const { table, settings } = this.#parts;
    const all = table.drives.map(({ kind }, index) => ({ kind, index }));
    return settings.order.flatMap((kind) => all.filter((drive) => drive.kind === kind).map(({ index }) => index));
  }

  #drive(index: number): BiosDrive | undefined {
    return this.#parts.table.drives[index];
  }

  /** INT 19h: from the first medium on. */
  start(call: BiosCall): Outcome {
    if (this.state.phase === "offer") return this.#afterOffer(call);
    if (this.state.phase === "menu") return this.#choose(call);
    if (this.state.phase === "failed") return this.#afterFailure(call);
    const isFirst = this.state.phase === "start";
    this.state.reasons = [];
    this.state.queue = this.#candidates;
    if (this.#parts.settings.order.includes("net"))
      this.state.reasons.push("network: booting from a network is not supported");
    if (this.#parts.settings.menu === true) return this.#showMenu(call);
    // What calls INT 19h later may have left no clock to wait by.
    if (!isFirst || !this.#canChoose) return this.#next(call);
    this.state.phase = "offer";
    this.state.offerEnds = this.#parts.clock.now();
    if (this.#parts.settings.menu === "offered") {
      this.#parts.print(call, "F12: boot menu\r\n");
      this.state.offerEnds += OFFER;
    }
    return this.#afterOffer(call);
  }

  /** Whether there is more than one medium. */
  get #canChoose(): boolean {
    return this.state.queue.filter((index) => this.#drive(index)?.medium() !== undefined).length > 1;
  }

  /** Waits for F12; any other key is for what is booted, and ends the wait. */
  #afterOffer(call: BiosCall): Outcome {
    const { key, nextKey, clock } = this.#parts;
    const next = nextKey(call);
    if (next === F12) {
      key(call);
      return this.#showMenu(call);
    }
    if (next === undefined && clock.now() < this.state.offerEnds) return "again";
    return this.#next(call);
  }

  /** INT 18h: what was booted gives up. */
  goOn(call: BiosCall): Outcome {
    if (this.state.phase === "failed") return this.#afterFailure(call);
    const entered = this.#drive(this.state.entered);
    if (entered) {
      this.state.reasons.push(`${entered.name}: what was booted gave up`);
      // It may have left the cursor anywhere.
      this.#parts.print(call, "\r\n");
    }
    this.state.entered = -1;
    return this.#next(call);
  }

  /** Tries the next medium. */
  #next(call: BiosCall): Outcome {
    this.state.phase = "try";
    const drive = this.#drive(this.state.queue.shift() ?? -1);
    if (drive === undefined) return this.#fail(call);
    call.hold(findBoot(drive), (result) => {
      const found: Found = result.ok ? result.value : { kind: "none", reason: result.error.message };
      if (found.kind === "none") {
        this.state.reasons.push(`${drive.name}: ${found.reason}`);
        return this.#next(call);
      }
      return this.#enter(call, drive, found);
    });
    return undefined;
  }

  /** Gives control to what was loaded: the stub's IRET goes there. */
  #enter(call: BiosCall, drive: BiosDrive, found: Exclude<Found, { kind: "none" }>): Outcome {
    const { table, print } = this.#parts;
    const number = found.kind === "disc" ? table.boot(drive, found.entry, found.bytes) : table.numberOf(drive);
    this.state.entered = table.drives.indexOf(drive);
    print(call, `Booting from ${drive.name}...\r\n`);
    const segment = found.kind === "disc" ? found.entry.loadSegment : BOOT_AT >> 4;
    call.processor.writePhysical(segment << 4, found.bytes);
    // 07C0:0000 is entered as 0000:7C00, as most boot sectors expect it.
    const [cs, ip] = [segment & 0xf000, (segment & 0xfff) << 4];
    const { processor } = call;
    for (const each of [SEG.es, SEG.ss, SEG.ds]) processor.load(each, 0);
    call.sp = BOOT_AT - FRAME;
    const frame = BOOT_AT - FRAME;
    processor.writeWord(frame, 2, ip);
    processor.writeWord(frame + 2, 2, cs);
    processor.writeWord(frame + 4, 2, FLAGS_ENABLED);
    call.eax = 0xaa55;
    call.ebx = 0;
    call.ecx = 0;
    call.edx = number;
    for (const each of [GPR.ebp, GPR.esi, GPR.edi]) processor.set(each, 0);
    return undefined;
  }

  #fail(call: BiosCall): Outcome {
    this.state.phase = "failed";
    const { print, nothingBoots } = this.#parts;
    const reasons =
      this.state.reasons.length > 0 ? this.state.reasons : ["there is no disk, CD or floppy in the boot order"];
    print(call, "No bootable device.\r\n");
    for (const reason of reasons) print(call, `  ${reason}\r\n`);
    if (nothingBoots(reasons)) print(call, "Press a key to try again.\r\n");
    return "again";
  }

  #afterFailure(call: BiosCall): Outcome {
    if (this.#parts.key(call) === undefined) return "again";
    this.#parts.restart();
    return undefined;
  }

  #showMenu(call: BiosCall): Outcome {
    this.state.phase = "menu";
    const { print } = this.#parts;
    print(call, "\r\nBoot from:\r\n\r\n");
    for (const [i, index] of this.state.queue.entries()) print(call, `  ${i + 1}  ${this.#drive(index)?.name}\r\n`);
    print(call, "\r\nPress a number, or Escape for the usual order.\r\n");
    return "again";
  }

  #choose(call: BiosCall): Outcome {
    const key = this.#parts.key(call);
    if (key === undefined) return "again";
    const character = key & 0xff;
    const index = character - 0x31;
    if (character === ESCAPE || character === 0x0d) return this.#next(call);
    const chosen = this.state.queue[index];
    if (chosen === undefined) return "again";
    this.state.queue = [chosen, ...this.state.queue.filter((drive) => drive !== chosen)];
    return this.#next(call);
  }
}

/** Reads what a BIOS would start from a medium. */
export async function findBoot(drive: BiosDrive): Promise<Found> {
  const medium = mediumOf(numberDrive(0, drive));
  if (medium === undefined) return { kind: "none", reason: "no medium" };
  if (drive.kind === "cd") {
    const catalogue = await readBootCatalogue(medium.device);
    if ("reason" in catalogue) return { kind: "none", reason: catalogue.reason };
    const entry = catalogue.entries[0] as BootEntry;
    const bytes = await readBootImage(medium.device, entry);
    return bytes
      ? { kind: "disc", entry, bytes }
      : { kind: "none", reason: "its boot image lies behind the end of the disc" };
  }
  const bytes = await readMedium(medium, 0, 512);
  if (bytes.every((byte) => byte === 0)) return { kind: "none", reason: "blank (its first sector is all zeros)" };
  const signed = bytes[SIGNATURE_AT] === 0x55 && bytes[SIGNATURE_AT + 1] === 0xaa;
  if (!signed && !(drive.kind === "floppy" && FLOPPY_STARTS.includes(bytes[0] as number))) {
    return { kind: "none", reason: "not bootable (no boot sector: the signature 55 AA is missing)" };
  }
  if (bytes.subarray(0, 0x1b0).every((byte) => byte === 0)) {
    return { kind: "none", reason: "not bootable (a partition table, but no boot code)" };
  }
  return { kind: "sector", bytes };
}
