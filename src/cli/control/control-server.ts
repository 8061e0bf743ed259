/** The control socket of a machine that runs: one request at a time on each connection. */
import { once } from "node:events";
import { rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import path from "node:path";
import process from "node:process";
import { listenAt } from "../../vm/node/screen/listen.ts";
import type { MachineControls } from "./machine-controls.ts";
import { LONGEST_REQUEST } from "./protocol.ts";
import { makeRuntimeDirectory, socketFile } from "./runtime-directory.ts";

const MOST_CONNECTIONS = 16;

export class ControlServer {
  readonly path: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #controls: MachineControls | undefined;

  /** Rejects with CliError or ListenError. */
  static async listen(directory: string, name: string): Promise<ControlServer> {
    await makeRuntimeDirectory(directory);
    const file = path.join(directory, socketFile({ name, pid: process.pid }));
    const server = createServer();
    await listenAt(server, { path: file }, "requests");
    return new ControlServer(server, file);
  }

  private constructor(server: Server, file: string) {
    this.#server = server;
    this.path = file;
    server.unref();
    server.on("error", () => {});
    server.on("connection", (socket) => this.#accept(socket));
  }

  attach(controls: MachineControls): void {
    this.#controls = controls;
  }

  #accept(socket: Socket): void {
    socket.on("error", () => {});
    const controls = this.#controls;
    if (controls === undefined || this.#sockets.size >= MOST_CONNECTIONS) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.unref();
    socket.on("close", () => this.#sockets.delete(socket));
    void serve(socket, controls)
      .catch(() => {})
      .finally(() => socket.destroy());
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    rmSync(this.path, { force: true });
  }
}

/** Reads on only when what was asked before is answered, and the answer on its way. */
async function serve(socket: Socket, controls: MachineControls): Promise<void> {
  let text = "";
  for await (const data of socket.setEncoding("utf8") as AsyncIterable<string>) {
    text += data;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      const reply = await controls.answer(text.slice(0, end));
      text = text.slice(end + 1);
      if (!socket.write(`${JSON.stringify(reply)}\n`)) await once(socket, "drain");
    }
    if (text.length > LONGEST_REQUEST) return;
  }
}
