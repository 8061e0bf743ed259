/** What a set of figures was measured on. */
import { cpus, loadavg, release, totalmem } from "node:os";
import process from "node:process";
import { COMPILER } from "./guest-programs.ts";
import { commit, packageVersion, versionOf } from "./host-programs.ts";
import { QEMU } from "./machines.ts";
import { v86Version } from "./peers/v86.ts";

export interface HostFacts {
  readonly date: string;
  /** Of the sources, where they are a Git work tree. */
  readonly commit: string | undefined;
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  readonly v8: string;
  /** Versions of the other machines and of the compiler, as they say them. */
  readonly programs: readonly string[];
}

export async function hostFacts(): Promise<HostFacts> {
  const all = cpus();
  const v86 = await v86Version();
  const bochs = await packageVersion("bochs");
  const programs = [await versionOf(QEMU), v86 && `v86 ${v86}`, bochs && `Bochs ${bochs}`, await versionOf(COMPILER)];
  return {
    commit: await commit(),
    date: new Date().toISOString().slice(0, 16).replace("T", " "),
    processor: all[0]?.model.trim() ?? "unknown",
    cores: all.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${release()} ${process.arch}`,
    node: process.versions.node,
    v8: process.versions.v8,
    programs: programs.filter((text): text is string => text !== undefined && text !== ""),
  };
}

/** Runnable tasks of the last minute, on average. */
export function load(): number {
  return loadavg()[0] ?? 0;
}
