/** The worker thread of one machine. */
import { readFile } from "node:fs/promises";
import { parentPort, workerData } from "node:worker_threads";
import type { MachineEnd } from "../definition.ts";
import { Machine } from "../machine.ts";
import { knownFonts } from "../screen/known-fonts.ts";
import { ScreenReader } from "../screen/screen-reader.ts";
import { CdromDiscs } from "./cdrom-discs.ts";
import { openCdroms, openDisks } from "./disks.ts";
import { openFirmware } from "./firmware.ts";
import { openFloppies } from "./floppies.ts";
import { GdbServer } from "./gdb-server.ts";
import { nodeHost } from "./host.ts";
import { openNics } from "./nics.ts";
import { answerScreen } from "./screen/screen-port.ts";
import { SerialBatch } from "./serial-batch.ts";
import { stateHash } from "./state-hash.ts";
import type { FromWorker, ToWorker } from "./virtual-machine.ts";
import type { WorkerDefinition } from "./vm-options.ts";

const port = parentPort;
if (!port) throw new Error("machine-worker.ts runs in a worker thread");
const post = (message: FromWorker) => port.postMessage(message);

const load = async (file: string | Uint8Array) =>
  typeof file === "string" ? new Uint8Array(await readFile(file)) : file;

async function main(definition: WorkerDefinition): Promise<void> {
  const serial = new SerialBatch((bytes) => post({ kind: "serial", bytes }));
  const virtioConsole = definition.virtioConsole
    ? new SerialBatch((bytes) => post({ kind: "console", bytes }))
    : undefined;
  const nics = await openNics(definition.nics);
  const cdroms = await openCdroms(definition.cdroms);
  const disks = await openDisks(definition.disks);
  const floppies = await openFloppies(definition.floppies);
  const image = definition.kernel === undefined ? undefined : await load(definition.kernel);
  const initrd = definition.initrd === undefined ? undefined : await load(definition.initrd);
  const firmware = definition.firmware && (await openFirmware(definition.firmware));
  const gdb = definition.gdb && (await GdbServer.listen(definition.gdb));
  const machine = await Machine.create(
    {
      memory: definition.memory,
      cpu: definition.cpu,
      clock: definition.clock,
      ...(image ? { kernel: { image, commandLine: definition.append, ...(initrd ? { initrd } : {}) } } : {}),
      ...(firmware ? { firmware: firmware.definition } : {}),
      bios: definition.boot,
      disks: disks.devices,
      floppies: floppies.drives,
      nics,
      cdroms,
      serial,
      ...(virtioConsole ? { virtioConsole } : {}),
      ...(definition.screen === undefined ? {} : { display: definition.screen }),
      pointer: definition.pointer,
      debugExit: definition.debugExit,
      noReboot: definition.noReboot,
    },
    nodeHost(),
  );
  const screen = machine.display && new ScreenReader(machine.display, knownFonts(), () => machine.ram.bytes);
  const discs = new CdromDiscs(machine.board.cdroms);
  const askCdrom = async ({ id, number, request }: ToWorker & { kind: "cdrom" }) => {
    try {
      post({ kind: "cdrom", id, done: await discs.handle(number, request) });
    } catch (error) {
      const { name, message } = error as Error;
      post({ kind: "cdrom", id, done: false, error: { name, message } });
    }
  };
  gdb?.attach(machine);
  if (definition.gdb?.wait) machine.pause();
  // The present tone, once for each turn of the event loop: a guest may change it as often as it likes.
  let toneToTell = false;
  machine.onTone = () => {
    if (toneToTell) return;
    toneToTell = true;
    setImmediate(() => {
      toneToTell = false;
      post({ kind: "tone", hertz: machine.tone });
    });
  };
  const change = async ({ request, drive, disk }: Extract<ToWorker, { kind: "change-floppy" }>) => {
    try {
      await floppies.change(machine, drive, disk);
      post({ kind: "done", request });
    } catch (error) {
      const { name, message } = error as Error;
      post({ kind: "done", request, failure: { name, message } });
    }
  };
  let changes = Promise.resolve();
  const started = new Promise<void>((resolve) => {
    port?.on("message", (message: ToWorker) => {
      if (message.kind === "start") resolve();
      else if (message.kind === "serial") machine.sendSerial(message.bytes);
      else if (message.kind === "console") machine.sendConsole(message.bytes);
      else if (message.kind === "power-button") machine.powerButton();
      else if (message.kind === "change-floppy") changes = changes.then(() => change(message));
      else if (message.kind === "cdrom") void askCdrom(message);
      else if (message.kind === "screen") {
        const { id, request } = message;
        void answerScreen(request, screen, machine.input).then((reply) => post({ kind: "screen", id, reply }));
      } else {
        machine.stop();
        resolve();
      }
    });
  });
  post({ kind: "ready", ...(gdb ? { gdbAddress: gdb.address } : {}) });
  await started;
  let end: MachineEnd | undefined;
  try {
    end = await machine.run();
    serial.flush();
    virtioConsole?.flush();
    // What was typed before the end is told as typed.
    await new Promise((resolve) => setImmediate(resolve));
    post({ kind: "ended", end, instructions: machine.instructions, hash: stateHash(machine) });
  } finally {
    await gdb?.close(end);
    await changes;
    await floppies.close();
    await disks.close();
    await firmware?.close();
    await discs.close();
  }
}

main(workerData as WorkerDefinition)
  .catch((error: Error) => post({ kind: "failed", name: error.name, message: error.message }))
  .finally(() => port.close());
