/** Lets TFTP clients of the host talk to a virtual network's server: passes datagrams on between it and sockets of the host. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import { GuestTime } from "../../../machine/guest-time.ts";
import { ImmediateWork } from "../../../machine/testing/rig.ts";
import type { FileTree } from "../../file-tree.ts";
import { EthernetHub } from "../../hub.ts";
import { VirtualNetwork } from "../../stack/virtual-network.ts";
import { TFTP_PORT } from "../../wire/tftp.ts";
import { FakeGuest } from "./network-rig.ts";

const LOOPBACK = "127.0.0.1";

export class TftpRelay {
  /** By the server's port: what comes from there leaves from a port of the host's own, as clients look at that. */
  readonly #sockets = new Map<number, Promise<Socket>>();
  readonly #guest: FakeGuest;
  readonly #time: GuestTime;
  readonly #network: VirtualNetwork;
  #isOpen = true;
  readonly #running: Promise<void>;

  constructor(files: FileTree) {
    const start = process.hrtime.bigint();
    this.#time = new GuestTime(
      () => Number(process.hrtime.bigint() - start),
      () => {},
    );
    const hub = new EthernetHub();
    this.#network = new VirtualNetwork({ files }, { time: this.#time, work: new ImmediateWork(), hub });
    this.#guest = new FakeGuest(hub);
    this.#running = this.#run();
  }

  /** The host's port where the server is reached. */
  async port(): Promise<number> {
    return (await this.#socket(TFTP_PORT)).address().port;
  }

  async close(): Promise<void> {
    this.#isOpen = false;
    await this.#running;
    await this.#network.close();
    for (const socket of this.#sockets.values()) (await socket).close();
  }

  #socket(serverPort: number): Promise<Socket> {
    const known = this.#sockets.get(serverPort);
    if (known !== undefined) return known;
    const opening = this.#open(serverPort);
    this.#sockets.set(serverPort, opening);
    return opening;
  }

  async #open(serverPort: number): Promise<Socket> {
    const socket = createSocket("udp4");
    socket.on("message", (bytes, { port }) => this.#guest.sendDatagram(port, serverPort, Uint8Array.from(bytes)));
    socket.bind(0, LOOPBACK);
    await once(socket, "listening");
    return socket;
  }

  async #run(): Promise<void> {
    while (this.#isOpen) {
      this.#time.fireDue();
      for (const { sourcePort, destinationPort, payload } of this.#guest.takeDatagrams()) {
        (await this.#socket(sourcePort)).send(payload, destinationPort, LOOPBACK);
      }
      await setImmediate();
    }
  }
}
