/**
 * Gives PCI functions their addresses, ports and interrupt lines, and lets them answer.
 * @spec PCI Local Bus Specification 3.0, section 6.2.5 (base addresses); 6.2.4 (interrupt line)
 */
import { pirqOf } from "../acpi/board.ts";
import { type PciAddress, type Ports, pciFunctions, readPci, writePci } from "./chips.ts";

const COMMAND = 0x04;
const HEADER_TYPE = 0x0e;
const FIRST_BAR = 0x10;
const INTERRUPT_LINE = 0x3c;
const INTERRUPT_PIN = 0x3d;
const IO_AND_MEMORY = 0x0003;
const ISA_BRIDGE = 1 << 3;
const PIRQRC = 0x60;
const NOT_ROUTED = 0x80;

const IO_WINDOW = { start: 0xc000, end: 0x1_0000 };
/** Above 3.5 GiB, as operating systems that know nothing of ACPI expect it. */
const MEMORY_WINDOW = { start: 0xe000_0000, end: 0xfea0_0000 };

interface Request {
  readonly at: PciAddress;
  readonly register: number;
  readonly io: boolean;
  readonly wide: boolean;
  readonly size: number;
}

/** Assigns everything; the largest first, each at a multiple of its size. What has no room is left without. */
export function assignPciResources(ports: Ports): void {
  const functions = pciFunctions(ports);
  const requests = functions.flatMap((at) => requestsOf(ports, at));
  const next = { io: IO_WINDOW.start, memory: MEMORY_WINDOW.start };
  for (const { at, register, io, wide, size } of requests.sort((a, b) => b.size - a.size)) {
    const space = io ? "io" : "memory";
    const base = Math.ceil(next[space] / size) * size;
    if (base + size > (io ? IO_WINDOW : MEMORY_WINDOW).end) continue;
    next[space] = base + size;
    writePci(ports, at, register, 4, base);
    if (wide) writePci(ports, at, register + 4, 4, 0);
  }
  for (const at of functions) {
    const pin = readPci(ports, at, INTERRUPT_PIN, 1);
    if (pin >= 1 && pin <= 4) writePci(ports, at, INTERRUPT_LINE, 1, routedIrq(ports, pirqOf(at >> 3, pin - 1)));
    const command = readPci(ports, at, COMMAND, 2);
    const asked = requests.filter((request) => request.at === at);
    const answers = (asked.some(({ io }) => io) ? 1 : 0) | (asked.some(({ io }) => !io) ? 2 : 0);
    writePci(ports, at, COMMAND, 2, command | (answers & IO_AND_MEMORY));
  }
}

function requestsOf(ports: Ports, at: PciAddress): Request[] {
  if ((readPci(ports, at, HEADER_TYPE, 1) & 0x7f) !== 0) return [];
  const requests: Request[] = [];
  const command = readPci(ports, at, COMMAND, 2);
  writePci(ports, at, COMMAND, 2, command & ~IO_AND_MEMORY);
  for (let i = 0; i < 6; i++) {
    const register = FIRST_BAR + 4 * i;
    const before = readPci(ports, at, register, 4);
    writePci(ports, at, register, 4, 0xffff_ffff);
    const mask = readPci(ports, at, register, 4);
    writePci(ports, at, register, 4, before);
    if (mask === 0 || mask === 0xffff_ffff) continue;
    const io = (mask & 1) !== 0;
    const wide = !io && (mask & 6) === 4;
    const bits = io ? (mask & 0xfffc) >>> 0 : (mask & 0xffff_fff0) >>> 0;
    const size = (bits & -bits) >>> 0;
    if (size !== 0) requests.push({ at, register, io, wide, size });
    if (wide) i++;
  }
  writePci(ports, at, COMMAND, 2, command);
  return requests;
}

/** The ISA interrupt that the south bridge steers a PIRQ line to; FFh for none. */
function routedIrq(ports: Ports, pirq: number): number {
  const route = readPci(ports, ISA_BRIDGE, PIRQRC + pirq, 1);
  return route & NOT_ROUTED ? 0xff : route & 0xf;
}
