/** The worker thread of one machine. */
import { readFile } from "node:fs/promises";
import { parentPort, workerData } from "node:worker_threads";
import type { MachineEnd } from "../definition.ts";
import { Machine } from "../machine.ts";
import { ScreenReader } from "../screen/screen-reader.ts";
import { openDisks } from "./disks.ts";
import { GdbServer } from "./gdb-server.ts";
import { nodeHost } from "./host.ts";
import { answerScreen } from "./screen/screen-port.ts";
import { SerialBatch } from "./serial-batch.ts";
import { stateHash } from "./state-hash.ts";
import type { FromWorker, ToWorker, WorkerDefinition } from "./virtual-machine.ts";

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
  const disks = await openDisks(definition.disks);
  const image = await load(definition.kernel);
  const initrd = definition.initrd === undefined ? undefined : await load(definition.initrd);
  const gdb = definition.gdb && (await GdbServer.listen(definition.gdb));
  const machine = Machine.create(
    {
      memory: definition.memory,
      cpu: definition.cpu,
      clock: definition.clock,
      kernel: { image, commandLine: definition.append, ...(initrd ? { initrd } : {}) },
      disks: disks.devices,
      serial,
      ...(virtioConsole ? { virtioConsole } : {}),
      debugExit: definition.debugExit,
      noReboot: definition.noReboot,
    },
    nodeHost(),
  );
  const screen = machine.display && new ScreenReader(machine.display, []);
  gdb?.attach(machine);
  if (definition.gdb?.wait) machine.pause();
  const started = new Promise<void>((resolve) => {
    port?.on("message", (message: ToWorker) => {
      if (message.kind === "start") resolve();
      else if (message.kind === "serial") machine.sendSerial(message.bytes);
      else if (message.kind === "console") machine.sendConsole(message.bytes);
      else if (message.kind === "screen") {
        const { id, request } = message;
        void answerScreen(request, screen, machine.input).then((reply) => post({ kind: "screen", id, reply }));
      } else if (message.kind === "power-button") machine.powerButton();
      else {
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
    await disks.close();
    port?.close();
  }
}

main(workerData as WorkerDefinition).catch((error: Error) => {
  post({ kind: "failed", name: error.name, message: error.message });
  port.close();
});
