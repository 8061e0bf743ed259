/**
 * What an installation leaves in the folder that `BUNKHOUSE_ARTEFACTS` names, if it does: screenshots, what the guest
 * said on its serial line and when, and the disk.
 */
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import type { VirtualMachine } from "../../src/vm/index.ts";

const folder = process.env.BUNKHOUSE_ARTEFACTS;
const EVERY_MS = 60_000;

/** Keeps a picture of the screen. */
export async function keepScreenshot(vm: VirtualMachine, name: string): Promise<void> {
  if (folder === undefined) return;
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, `install-${name}.png`), await vm.display.screenshot());
}

/** Keeps a copy of the disk as it now is. */
export async function keepDisk(image: string, name: string): Promise<void> {
  if (folder === undefined) return;
  await mkdir(folder, { recursive: true });
  await copyFile(image, path.join(folder, `install-${name}.qcow2`));
}

/** Writes down once a minute what the serial line said and when, and what is on the screen; returns what ends that. */
export function follow(vm: VirtualMachine, name: string): () => Promise<void> {
  if (folder === undefined) return async () => {};
  const place = path.join(folder, `install-${name}.log`);
  const start = performance.now();
  const seconds = () => ((performance.now() - start) / 1000).toFixed(1).padStart(7);
  let log = "";
  const forget = vm.serial.onData((bytes) => {
    const text = new TextDecoder("latin1").decode(bytes);
    log += text.replaceAll("\n", () => `\n${seconds()} ${cpuMinutes().toFixed(1)} `);
  });
  const write = async () => {
    await mkdir(folder, { recursive: true });
    await writeFile(place, log);
    await keepScreenshot(vm, `${name}-now`);
  };
  // A machine that has ended in between has no screen any more; the log is there all the same.
  const timer = setInterval(() => void write().catch(() => {}), EVERY_MS);
  return async () => {
    clearInterval(timer);
    forget();
    await writeFile(place, log);
  };
}

/** Processor time of this process and its threads, the machine's among them; on a busy host less than the time passed. */
export function cpuMinutes(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 60e6;
}
