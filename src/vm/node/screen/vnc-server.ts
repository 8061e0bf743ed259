/** Lets VNC viewers connect by TCP or a Unix socket. */
import { createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { PasswordCheck } from "../../rfb/session.ts";
import { type ListenAddress, listenAt, shownAddress } from "./listen.ts";
import type { ScreenHub } from "./screen-hub.ts";

/** For a viewer to show its password and say hello, in milliseconds; people type passwords. */
const HANDSHAKE = 60_000;
/** What a wrong password costs: with few viewers at once, all passwords cannot be tried. */
const PENALTY = 2000;
/** For what is on its way to a viewer that is sent off. */
const PATIENCE = 500;

export class VncServer {
  readonly #server: Server;
  readonly #password: PasswordCheck | undefined;
  readonly #sockets = new Set<Socket>();
  #hub: ScreenHub | undefined;

  /** Rejects with ListenError. */
  static async listen(address: ListenAddress, password?: PasswordCheck): Promise<VncServer> {
    const server = createServer();
    await listenAt(server, address, "VNC viewers");
    return new VncServer(server, password);
  }

  private constructor(server: Server, password: PasswordCheck | undefined) {
    this.#server = server;
    this.#password = password;
    server.unref();
    // What goes wrong with a connection goes wrong with its socket.
    server.on("error", () => {});
    server.on("connection", (socket) => this.#accept(socket));
  }

  /** As viewers take it. */
  get address(): string {
    return shownAddress(this.#server);
  }

  /** Takes viewers for a machine. */
  attach(hub: ScreenHub): void {
    this.#hub = hub;
  }

  #accept(socket: Socket): void {
    socket.on("error", () => {});
    const hub = this.#hub;
    const session = hub?.open(
      {
        send: (bytes) => {
          if (!socket.destroyed) socket.write(bytes);
        },
        get waiting() {
          return socket.writableLength;
        },
        close: (why) => {
          if (why === "refused") setTimeout(() => hangUp(socket), PENALTY).unref();
          else hangUp(socket);
        },
      },
      this.#password,
    );
    if (hub === undefined || session === undefined) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 60_000);
    socket.unref();
    const timer = setTimeout(() => {
      if (!session.isOpen) socket.destroy();
    }, HANDSHAKE);
    timer.unref();
    socket.on("data", (bytes: Uint8Array) => session.receive(bytes));
    socket.on("close", () => {
      clearTimeout(timer);
      this.#sockets.delete(socket);
      hub.closed(session);
    });
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

function hangUp(socket: Socket): void {
  socket.end();
  void delay(PATIENCE, undefined, { ref: false }).then(() => socket.destroy());
}
