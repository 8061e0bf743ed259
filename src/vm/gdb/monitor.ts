/** Commands that gdb passes on with `monitor`. */
import { describeWalk } from "../../cpu/mmu/page-walk.ts";
import { describeProcessor } from "../crash-report.ts";
import type { GuestView } from "../guest-view.ts";
import type { Machine } from "../machine.ts";
import type { TargetSettings } from "./machine-target.ts";

const HELP = `info registers             all registers that make the processor's state
info walk ADDRESS          the page walk of a linear address (in hexadecimal)
info instructions          how many instructions were executed since power-on
memory physical|virtual    whether addresses of gdb's commands on memory are physical
arch i8086|i386|x86-64|auto
                           what the next connection is told (disconnect, then target remote again)
quit                       end the machine
`;

interface Subject {
  readonly machine: Machine;
  readonly view: GuestView;
  readonly settings: TargetSettings;
}

/** Carries out a command, with single spaces between its words; returns what it prints. */
export function runMonitor(command: string, { machine, view, settings }: Subject): string {
  const { processor } = machine;
  const [, address] = /^info walk (?:0x)?([0-9a-f]{1,16})$/i.exec(command) ?? [];
  if (address !== undefined) {
    return lines(describeWalk(processor.registers, BigInt(`0x${address}`), view.readEntry));
  }
  switch (command) {
    case "help":
      return HELP;
    case "info registers":
      return lines(describeProcessor(processor));
    case "info instructions":
      return lines([String(machine.instructions)]);
    case "arch i8086":
    case "arch i386":
      settings.architecture = command === "arch i386" ? "i386" : "i8086";
      return "";
    case "arch x86-64":
      if (!processor.system.has("lm")) return lines(["the processor has no 64-bit mode; see --cpu"]);
      settings.architecture = "i386:x86-64";
      return "";
    case "arch auto":
      settings.architecture = undefined;
      return "";
    case "quit":
      machine.stop();
      return "";
    default:
      return lines([`unknown command; "monitor help" lists them`]);
  }
}

const lines = (texts: readonly string[]): string => texts.map((text) => `${text}\n`).join("");
