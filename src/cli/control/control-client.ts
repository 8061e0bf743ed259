/** Finds a machine that runs, and asks it something. */
import { once } from "node:events";
import { readdir, unlink } from "node:fs/promises";
import { connect } from "node:net";
import path from "node:path";
import { answers } from "../../vm/node/screen/listen.ts";
import { ExitStatus } from "../exit-status.ts";
import { CliError, usageError } from "../failure.ts";
import type { ControlReply } from "./protocol.ts";
import { parseSocketFile, type SocketName } from "./runtime-directory.ts";

/** Characters of an answer at the most: a screenshot. */
const LONGEST_REPLY = 1 << 28;

interface Running extends SocketName {
  readonly path: string;
}

/** The machines that run; sockets that machines left behind are removed. */
export async function runningMachines(directory: string): Promise<Running[]> {
  const files = await readdir(directory).catch(() => []);
  const machines: Running[] = [];
  for (const file of files.sort()) {
    const found = parseSocketFile(file);
    if (found === undefined) continue;
    const socket = path.join(directory, file);
    if (await answers(socket)) machines.push({ ...found, path: socket });
    else await unlink(socket).catch(() => {});
  }
  return machines;
}

const shown = (machines: readonly Running[]) => machines.map(({ name, pid }) => `${name} (process ${pid})`).join(", ");

/** The machine by its name or its process. Rejects with CliError where there is none, or there are several. */
export async function findMachine(directory: string, nameOrPid: string): Promise<Running> {
  const machines = await runningMachines(directory);
  const found = machines.filter(({ name, pid }) => name === nameOrPid || String(pid) === nameOrPid);
  const [machine] = found;
  if (machine !== undefined && found.length === 1) return machine;
  if (machine !== undefined) {
    throw usageError(`several machines go by "${nameOrPid}": ${shown(found)}; give the number of the process instead`);
  }
  const others = machines.length > 0 ? `there are ${shown(machines)}` : "none does; bunk run --name NAME starts one";
  throw new CliError(ExitStatus.unavailable, `no machine "${nameOrPid}" runs; ${others}`);
}

/** Asks a machine; rejects with CliError where it refuses, or goes away. */
export async function askMachine(machine: Running, request: object): Promise<ControlReply & { ok: true }> {
  const socket = connect(machine.path);
  try {
    await once(socket, "connect");
    socket.write(`${JSON.stringify(request)}\n`);
    const parts: string[] = [];
    let length = 0;
    for await (const data of socket.setEncoding("utf8") as AsyncIterable<string>) {
      parts.push(data);
      length += data.length;
      if (data.endsWith("\n") || length > LONGEST_REPLY) break;
    }
    const text = parts.join("");
    if (!text.endsWith("\n")) throw new Error("it ended before it answered");
    const reply = JSON.parse(text) as ControlReply;
    if (!reply.ok) throw new CliError(ExitStatus.unavailable, `${machine.name}: ${reply.error}`);
    return reply;
  } catch (error) {
    if (error instanceof CliError) throw error;
    const reason = (error as Error).message;
    throw new CliError(
      ExitStatus.unavailable,
      `the machine ${machine.name} (process ${machine.pid}) cannot be asked: ${reason}`,
    );
  } finally {
    socket.destroy();
  }
}
