/**
 * `npm run bench`: our machine, QEMU's translator (TCG) and the host itself side by side on the same guest programs
 * and kernels. The machines take turns in each round, so that a busy host slows down all of them alike.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import process from "node:process";
import { smallKernel } from "../src/cli/testing/small-kernel.ts";
import { joinArchives, writeCpio } from "../src/hypervisor/catalogue/cpio.ts";
import { type PreparedGuest, prepareGuest } from "../src/hypervisor/catalogue/debian-guest.ts";
import { progressOn } from "../src/hypervisor/catalogue/progress.ts";
import { bootToShell, firstOutput } from "./boot-run.ts";
import { Figures } from "./figures.ts";
import { compile, PROGRAM_NAMES, type ProgramName } from "./guest-programs.ts";
import { hostFacts, load } from "./host.ts";
import { type BootFiles, type Emulator, type MachineName, OURS, QEMU, QEMU_TCG, versionOf } from "./machines.ts";
import { type BenchOptions, parseOptions, USAGE } from "./options.ts";
import { nativeHost, PROGRAM_DIRECTORY, type ProgramHost, type ProgramRun, shellOn } from "./program-run.ts";
import { table } from "./table.ts";
import { BOOT_ROW, instructionRate, MEMORY_ROW, rate, START_ROW, WORKLOADS, type Workload } from "./workloads.ts";
