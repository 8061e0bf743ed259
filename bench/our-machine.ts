/**
 * One machine of ours on standard input and output, for measurements of guest programs: after each line of the
 * guest that begins or ends a measurement it adds one that tells how many instructions the guest has executed.
 *
 *     node bench/our-machine.ts KERNEL INITRD COMMAND-LINE MEBIBYTES [PROFILE]
 *
 * With PROFILE, a profile of V8's of the time from "BENCH begin" to "BENCH end" goes to that file.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { Session } from "node:inspector";
import process from "node:process";
import { MIB } from "../src/bits/units.ts";
import type { ByteSink } from "../src/machine/device.ts";
import { Machine } from "../src/vm/machine.ts";
import { nodeHost } from "../src/vm/node/host.ts";
import { SerialBatch } from "../src/vm/node/serial-batch.ts";
import { isMark } from "./program-lines.ts";

const [kernel = "", initrd = "", commandLine = "", mebibytes = "", profile] = process.argv.slice(2);
const SAMPLE_MICROSECONDS = 250;
const LINE_END = 10;

/** Passes the guest's output on, and looks at its lines. */
class Stamp implements ByteSink {
  readonly #out = new SerialBatch((bytes) => void process.stdout.write(bytes));
  #line = "";

  write(bytes: Uint8Array): void {
    this.#out.write(bytes);
    for (const byte of bytes) {
      if (byte !== LINE_END) {
        this.#line += String.fromCharCode(byte);
        continue;
      }
      if (isMark(this.#line)) {
        this.#out.write(new TextEncoder().encode(`HOST instructions=${machine.instructions}\n`));
        onMark(this.#line);
      }
      this.#line = "";
    }
  }
}

const session = new Session();
function startProfile(): void {
  session.connect();
  session.post("Profiler.enable");
  session.post("Profiler.setSamplingInterval", { interval: SAMPLE_MICROSECONDS });
  session.post("Profiler.start");
}
function stopProfile(file: string): void {
  session.post("Profiler.stop", (error, result) => {
    if (error) throw error;
    writeFileSync(file, JSON.stringify(result.profile));
  });
}

function onMark(line: string): void {
  if (profile === undefined) return;
  if (line.startsWith("BENCH begin")) startProfile();
  else stopProfile(profile);
}

const machine = await Machine.create(
  {
    memory: Number(mebibytes) * MIB,
    cpu: "max",
    clock: "real",
    kernel: { image: readFileSync(kernel), ...(initrd === "" ? {} : { initrd: readFileSync(initrd) }), commandLine },
    disks: [],
    serial: new Stamp(),
    debugExit: false,
    noReboot: true,
  },
  nodeHost(),
);
process.stdin.on("data", (bytes: Uint8Array) => machine.sendSerial(bytes));
const end = await machine.run();
process.stderr.write(`${end.kind === "crash" ? end.report : end.kind}\n`);
process.exit(end.kind === "power-off" ? 0 : 1);
