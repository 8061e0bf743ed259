/**
 * Lets a gdb connect by TCP: one at a time, one after the other. It lives in the thread of its machine, whose event
 * loop gets its turn between two slices of guest time.
 */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { MachineEnd } from "../definition.ts";
import { GdbSession } from "../gdb/gdb-session.ts";
import { MachineTarget, type TargetSettings } from "../gdb/machine-target.ts";
import type { Machine } from "../machine.ts";

export interface GdbAddress {
  /** A name or number of this host; 127.0.0.1, which other hosts cannot reach, unless given. */
  readonly host?: string;
  /** 0 for any that is free. */
  readonly port: number;
}

/** What gdb sends first: an acknowledgement, a packet or Ctrl-C. No HTTP request begins so. */
const OPENINGS = new Set(["+", "-", "$", "\x03"].map((character) => character.charCodeAt(0)));
/** Replies that wait to be sent, in bytes: above this, no more commands are taken. */
const MOST_WAITING = 0x1_0000;
/** Bytes that are taken at once: few enough that the replies to them stay few. */
const PIECE = 256;
/** For the last reply, and for the end of one connection where another begins, in milliseconds. */
const PATIENCE = 500;

/** The address cannot be listened at; `message` is one line that says what to change. */
export class GdbServerError extends Error {
  override readonly name = "GdbServerError";
}

export class GdbServer {
  readonly #server: Server;
  readonly #settings: TargetSettings = { architecture: undefined };
  #machine: Machine | undefined;
  #connection: Connection | undefined;
  /** Waits for that connection to end. */
  #next: Socket | undefined;

  /** Rejects with GdbServerError. */
  static async listen({ host = "127.0.0.1", port }: GdbAddress): Promise<GdbServer> {
    const server = createServer();
    try {
      server.listen(port, host);
      await once(server, "listening");
    } catch (error) {
      throw new GdbServerError(whyNot(error as NodeJS.ErrnoException, host, port));
    }
    return new GdbServer(server);
  }

  private constructor(server: Server) {
    this.#server = server;
    // Nobody waits for a debugger that may never come.
    server.unref();
    // What goes wrong with a connection goes wrong with its socket.
    server.on("error", () => {});
    server.on("connection", (socket) => this.#accept(socket));
  }

  /** As `target remote` takes it. */
  get address(): string {
    const { address, port, family } = this.#server.address() as AddressInfo;
    return `${family === "IPv6" ? `[${address}]` : address}:${port}`;
  }

  /** Takes connections for a machine, from the next turn of the event loop on. */
  attach(machine: Machine): void {
    this.#machine = machine;
  }

  #accept(socket: Socket): void {
    socket.on("error", () => {});
    if (this.#connection !== undefined) this.#wait(socket);
    else if (this.#machine !== undefined && !socket.destroyed) {
      this.#connection = new Connection(socket, this.#machine, this.#settings, () => {
        this.#connection = undefined;
        const next = this.#next;
        this.#next = undefined;
        if (next) this.#accept(next);
      });
    } else socket.destroy();
  }

  /** A gdb that connects anew may be here before its old connection is seen to end. */
  #wait(socket: Socket): void {
    if (this.#next !== undefined) {
      socket.destroy();
      return;
    }
    this.#next = socket;
    void delay(PATIENCE, undefined, { ref: false }).then(() => {
      if (this.#next !== socket) return;
      this.#next = undefined;
      socket.destroy();
    });
  }

  /** Tells a connected gdb how the machine ended, where it did, and hangs up. */
  async close(end: MachineEnd | undefined): Promise<void> {
    this.#server.close();
    this.#next?.destroy();
    await this.#connection?.end(end);
  }
}

class Connection {
  readonly #socket: Socket;
  readonly #machine: Machine;
  readonly #settings: TargetSettings;
  /** Once the client has shown that it speaks the protocol. */
  #session: GdbSession | undefined;
  #target: MachineTarget | undefined;

  constructor(socket: Socket, machine: Machine, settings: TargetSettings, gone: () => void) {
    this.#socket = socket;
    this.#machine = machine;
    this.#settings = settings;
    socket.setNoDelay(true);
    // A client whose host is gone must not keep others out.
    socket.setKeepAlive(true, 60_000);
    socket.unref();
    socket.on("data", (bytes: Uint8Array) => this.#take(bytes));
    socket.on("close", () => {
      this.#session?.close();
      this.#target?.release();
      gone();
    });
  }

  #take(bytes: Uint8Array): void {
    if (this.#session === undefined) {
      if (!OPENINGS.has(bytes[0] as number)) {
        this.#socket.destroy();
        return;
      }
      this.#target = new MachineTarget(this.#machine, this.#settings);
      this.#session = new GdbSession(this.#target, (reply) => {
        if (!this.#socket.destroyed) this.#socket.write(reply);
      });
    }
    this.#session.receive(bytes.subarray(0, PIECE));
    if (bytes.length <= PIECE && this.#socket.writableLength <= MOST_WAITING) return;
    // The rest goes to the head of what is to be read, and waits there while replies do.
    this.#socket.pause();
    if (bytes.length > PIECE) this.#socket.unshift(bytes.subarray(PIECE));
    if (this.#socket.writableLength <= MOST_WAITING) setImmediate(() => this.#socket.resume());
    else this.#socket.once("drain", () => this.#socket.resume());
  }

  async end(end: MachineEnd | undefined): Promise<void> {
    if (end) this.#session?.ended(end);
    if (this.#socket.destroyed) return;
    const closed = once(this.#socket, "close");
    this.#socket.end();
    await Promise.race([closed, delay(PATIENCE)]);
    this.#socket.destroy();
  }
}

function whyNot({ code, message }: NodeJS.ErrnoException, host: string, port: number): string {
  switch (code) {
    case "EADDRINUSE":
      return `gdb cannot be waited for at ${host}:${port}, which another program uses; give another port, or 0 for any`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `gdb cannot be waited for at ${host}:${port}: this host has no such address`;
    case "EACCES":
      return `gdb cannot be waited for at ${host}:${port}: ports below 1024 are for root; give another`;
    default:
      return `gdb cannot be waited for at ${host}:${port} (${message})`;
  }
}
