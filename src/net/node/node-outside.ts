/**
 * The outside as Node's sockets reach it.
 *
 * A guest may not reach the host itself: not the addresses of its interfaces, besides those that no network forwards. They
 * are looked at for each connection, as they change, and at least once a second for datagrams to one place.
 */
import { createSocket } from "node:dgram";
import { getServers } from "node:dns";
import { createConnection, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import type {
  ConnectFailure,
  ConnectionHandlers,
  Outside,
  OutsideAddress,
  OutsideConnection,
  OutsideDatagrams,
  OutsideQuestions,
  OutsideTarget,
} from "../outside.ts";
import { formatIpv4Address, type Ipv4Address, parseIpv4Address } from "../wire/addresses.ts";

/** Why nobody answered, by the host's error; all others are taken for a refusal. */
const UNREACHABLE = new Set(["ENETUNREACH", "EHOSTUNREACH", "ETIMEDOUT", "EADDRNOTAVAIL", "ENETDOWN", "EHOSTDOWN"]);
const DNS_PORT = 53;
/** Milliseconds for which a datagram's route holds for those that follow. */
const ROUTE_TIME = 1000;
/** Datagrams of one socket that the host has not taken yet; more are dropped. */
const MOST_UNDER_WAY = 256;

export interface NodeOutsideOptions {
  /** The host's address for one that a guest means; undefined where it may not go. All but the host's own unless given. */
  readonly route?: (address: Ipv4Address) => string | undefined;
  /** As node:dns gives them: the host's resolvers unless given. */
  readonly nameServers?: () => readonly string[];
}

export class NodeOutside implements Outside {
  readonly #route: (address: Ipv4Address) => string | undefined;
  readonly #nameServers: () => readonly string[];

  constructor({ route = routeAwayFromHost, nameServers = getServers }: NodeOutsideOptions = {}) {
    this.#route = route;
    this.#nameServers = nameServers;
  }

  connect(target: OutsideTarget, handlers: ConnectionHandlers): OutsideConnection {
    const place = target === "name-server" ? this.#nameServerPlaces()[0] : this.#placeOf(target);
    if (place !== undefined) return new NodeConnection(place, handlers);
    let isDropped = false;
    setImmediate(() => {
      if (!isDropped) handlers.failed("refused");
    });
    const destroy = () => {
      isDropped = true;
    };
    return { ...NOWHERE, destroy };
  }

  openDatagrams(receive: (from: OutsideAddress, bytes: Uint8Array) => void): OutsideDatagrams {
    const socket = new NodeDatagrams("udp4", (host, port, bytes) => {
      const address = parseIpv4Address(host);
      if (address !== undefined) receive({ address, port }, bytes);
    });
    let known = { address: -1, host: undefined as string | undefined, until: 0 };
    return {
      send: ({ address, port }, bytes) => {
        const now = performance.now();
        if (known.address !== address || known.until < now) {
          known = { address, host: this.#route(address), until: now + ROUTE_TIME };
        }
        if (known.host !== undefined) socket.send({ host: known.host, port, family: 4 }, bytes);
      },
      close: () => socket.close(),
    };
  }

  openQuestions(receive: (answer: Uint8Array) => void): OutsideQuestions {
    const servers = this.#nameServerPlaces();
    const sockets = new Map<4 | 6, NodeDatagrams>();
    let asked: Uint8Array | undefined;
    let server = 0;
    let isClosed = false;
    return {
      ask: (question) => {
        if (isClosed) return;
        // Who asks the same again had no answer: another server may have one.
        const isSame = asked !== undefined && Buffer.compare(asked, question) === 0;
        server = isSame ? (server + 1) % Math.max(servers.length, 1) : 0;
        asked = Uint8Array.from(question);
        const place = servers[server];
        if (place === undefined) return;
        let socket = sockets.get(place.family);
        if (socket === undefined) {
          socket = new NodeDatagrams(place.family === 4 ? "udp4" : "udp6", (host, port, bytes) => {
            if (servers.some((known) => known.port === port && isSameHost(known.host, host))) receive(bytes);
          });
          sockets.set(place.family, socket);
        }
        socket.send(place, question);
      },
      close: () => {
        isClosed = true;
        for (const socket of sockets.values()) socket.close();
      },
    };
  }

  #placeOf({ address, port }: OutsideAddress): Place | undefined {
    const host = this.#route(address);
    return host === undefined ? undefined : { host, port, family: 4 };
  }

  #nameServerPlaces(): Place[] {
    return this.#nameServers().map(parseNameServer);
  }
}

/** Where a socket leads. */
interface Place {
  readonly host: string;
  readonly port: number;
  readonly family: 4 | 6;
}

/** "192.0.2.1", "192.0.2.1:53", "2001:db8::1" or "[2001:db8::1]:53". */
function parseNameServer(text: string): Place {
  const [, bracketed, bracketedPort] = /^\[(.*)\](?::(\d+))?$/.exec(text) ?? [];
  if (bracketed !== undefined) return { host: bracketed, port: Number(bracketedPort ?? DNS_PORT), family: 6 };
  const [, host, port] = /^([\d.]+)(?::(\d+))?$/.exec(text) ?? [];
  if (host !== undefined) return { host, port: Number(port ?? DNS_PORT), family: 4 };
  return { host: text, port: DNS_PORT, family: 6 };
}

/** Addresses of IPv6 may be written in several ways, and with the interface behind them. */
const isSameHost = (one: string, other: string): boolean => plainHost(one) === plainHost(other);

function plainHost(host: string): string {
  const address = host.replace(/%.*$/, "");
  return address.includes(":") ? new URL(`http://[${address}]/`).hostname : address;
}

/** The address as a text, unless it is one of this host's. */
function routeAwayFromHost(address: Ipv4Address): string | undefined {
  const text = formatIpv4Address(address);
  const isOwn = Object.values(networkInterfaces()).some((entries) => entries?.some((entry) => entry.address === text));
  return isOwn ? undefined : text;
}

const NOWHERE: OutsideConnection = {
  backlog: 0,
  write: () => {},
  pause: () => {},
  resume: () => {},
  end: () => {},
  destroy: () => {},
};

class NodeConnection implements OutsideConnection {
  readonly #socket: Socket;
  #isDestroyed = false;
  #isCorked = false;

  constructor({ host, port }: Place, handlers: ConnectionHandlers) {
    const socket = createConnection({ host, port, allowHalfOpen: true, noDelay: true });
    this.#socket = socket;
    let isConnected = false;
    let failure: ConnectFailure = "refused";
    const tell = (what: () => void) => {
      if (!this.#isDestroyed) what();
    };
    this.#drained = () => tell(() => handlers.drained());
    socket.on("connect", () => {
      isConnected = true;
      tell(() => handlers.connected());
    });
    socket.on("data", (bytes: Uint8Array) => tell(() => handlers.data(bytes)));
    socket.on("end", () => tell(() => handlers.ended()));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (UNREACHABLE.has(error.code ?? "")) failure = "unreachable";
    });
    socket.on("close", (hadError) => tell(() => (isConnected ? handlers.closed(hadError) : handlers.failed(failure))));
  }

  readonly #drained: () => void;

  get backlog(): number {
    return this.#socket.writableLength;
  }

  write(bytes: Uint8Array): void {
    const socket = this.#socket;
    if (!socket.writable) return;
    // A guest's segments come one after the other: they go out together.
    if (!this.#isCorked) {
      this.#isCorked = true;
      socket.cork();
      process.nextTick(() => {
        this.#isCorked = false;
        socket.uncork();
      });
    }
    socket.write(Uint8Array.from(bytes), () => this.#drained());
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    if (this.#isDestroyed) return;
    this.#isDestroyed = true;
    if (this.#socket.connecting) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }
}

class NodeDatagrams {
  readonly #socket;
  #underWay = 0;
  #isClosed = false;

  constructor(type: "udp4" | "udp6", receive: (host: string, port: number, bytes: Uint8Array) => void) {
    this.#socket = createSocket(type);
    this.#socket.on("message", (bytes, { address, port }) => {
      if (!this.#isClosed) receive(address, port, bytes);
    });
    // Datagrams may get lost.
    this.#socket.on("error", () => {});
  }

  send({ host, port }: Place, bytes: Uint8Array): void {
    if (this.#isClosed || this.#underWay >= MOST_UNDER_WAY) return;
    this.#underWay++;
    this.#socket.send(Uint8Array.from(bytes), port, host, () => {
      this.#underWay--;
    });
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.close();
  }
}
