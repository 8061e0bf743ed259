/** Machines that boot media of Debian's packages by the machine's own BIOS or by SeaBIOS, as tests watch them. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import { VirtualMachine, type VirtualMachineOptions } from "../../src/vm/index.ts";
import { keepScreenshot } from "./kept-screenshot.ts";
import { packagedFile } from "./packaged-file.ts";

/** What a person does who is tired of waiting; systems start slowly on a busy host with few processors. */
const PATIENCE = { timeout: 900_000 };

/** A directory that is there until the test ends. */
export async function directoryOf(t: TestContext): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-media-"));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

/** A file of a Debian package in a directory of the test; undefined, with the test skipped, without Debian's packages. */
export async function mediumFrom(t: TestContext, name: string, file: string): Promise<string | undefined> {
  const content = await packagedFile(t, name, file);
  if (content === undefined) return undefined;
  const medium = path.join(await directoryOf(t), path.basename(file));
  await writeFile(medium, content);
  return medium;
}

export interface Firmware {
  readonly name: string;
  /** Undefined, with the test skipped, where this host has none. */
  options(t: TestContext): Promise<Partial<VirtualMachineOptions> | undefined>;
}

const FROM_SEABIOS = "usr/share/seabios";

export const OWN_BIOS: Firmware = { name: "the machine's own BIOS", options: async () => ({}) };

export const SEABIOS: Firmware = {
  name: "SeaBIOS",
  options: async (t) => {
    const directory = await directoryOf(t);
    for (const file of ["bios-256k.bin", "vgabios-stdvga.bin"]) {
      const content = await packagedFile(t, "seabios", `${FROM_SEABIOS}/${file}`);
      if (content === undefined) return undefined;
      await writeFile(path.join(directory, file), content);
    }
    return { firmware: { image: path.join(directory, "bios-256k.bin") } };
  },
};

export const FIRMWARE: readonly Firmware[] = [OWN_BIOS, SEABIOS];

export class MediaMachine {
  readonly vm: VirtualMachine;
  readonly #name: string;

  private constructor(vm: VirtualMachine, name: string) {
    this.vm = vm;
    this.#name = name;
  }

  /** A machine that has been started and is stopped when the test ends; undefined where the firmware is missing. */
  static async start(
    t: TestContext,
    firmware: Firmware,
    options: VirtualMachineOptions,
  ): Promise<MediaMachine | undefined> {
    const own = await firmware.options(t);
    if (own === undefined) return undefined;
    const vm = await VirtualMachine.create({ memory: "64M", ...own, ...options });
    t.after(() => vm.stop());
    // Whoever waits for the screen or the line is told of a failure.
    vm.start().catch(() => {});
    return new MediaMachine(vm, t.name);
  }

  /** Waits until the screen shows it; returns what it shows then. */
  async screen(pattern: string | RegExp): Promise<string> {
    return (await this.vm.display.waitForText(pattern, PATIENCE)).screen;
  }

  /** Waits until the serial line says it; returns what it said before. */
  async serial(pattern: string | RegExp): Promise<string> {
    return (await this.vm.serial.expect(pattern, PATIENCE)).before;
  }

  async type(text: string): Promise<void> {
    await this.vm.keyboard.type(text, PATIENCE);
  }

  async press(keys: string): Promise<void> {
    await this.vm.keyboard.press(keys, PATIENCE);
  }

  /** Keeps a picture of the screen. */
  keepScreenshot(): Promise<void> {
    return keepScreenshot(this.vm, this.#name);
  }
}
