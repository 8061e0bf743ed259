/** What a user is told when the guest's processor shuts down. */
import type { FaultReport } from "../cpu/bus.ts";
import { decode, MAX_LENGTH } from "../cpu/decode/decoder.ts";
import { describeWalk } from "../cpu/mmu/page-walk.ts";
import type { Processor } from "../cpu/processor.ts";
import { CONTEXT } from "../cpu/state.ts";
import { disassemble } from "../isa/disassemble.ts";
import type { GuestRam } from "./guest-ram.ts";
import { GuestView } from "./guest-view.ts";

const NAMES = [
  "RAX",
  "RCX",
  "RDX",
  "RBX",
  "RSP",
  "RBP",
  "RSI",
  "RDI",
  "R8 ",
  "R9 ",
  "R10",
  "R11",
  "R12",
  "R13",
  "R14",
  "R15",
];
const SEGMENT_NAMES = ["ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR"];
const CODE = 1;
const SHOWN = 8;
const hex = (value: bigint | number, digits = 16) => value.toString(16).padStart(digits, "0");

/** Registers, the instructions at RIP, and the page walk of the address that faulted. */
export function crashReport(processor: Processor, ram: GuestRam, fault: FaultReport): string {
  const vectors = fault.vectors.join(", ");
  const view = new GuestView(processor.registers, ram);
  return [
    `triple fault: exceptions ${vectors}, last error code ${hex(fault.errorCode >>> 0, 4)}`,
    ...describeProcessor(processor),
    "code at RIP:",
    ...codeAt(processor, view).map((line) => `  ${line}`),
    ...walkOf(processor, view, fault).map((line) => `  ${line}`),
  ].join("\n");
}

/** Lines with the general, segment and control registers. */
export function describeProcessor({ registers }: Processor): string[] {
  return [
    `RIP ${hex(registers.get64("ip"))}  RFLAGS ${hex(registers.eflags >>> 0, 8)}  CPL ${registers.get32("cpl")}`,
    ...[0, 4, 8, 12].map((i) => [0, 1, 2, 3].map((j) => `${NAMES[i + j]} ${hex(registers.gpr(i + j))}`).join("  ")),
    ...SEGMENT_NAMES.map(
      (name, i) =>
        `${name.padEnd(4)} ${hex(registers.selector(i), 4)}  base ${hex(registers.segmentBase(i))}  limit ${hex(registers.limit(i), 8)}  attributes ${hex(registers.attributes(i), 5)}`,
    ),
    ["cr0", "cr2", "cr3", "cr4", "efer"]
      .map((name) => `${name.toUpperCase()} ${hex(registers.get64(name))}`)
      .join("  "),
  ];
}

function codeAt(processor: Processor, view: GuestView): string[] {
  const { registers } = processor;
  const context = registers.get32("context");
  const long = (context & CONTEXT.long) !== 0;
  const mode = { long, code32: (context & CONTEXT.code32) !== 0 };
  const ip = registers.get64("ip");
  const linear = long ? ip : (ip + registers.segmentBase(CODE)) & 0xffff_ffffn;
  const bytes = view.read(linear, SHOWN * MAX_LENGTH);
  const lines: string[] = [];
  let position = 0;
  while (lines.length < SHOWN && position < bytes.length) {
    const decoded = decode(bytes, position, bytes.length, mode, () => true);
    if (typeof decoded === "string") {
      lines.push(
        `${hex(ip + BigInt(position))}  ${[...bytes.subarray(position, position + 8)].map((b) => hex(b, 2)).join(" ")}  (${decoded})`,
      );
      break;
    }
    const encoding = [...bytes.subarray(position, position + decoded.length)].map((byte) => hex(byte, 2)).join(" ");
    lines.push(`${hex(ip + BigInt(position))}  ${encoding.padEnd(30)} ${disassemble(decoded, ip + BigInt(position))}`);
    position += decoded.length;
  }
  return lines.length > 0 ? lines : ["not mapped"];
}

const PAGE_FAULT = 14;

function walkOf(processor: Processor, view: GuestView, fault: FaultReport): string[] {
  if (!fault.vectors.includes(PAGE_FAULT)) return [];
  const address = processor.registers.get64("cr2");
  return [
    `page walk of ${hex(address)}:`,
    ...describeWalk(processor.registers, address, view.readEntry).map((line) => `  ${line}`),
  ];
}
