/** What a user is told when the guest's processor shuts down. */
import type { FaultReport } from "../cpu/bus.ts";
import type { Processor } from "../cpu/processor.ts";

const NAMES = [
  "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
  "R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15",
];
const SEGMENT_NAMES = ["ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR"];
const hex = (value: bigint | number, digits = 16) => value.toString(16).padStart(digits, "0");

export function crashReport(processor: Processor, fault: FaultReport): string {
  const { registers } = processor;
  const lines = [`triple fault: exceptions ${fault.vectors.join(", ")}, error code ${hex(fault.errorCode >>> 0, 4)}`];
  lines.push(`RIP ${hex(registers.get64("ip"))}  RFLAGS ${hex(registers.eflags >>> 0, 8)}  CPL ${registers.get32("cpl")}`);
  for (let i = 0; i < 16; i += 4) {
    lines.push([0, 1, 2, 3].map((j) => `${NAMES[i + j]} ${hex(registers.gpr(i + j))}`).join("  "));
  }
  SEGMENT_NAMES.forEach((name, i) => {
    lines.push(
      `${name.padEnd(4)} ${hex(registers.selector(i), 4)} base ${hex(registers.segmentBase(i))} limit ${hex(registers.limit(i), 8)} attributes ${hex(registers.attributes(i), 4)}`,
    );
  });
  lines.push(["cr0", "cr2", "cr3", "cr4", "efer"].map((name) => `${name.toUpperCase()} ${hex(registers.get64(name))}`).join("  "));
  return lines.join("\n");
}
