/**
 * INT 14h, serial ports, and INT 17h, printers.
 * @spec IBM PC/AT Technical Reference, BIOS listing "RS232_IO" and "PRINTER_IO"; PS/2 BIOS Interface, INT 14h
 */
import type { BiosCall, Outcome } from "./call.ts";
import type { Ports } from "./chips.ts";
import { Bda } from "./data-area.ts";

const DIVISOR_BASE = 115_200;
const BAUD = [110, 150, 300, 600, 1200, 2400, 4800, 9600];
const EXTENDED_BAUD = [110, 150, 300, 600, 1200, 2400, 4800, 9600, 19_200];
const LCR = 3;
const MCR = 4;
const LSR = 5;
const MSR = 6;
const DLAB = 0x80;
const DATA_READY = 0x01;
const THRE = 0x20;
const TIMED_OUT = 0x80;
const PRINTER_ABSENT = 0x30;

export function installPorts(call: BiosCall, ports: Ports): void {
  const serial = [0x3f8, 0x2f8, 0x3e8, 0x2e8].filter((base) => isUart(ports, base));
  for (let i = 0; i < 4; i++) {
    call.setU16(Bda.comPorts + 2 * i, serial[i] ?? 0);
    call.setU16(Bda.lptPorts + 2 * i, 0);
    call.setU8(Bda.comTimeouts + i, 1);
    call.setU8(Bda.lptTimeouts + i, 0x14);
  }
}

/** Two bits of the line control that are not all ones, as an empty port reads. */
function isUart(ports: Ports, base: number): boolean {
  const before = ports.read(base + LCR, 1);
  ports.write(base + LCR, 1, 0x03);
  const is = ports.read(base + LCR, 1) === 0x03;
  if (is) ports.write(base + LCR, 1, before);
  return is;
}

export function serialService(call: BiosCall, ports: Ports): Outcome {
  const base = call.dx < 4 ? call.u16(Bda.comPorts + 2 * call.dx) : 0;
  if (base === 0) {
    call.ah = TIMED_OUT;
    return undefined;
  }
  const status = () => {
    call.ah = ports.read(base + LSR, 1);
    call.al = ports.read(base + MSR, 1);
  };
  switch (call.ah) {
    case 0x00:
      setLine(ports, base, BAUD[call.al >> 5] as number, call.al & 0x1f);
      status();
      break;
    case 0x01: {
      const line = ports.read(base + LSR, 1);
      if (line & THRE) ports.write(base, 1, call.al);
      call.ah = line & THRE ? line & 0x7f : line | TIMED_OUT;
      break;
    }
    case 0x02: {
      const line = ports.read(base + LSR, 1);
      if (line & DATA_READY) {
        call.al = ports.read(base, 1);
        call.ah = line & 0x1e;
      } else call.ah = TIMED_OUT;
      break;
    }
    case 0x03:
      status();
      break;
    case 0x04: {
      const parity = [0, 0x08, 0x18, 0x28, 0x38][call.bh] ?? 0;
      const line = parity | (call.bl ? 0x04 : 0) | (call.ch & 3);
      setLine(ports, base, EXTENDED_BAUD[call.cl] ?? 9600, line);
      status();
      break;
    }
    case 0x05:
      if (call.al === 0) call.bl = ports.read(base + MCR, 1);
      else ports.write(base + MCR, 1, call.bl & 0x1f);
      status();
      break;
  }
  return undefined;
}

function setLine(ports: Ports, base: number, baud: number, line: number): void {
  const divisor = Math.round(DIVISOR_BASE / baud);
  ports.write(base + LCR, 1, line | DLAB);
  ports.write(base, 1, divisor & 0xff);
  ports.write(base + 1, 1, divisor >> 8);
  ports.write(base + LCR, 1, line);
}

/** There is no printer. */
export function printerService(call: BiosCall): void {
  call.ah = PRINTER_ABSENT | 0x01;
}
