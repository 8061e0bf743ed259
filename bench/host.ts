/** What a set of figures was measured on. */
import { cpus, loadavg, release } from "node:os";
import process from "node:process";
import { COMPILER } from "./guest-programs.ts";
import { QEMU, versionOf } from "./machines.ts";

export interface HostFacts {
  readonly date: string;
  readonly processor: string;
  readonly cores: number;
  readonly system: string;
  readonly node: string;
  readonly v8: string;
  readonly qemu: string;
  readonly compiler: string;
}

export async function hostFacts(): Promise<HostFacts> {
  const all = cpus();
  return {
    date: new Date().toISOString().slice(0, 16).replace("T", " "),
    processor: all[0]?.model.trim() ?? "unknown",
    cores: all.length,
    system: `${process.platform} ${release()} ${process.arch}`,
    node: process.versions.node,
    v8: process.versions.v8,
    qemu: (await versionOf(QEMU)) ?? "none",
    compiler: (await versionOf(COMPILER)) ?? "none",
  };
}

/** Runnable tasks of the last minute, on average. */
export function load(): number {
  return loadavg()[0] ?? 0;
}
