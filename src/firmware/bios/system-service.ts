/**
 * INT 15h: memory sizes, block moves, address line 20, power management, and what else the PC/AT put there; INT 11h and 12h.
 * @spec IBM PC/AT Technical Reference, BIOS listing "CASSETTE_IO"; ACPI 6.5 section 15.1 (E820); APM 1.2 chapter 4
 */

import { GIB, KIB, MIB } from "../../bits/units.ts";
import { type E820Entry, E820Type, EXTENDED_MEMORY, type MemoryMap } from "../memory-map.ts";
import type { BiosCall, Outcome } from "./call.ts";
import type { Ports } from "./chips.ts";
import type { ClockService } from "./clock.ts";
import { Bda } from "./data-area.ts";
import type { MouseService } from "./mouse.ts";

const SMAP = 0x534d_4150;
const E820_SIZE = 20;
const UNSUPPORTED = 0x86;
const PORT_92 = 0x92;
const A20 = 0x02;
const KEYBOARD_COMMAND = 0x64;
const DISABLE_A20 = 0xdd;
const ENABLE_A20 = 0xdf;

export interface SystemParts {
  readonly ports: Ports;
  readonly map: MemoryMap;
  readonly clock: ClockService;
  readonly mouse: MouseService;
  /** Offset in F000h of the system configuration table. */
  readonly configurationTable: number;
  powerOff(): void;
}

export class SystemService {
  readonly #parts: SystemParts;
  /** Usable bytes from 1 MiB on. */
  readonly #extended: number;
  readonly state = { apmConnected: false };

  constructor(parts: SystemParts) {
    this.#parts = parts;
    const usable = parts.map.entries.find(
      ({ address, type }) => address === EXTENDED_MEMORY && type === E820Type.usable,
    );
    this.#extended = usable?.size ?? 0;
  }

  reset(): void {
    this.state.apmConnected = false;
  }

  service(call: BiosCall): Outcome {
    const { parts } = this;
    switch (call.ah) {
      case 0x24:
        return this.#gateA20(call);
      case 0x4f:
        // The key goes on unchanged.
        call.carry = true;
        return undefined;
      case 0x53:
        return this.#apm(call);
      case 0x80:
      case 0x81:
      case 0x82:
      case 0x85:
      case 0x90:
      case 0x91:
        call.ah = 0;
        call.carry = false;
        return undefined;
      case 0x83:
        parts.clock.eventWait(call);
        return undefined;
      case 0x86:
        return parts.clock.wait(call);
      case 0x87:
        return this.#blockMove(call);
      case 0x88:
        call.ax = Math.min(Math.floor(this.#extended / KIB), 0xffff);
        call.carry = false;
        return undefined;
      case 0x8a: {
        const kib = Math.floor(this.#extended / KIB);
        call.dx = kib >>> 16;
        call.ax = kib & 0xffff;
        call.carry = false;
        return undefined;
      }
      case 0xc0:
        call.es = 0xf000;
        call.bx = parts.configurationTable;
        call.ah = 0;
        call.carry = false;
        return undefined;
      case 0xc1:
        call.es = call.u16(Bda.extendedSegment);
        call.carry = false;
        return undefined;
      case 0xc2:
        parts.mouse.service(call);
        return undefined;
      case 0xe8:
        return this.#memorySizes(call);
      default:
        return unsupported(call);
    }
  }

  get parts(): SystemParts {
    return this.#parts;
  }

  #gateA20(call: BiosCall): undefined {
    const { ports } = this.#parts;
    const now = ports.read(PORT_92, 1);
    switch (call.al) {
      case 0x00:
      case 0x01:
        // Either of the two lets the line through.
        ports.write(PORT_92, 1, (now & ~(A20 | 0x01)) | (call.al ? A20 : 0));
        ports.write(KEYBOARD_COMMAND, 1, call.al ? ENABLE_A20 : DISABLE_A20);
        break;
      case 0x02:
        call.al = now & A20 ? 1 : 0;
        break;
      case 0x03:
        // By the keyboard controller, and by port 92h.
        call.bx = 0x0003;
        break;
      default:
        return unsupported(call);
    }
    call.ah = 0;
    call.carry = false;
    return undefined;
  }

  #memorySizes(call: BiosCall): undefined {
    const below16 = Math.min(this.#extended, 15 * MIB);
    const above16 = this.#extended - below16;
    switch (call.al) {
      case 0x01:
        call.ax = below16 / KIB;
        call.bx = Math.floor(above16 / (64 * KIB));
        call.cx = call.ax;
        call.dx = call.bx;
        call.carry = false;
        return undefined;
      case 0x20:
        return this.#e820(call);
      case 0x81:
        call.eax = below16 / KIB;
        call.ebx = Math.floor(above16 / (64 * KIB));
        call.ecx = call.eax;
        call.edx = call.ebx;
        call.carry = false;
        return undefined;
      default:
        return unsupported(call);
    }
  }

  #e820(call: BiosCall): undefined {
    const { entries } = this.#parts.map;
    const entry: E820Entry | undefined = entries[call.ebx];
    if (call.edx !== SMAP || entry === undefined || call.ecx < E820_SIZE) return unsupported(call);
    const at = call.inEs(call.di);
    call.setU32(at, entry.address % (4 * GIB));
    call.setU32(at + 4, Math.floor(entry.address / (4 * GIB)));
    call.setU32(at + 8, entry.size % (4 * GIB));
    call.setU32(at + 12, Math.floor(entry.size / (4 * GIB)));
    call.setU32(at + 16, entry.type);
    call.eax = SMAP;
    call.ecx = E820_SIZE;
    call.ebx = call.ebx + 1 < entries.length ? call.ebx + 1 : 0;
    call.carry = false;
    return undefined;
  }

  /** Copies CX words by the descriptors of the caller's table, ES:SI: source at 10h, target at 18h. */
  #blockMove(call: BiosCall): undefined {
    const table = call.inEs(call.si);
    const base = (at: number) => (call.u16(at + 2) | (call.u8(at + 4) << 16) | (call.u8(at + 7) << 24)) >>> 0;
    const [from, to] = [base(table + 0x10), base(table + 0x18)];
    const bytes = new Uint8Array(call.cx * 2);
    call.processor.readPhysical(from, bytes);
    call.processor.writePhysical(to, bytes);
    call.ah = 0;
    call.carry = false;
    call.zero = true;
    return undefined;
  }

  #apm(call: BiosCall): undefined {
    const fail = (error: number): undefined => {
      call.ah = error;
      call.carry = true;
      return undefined;
    };
    call.carry = false;
    switch (call.al) {
      case 0x00:
        call.ax = 0x0102;
        call.bx = 0x504d;
        // 16-bit interface only; CPU idle does not slow the clock.
        call.cx = 0x0000;
        return undefined;
      case 0x01:
        if (this.state.apmConnected) return fail(0x02);
        this.state.apmConnected = true;
        return undefined;
      case 0x02:
      case 0x03:
        return fail(call.al === 0x02 ? 0x06 : 0x08);
      case 0x04:
        if (!this.state.apmConnected) return fail(0x03);
        this.state.apmConnected = false;
        return undefined;
      case 0x05:
      case 0x06:
      case 0x08:
      case 0x0d:
      case 0x0f:
        return undefined;
      case 0x07:
        if (call.bx === 0x0001 && call.cx === 0x0003) this.#parts.powerOff();
        return undefined;
      case 0x0a:
        // On line, no battery.
        call.bx = 0x01ff;
        call.cx = 0x80ff;
        call.dx = 0xffff;
        return undefined;
      case 0x0b:
        return fail(0x80);
      case 0x0c:
        call.cx = 0;
        return undefined;
      case 0x0e:
        call.ax = 0x0102;
        return undefined;
      case 0x10:
        call.bl = 0;
        call.cx = 0;
        return undefined;
      default:
        return fail(0x09);
    }
  }
}

function unsupported(call: BiosCall): undefined {
  call.ah = UNSUPPORTED;
  call.carry = true;
  return undefined;
}
