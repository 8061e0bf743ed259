/** A machine as gdb debugs it: one for each connection. */
import type { DebugStop, Watchpoint } from "../../cpu/debugger.ts";
import { isElf } from "../../firmware/elf.ts";
import { isLinuxImage, parseLinuxImage } from "../../firmware/linux-header.ts";
import { crashReport } from "../crash-report.ts";
import { GuestView } from "../guest-view.ts";
import type { Machine } from "../machine.ts";
import type { Architecture, BreakpointKind, DebugTarget, MemorySpace, RegisterFeature, Stop } from "./debug-target.ts";
import { runMonitor } from "./monitor.ts";
import { isLongMode, ProcessorRegisters } from "./processor-registers.ts";

const MOST_BREAKPOINTS = 1000;
const MOST_WATCHPOINTS = 64;
const ELF_CLASS = 4;
const ELF_CLASS_64 = 2;

export interface TargetSettings {
  /** The architecture to describe; by what the machine runs where undefined. */
  architecture: Architecture | undefined;
}

interface CodeBreakpoint {
  readonly kind: "software" | "hardware";
  readonly address: bigint;
}

export class MachineTarget implements DebugTarget {
  readonly architecture: Architecture;
  readonly features: readonly RegisterFeature[];
  stopped: ((stop: Stop) => void) | undefined;
  readonly #machine: Machine;
  /** Kept from one connection to the next. */
  readonly #settings: TargetSettings;
  readonly #registers: ProcessorRegisters;
  readonly #view: GuestView;
  #breakpoints: readonly CodeBreakpoint[] = [];
  #watchpoints: readonly Watchpoint[] = [];

  constructor(machine: Machine, settings: TargetSettings) {
    this.#machine = machine;
    this.#settings = settings;
    this.architecture = settings.architecture ?? architectureOf(machine);
    this.#registers = new ProcessorRegisters(machine.processor, this.architecture);
    this.features = this.#registers.features;
    this.#view = new GuestView(machine.processor.registers, machine.ram);
    machine.onDebugStop = (stop) => this.stopped?.(this.#describe(stop));
  }

  /** Leaves the machine as if there had never been a debugger, except that it may be paused. */
  release(): void {
    this.#machine.onDebugStop = undefined;
  }

  readRegister(number: number): Uint8Array {
    return this.#registers.read(number);
  }
  writeRegister(number: number, value: Uint8Array): boolean {
    return this.#registers.write(number, value);
  }

  readMemory(address: bigint, length: number, space: MemorySpace): Uint8Array {
    return space === "physical" ? this.#view.readPhysical(address, length) : this.#view.read(address, length);
  }

  writeMemory(address: bigint, bytes: Uint8Array, space: MemorySpace): boolean {
    const done = space === "physical" ? this.#view.writePhysical(address, bytes) : this.#view.write(address, bytes);
    // The bytes may be entries of page tables, which no instruction of the guest will say have changed.
    if (done) this.#machine.processor.flushTlb();
    return done;
  }

  insertBreakpoint(kind: BreakpointKind, address: bigint, length: number): boolean {
    this.removeBreakpoint(kind, address, length);
    if (kind === "software" || kind === "hardware") {
      if (this.#breakpoints.length >= MOST_BREAKPOINTS) return false;
      this.#breakpoints = [...this.#breakpoints, { kind, address }];
    } else {
      if (this.#watchpoints.length >= MOST_WATCHPOINTS) return false;
      this.#watchpoints = [...this.#watchpoints, { kind, address, length }];
    }
    return true;
  }

  removeBreakpoint(kind: BreakpointKind, address: bigint, length: number): void {
    this.#breakpoints = this.#breakpoints.filter((one) => one.kind !== kind || one.address !== address);
    this.#watchpoints = this.#watchpoints.filter(
      (one) => one.kind !== kind || one.address !== address || one.length !== length,
    );
  }

  removeAllBreakpoints(): void {
    this.#breakpoints = [];
    this.#watchpoints = [];
  }

  pause(): void {
    this.#machine.pause();
  }

  resume(step: boolean): void {
    const breakpoints = this.#breakpoints.map(({ address }) => address);
    this.#machine.processor.obey({ breakpoints, watchpoints: this.#watchpoints, step });
    this.#machine.resume();
  }

  kill(): void {
    this.#machine.stop();
  }

  get activity(): string {
    switch (this.#machine.processor.registers.get32("activity")) {
      case 0:
        return "running";
      case 1:
        return "halted";
      default:
        return "shut down";
    }
  }

  monitor(command: string): string {
    return runMonitor(command, { machine: this.#machine, view: this.#view, settings: this.#settings });
  }

  #describe(stop: Parameters<NonNullable<Machine["onDebugStop"]>>[0]): Stop {
    switch (stop.kind) {
      case "breakpoint":
        return { kind: "breakpoint", hardware: this.#isHardware() };
      case "watchpoint":
        return watchpointStop(stop);
      case "step":
        return { kind: "step" };
      case "shutdown":
        return { kind: "shutdown", report: crashReport(this.#machine.processor, this.#machine.ram, stop.fault) };
    }
  }

  /** Whether no software breakpoint, but one that gdb calls a hardware breakpoint, is at the instruction. */
  #isHardware(): boolean {
    const here = this.#machine.processor.linearIp;
    return !this.#breakpoints.some(({ kind, address }) => kind === "software" && address === here);
  }
}

/** gdb takes the address for that of the watchpoint, and knows it by any of its bytes. */
function watchpointStop({ watchpoint, address }: Extract<DebugStop, { kind: "watchpoint" }>): Stop {
  return { kind: "watchpoint", access: watchpoint.kind, address };
}

/**
 * What the guest is about to be, as far as it can be told: a 64-bit kernel may start in 32-bit code, and gdb cannot be
 * told of another architecture later on.
 */
function architectureOf({ processor, kernelImage }: Machine): Architecture {
  if (!processor.system.has("lm")) return "i386";
  return isLongMode(processor) || (kernelImage && isKernel64(kernelImage)) ? "i386:x86-64" : "i386";
}

function isKernel64(image: Uint8Array): boolean {
  if (isElf(image)) return image[ELF_CLASS] === ELF_CLASS_64;
  return isLinuxImage(image) && parseLinuxImage(image).kernel64;
}
