/**
 * A machine's page: its screen, its serial console and its controls in a browser. All that it serves lies below an
 * address with a random part, so that only who was told it gets in; WebSockets are taken from the page itself alone.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { type ListenAddress, listenAt, shownAddress } from "../../vm/node/screen/listen.ts";
import type { ScreenHub } from "../../vm/node/screen/screen-hub.ts";
import type { MachineControls } from "../control/machine-controls.ts";
import { LONGEST_REQUEST } from "../control/protocol.ts";
import { findPageFiles, type PageFiles } from "./page-files.ts";
import { pageHtml } from "./page-html.ts";
import type { SerialTap } from "./serial-tap.ts";

const TOKEN_BYTES = 24;
const MOST_SOCKETS = 32;
/** Requests of one page that wait for their answers. */
const MOST_REQUESTS = 64;
/** Bytes of the serial console that a page has not taken: it is hung up on. */
const MOST_WAITING = 8 << 20;
const GONE = 1001;
const TOO_MANY = 1013;

/** What the page shows and does. */
export interface WebMachine {
  readonly hub: ScreenHub;
  readonly controls: MachineControls;
  readonly serial: SerialTap;
  sendSerial(bytes: Uint8Array): void;
}

export class WebServer {
  readonly #server: Server;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: LONGEST_REQUEST,
    perMessageDeflate: false,
    // noVNC asks for "binary" in some versions.
    handleProtocols: (protocols) => (protocols.has("binary") ? "binary" : false),
  });
  readonly #token = randomBytes(TOKEN_BYTES).toString("base64url");
  readonly #page: PageFiles;
  readonly #name: string;
  #machine: WebMachine | undefined;

  /** Rejects with ListenError. */
  static async listen(address: ListenAddress, name: string): Promise<WebServer> {
    const page = await findPageFiles();
    const server = createServer();
    await listenAt(server, address, "browsers");
    return new WebServer(server, page, name);
  }

  private constructor(server: Server, page: PageFiles, name: string) {
    this.#server = server;
    this.#page = page;
    this.#name = name;
    server.unref();
    server.on("error", () => {});
    server.on("clientError", (_error, socket) => socket.destroy());
    server.on("connection", (socket) => socket.unref());
    server.on("request", (request, response) => {
      this.#answer(request, response).catch(() => {
        if (!response.headersSent) response.writeHead(500);
        response.end();
      });
    });
    server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
  }

  /** The page's address, for whoever may see it. */
  get url(): string {
    return `http://${shownAddress(this.#server)}/${this.#token}/`;
  }

  attach(machine: WebMachine): void {
    this.#machine = machine;
  }

  close(): void {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** The part of the address behind the token; undefined for who does not know it, or came by another name. */
  #path({ url = "", headers: { host = "" } }: IncomingMessage): string | undefined {
    // A name that leads here, but is not of here, is another site's.
    const name = host.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
    if (name !== "localhost" && isIP(name) === 0) return undefined;
    const [, token = "", rest] = /^\/([^/?]*)\/([^?]*)$/.exec(url) ?? [];
    const given = Buffer.from(token);
    const expected = Buffer.from(this.#token);
    return given.length === expected.length && timingSafeEqual(given, expected) ? rest : undefined;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = this.#path(request);
    if (path === undefined || (request.method !== "GET" && request.method !== "HEAD")) {
      refuse(response);
      return;
    }
    const send = (type: string, body: Uint8Array | string, headers: Record<string, string> = {}) => {
      response.writeHead(200, { ...SAFETY, "Content-Type": type, ...headers });
      response.end(request.method === "HEAD" ? undefined : body);
    };
    if (path === "") {
      const nonce = randomBytes(16).toString("base64");
      const { script, imports } = this.#page;
      const html = pageHtml({ name: this.#name, script, imports, nonce });
      send("text/html; charset=utf-8", html, { "Content-Security-Policy": policy(nonce, request.headers.host ?? "") });
    } else if (path === "screenshot.png" && this.#machine) {
      send("image/png", await this.#machine.controls.screenshot());
    } else {
      const file = this.#page.files.get(path);
      if (file) send(file.type, await file.read());
      else refuse(response);
    }
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => {});
    const path = this.#path(request);
    const { origin, host = "" } = request.headers;
    const machine = this.#machine;
    if (path === undefined || origin !== `http://${host}` || machine === undefined) {
      socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n");
      return;
    }
    const open = SOCKETS.get(path);
    if (open === undefined) {
      socket.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n");
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on("error", () => {});
      if (this.#sockets.clients.size > MOST_SOCKETS) webSocket.close(TOO_MANY);
      else open(webSocket, machine);
    });
  }
}

const SAFETY = {
  "Cache-Control": "no-store",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cross-Origin-Opener-Policy": "same-origin",
} as const;

const policy = (nonce: string, host: string) =>
  [
    "default-src 'none'",
    `script-src 'self' 'nonce-${nonce}'`,
    // noVNC and xterm.js make styles of their own.
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    `connect-src 'self' ws://${host}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");

function refuse(response: ServerResponse): void {
  response.writeHead(404, { ...SAFETY, "Content-Type": "text/plain" });
  response.end("Not found\n");
}

const SOCKETS: ReadonlyMap<string, (socket: WebSocket, machine: WebMachine) => void> = new Map([
  ["screen", openScreen],
  ["serial", openSerial],
  ["control", openControl],
]);

const bytesOf = (data: unknown): Uint8Array =>
  data instanceof Uint8Array ? data : new Uint8Array(data as ArrayBuffer);

function openScreen(socket: WebSocket, { hub }: WebMachine): void {
  const session = hub.open({
    send: (bytes) => socket.send(bytes),
    get waiting() {
      return socket.bufferedAmount;
    },
    close: () => socket.close(),
  });
  if (session === undefined) {
    socket.close(TOO_MANY);
    return;
  }
  socket.on("message", (data) => session.receive(bytesOf(data)));
  socket.on("close", () => hub.closed(session));
}

function openSerial(socket: WebSocket, machine: WebMachine): void {
  const unwatch = machine.serial.watch((bytes) => {
    if (socket.bufferedAmount > MOST_WAITING) socket.close(GONE);
    else socket.send(bytes);
  });
  socket.on("message", (data) => machine.sendSerial(bytesOf(data)));
  socket.on("close", unwatch);
}

function openControl(socket: WebSocket, { controls }: WebMachine): void {
  let waiting = 0;
  let last: Promise<void> = Promise.resolve();
  socket.on("message", (data) => {
    if (waiting >= MOST_REQUESTS) {
      socket.close(TOO_MANY);
      return;
    }
    waiting++;
    const line = Buffer.from(bytesOf(data)).toString("utf8");
    // In order, as answers do not say what they answer.
    last = last.then(async () => {
      const reply = await controls.answer(line);
      waiting--;
      if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(reply));
    });
  });
}
