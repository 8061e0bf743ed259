/**
 * Sends files to whoever asks for them.
 *
 * @spec RFC 1350; see tftp-transfer.ts
 *
 * Not modelled: writing, which is refused; netascii, which gets a file's bytes as they are: whoever asks for it loads text
 * or does not care, and the size of what would be sent is not known before; requests sent to all hosts (RFC 1123 §4.2.3.5).
 */
import type { AsyncWork, TimeSource } from "../../machine/device.ts";
import type { FileTree } from "../file-tree.ts";
import { makeTftp, parseTftp, TFTP_ERROR, TFTP_PORT, type TftpOptions } from "../wire/tftp.ts";
import { servedPath } from "./file-path.ts";
import { TftpTransfer } from "./tftp-transfer.ts";
import type { ReceivedDatagram, UdpDestination, UdpPorts, UdpSocket } from "./udp-ports.ts";

/** Most files that are on their way at once. */
export const MOST_TRANSFERS = 16;

export interface TftpServerWiring {
  readonly udp: UdpPorts;
  readonly files: FileTree;
  readonly time: TimeSource;
  readonly work: AsyncWork;
}

export class TftpServer {
  readonly #wiring: TftpServerWiring;
  readonly #socket: UdpSocket;
  /** By the client's address and port. */
  readonly #transfers = new Map<string, TftpTransfer>();

  constructor(wiring: TftpServerWiring) {
    this.#wiring = wiring;
    this.#socket = wiring.udp.listen(TFTP_PORT, (datagram) => this.#receive(datagram));
  }

  /** Files on their way. */
  get transfers(): number {
    return this.#transfers.size;
  }

  /** Ends all transfers. Resolves once their files are closed. */
  async end(): Promise<void> {
    await Promise.all([...this.#transfers.values()].map((transfer) => transfer.end()));
  }

  #receive(datagram: ReceivedDatagram): void {
    const packet = parseTftp(datagram.payload);
    if (packet?.kind !== "read" && packet?.kind !== "write") return;
    const path = servedPath(packet.file);
    const client = `${datagram.source}:${datagram.sourcePort}`;
    const earlier = this.#transfers.get(client);
    // The client asks again, as it has not heard yet.
    if (packet.kind === "read" && earlier?.path === path && earlier?.isHeard === false) return;
    void earlier?.end();
    const refused = (code: number, message: string) => refuse(this.#socket, datagram, code, message);
    if (packet.kind === "write") refused(TFTP_ERROR.accessViolation, "files are for reading only");
    else if (packet.mode !== "octet" && packet.mode !== "netascii")
      refused(TFTP_ERROR.illegalOperation, "unknown mode");
    else if (path === undefined) refused(TFTP_ERROR.accessViolation, "access violation");
    else if (this.#transfers.size >= MOST_TRANSFERS) refused(TFTP_ERROR.undefined, "too many transfers at once");
    else this.#begin(client, { address: datagram.source, port: datagram.sourcePort }, path, packet.options);
  }

  #begin(client: string, to: UdpDestination, path: string, options: TftpOptions): void {
    const { udp, files, time, work } = this.#wiring;
    const socket = udp.listenAnywhere((datagram) => {
      const packet = parseTftp(datagram.payload);
      if (datagram.source !== to.address || datagram.sourcePort !== to.port) {
        if (packet?.kind !== "error") refuse(socket, datagram, TFTP_ERROR.unknownTransfer, "not your transfer");
      } else if (packet !== undefined) transfer.receive(packet);
    });
    const transfer = new TftpTransfer(path, options, {
      files,
      time,
      work,
      send: (payload) => socket.send(to, payload),
      ended: () => {
        socket.close();
        this.#transfers.delete(client);
      },
    });
    this.#transfers.set(client, transfer);
  }
}

function refuse(socket: UdpSocket, { source, sourcePort }: ReceivedDatagram, code: number, message: string): void {
  socket.send({ address: source, port: sourcePort }, makeTftp({ kind: "error", code, message }));
}
