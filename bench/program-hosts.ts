/** The machines that programs run in: started when they are first needed, and kept for all rounds. */
import type { Programs } from "./guest-files.ts";
import type { Bits } from "./guest-programs.ts";
import type { BootFiles, Machine, MachineName } from "./machines.ts";
import { nativeHost, type ProgramHost, shellOf } from "./shell.ts";

export interface ProgramHostsOptions {
  /** For files of the machines. */
  readonly directory: string;
  readonly programs: (bits: Bits) => Programs;
  /** Guests with the programs. */
  readonly withPrograms: (bits: Bits) => BootFiles;
  /** The root directory of Debian's programs, where they are needed. */
  readonly debianRoot: (bits: Bits) => string | undefined;
  /** Told what is done now, and what is worth a line that stays. */
  readonly step: (text: string) => void;
  readonly note: (text: string) => void;
}

export class ProgramHosts {
  readonly #options: ProgramHostsOptions;
  readonly #open = new Map<MachineName, ProgramHost>();

  constructor(options: ProgramHostsOptions) {
    this.#options = options;
  }

  async open(machine: Machine): Promise<ProgramHost> {
    const present = this.#open.get(machine.name);
    if (present !== undefined) return present;
    const host = await this.#start(machine);
    this.#open.set(machine.name, host);
    return host;
  }

  async #start({ name, bits, emulator }: Machine): Promise<ProgramHost> {
    const { programs, withPrograms, debianRoot, directory, step } = this.#options;
    if (emulator === undefined) return nativeHost(bits, programs(bits).files, debianRoot(bits));
    step(`starting the machine for programs: ${name}`);
    const files = withPrograms(bits);
    const command = emulator.counted?.(files) ?? (await emulator.boot(files, directory));
    return shellOf(command, {
      bits,
      counted: emulator.counted !== undefined,
      pausable: emulator.virtualTime,
      debian: debianRoot(bits) !== undefined,
    });
  }

  async discard(name: MachineName): Promise<void> {
    const host = this.#open.get(name);
    this.#open.delete(name);
    await host?.close();
  }

  async close(): Promise<void> {
    for (const name of [...this.#open.keys()]) await this.discard(name);
  }
}
