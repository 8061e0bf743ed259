/**
 * Reads files from a TFTP server, block by block.
 *
 * @spec RFC 1350; RFC 2347, 2348, 2349 (options); RFC 1123 §4.2.3 (a block that comes twice is not acknowledged twice)
 *
 * Not modelled: writing, text mode, multicast (RFC 2090), windows of several blocks (RFC 7440).
 */
import type { Ipv4Address } from "../../../net/wire/addresses.ts";
import {
  makeTftp,
  parseTftp,
  TFTP_BLOCK_SIZE,
  TFTP_ERROR,
  TFTP_PORT,
  type TftpPacket,
  tftpNumber,
} from "../../../net/wire/tftp.ts";
import type { NetworkStack } from "./network-stack.ts";
import { type Operation, SECOND } from "./operation.ts";

/** Blocks that fill a frame. */
export const LARGEST_BLOCK = 1468;
const SMALLEST_BLOCK = 8;
/** Seconds for which an answer is waited for, after each time that something was sent. */
const WAITS = [1, 2, 4, 8];
const LONGEST_FILE = 2 ** 48;

export interface TftpFile {
  readonly server: Ipv4Address;
  readonly gateway?: Ipv4Address;
  /** Where the server listens; the usual one unless given. */
  readonly port?: number;
  readonly name: string;
}

/** A file that is being read. A plain object, as it may be open while a program runs. */
export interface TftpTransfer {
  readonly server: Ipv4Address;
  readonly gateway: Ipv4Address | undefined;
  readonly ownPort: number;
  serverPort: number;
  blockSize: number;
  /** Bytes of the file, where the server told. */
  size: number | undefined;
  /** The last block that was taken. */
  block: number;
  /** The first block, where it came in place of an answer to the options. */
  first: Uint8Array | undefined;
  hasEnded: boolean;
}

export type TftpFailure =
  /** Nobody on the network has the server's address. */
  | { readonly kind: "no-way" }
  | { readonly kind: "no-answer" }
  /** Anything that is not a block. */
  | { readonly kind: "nonsense" }
  /** `code` is one of TFTP_ERROR, or another number. */
  | { readonly kind: "refused"; readonly code: number; readonly message: string };

export const isFailure = (result: object): result is TftpFailure => "kind" in result;

/** Asks for a file, in blocks of `blockSize` bytes if the server can. */
export function* openTransfer(
  stack: NetworkStack,
  file: TftpFile,
  blockSize = LARGEST_BLOCK,
): Operation<TftpTransfer | TftpFailure> {
  const size = Math.min(Math.max(blockSize, SMALLEST_BLOCK), LARGEST_BLOCK);
  const options = new Map([
    ["blksize", `${size}`],
    ["tsize", "0"],
  ]);
  const result = yield* request(stack, file, options);
  const isRefused = "kind" in result && result.kind === "refused" && result.code === TFTP_ERROR.optionsRefused;
  return isRefused ? yield* request(stack, file, new Map()) : result;
}

function* request(
  stack: NetworkStack,
  { server, gateway, port = TFTP_PORT, name }: TftpFile,
  options: ReadonlyMap<string, string>,
): Operation<TftpTransfer | TftpFailure> {
  const transfer: TftpTransfer = {
    server,
    gateway,
    ownPort: stack.udp.openOwn(),
    serverPort: port,
    blockSize: TFTP_BLOCK_SIZE,
    size: undefined,
    block: 0,
    first: undefined,
    hasEnded: false,
  };
  const question: TftpPacket = { kind: "read", file: name, mode: "octet", options };
  // The server answers from a port of its own.
  const answer = yield* ask(stack, transfer, question, { fromAnyPort: true, isWanted: () => true });
  if ("failure" in answer) return abandon(stack, transfer, answer.failure);
  const { packet } = answer;
  transfer.serverPort = answer.port;
  if (packet.kind === "error") {
    return abandon(stack, transfer, { kind: "refused", code: packet.code, message: packet.message });
  }
  if (packet.kind === "option-acknowledgment") {
    const asked = tftpNumber(options.get("blksize"), SMALLEST_BLOCK, LARGEST_BLOCK) ?? TFTP_BLOCK_SIZE;
    transfer.blockSize = tftpNumber(packet.options.get("blksize"), SMALLEST_BLOCK, asked) ?? TFTP_BLOCK_SIZE;
    transfer.size = tftpNumber(packet.options.get("tsize"), 0, LONGEST_FILE);
    return transfer;
  }
  if (packet.kind !== "data" || packet.block !== 1 || packet.data.length > TFTP_BLOCK_SIZE) {
    return abandon(stack, transfer, { kind: "nonsense" });
  }
  transfer.first = packet.data;
  return transfer;
}

function abandon<T>({ udp }: NetworkStack, transfer: TftpTransfer, result: T): T {
  transfer.hasEnded = true;
  udp.close(transfer.ownPort);
  return result;
}

/** The file's next block: shorter than `blockSize` at its end alone. The transfer has ended then, as after a failure. */
export function* readBlock(stack: NetworkStack, transfer: TftpTransfer): Operation<Uint8Array | TftpFailure> {
  const wanted = (transfer.block + 1) & 0xffff;
  let data = transfer.first;
  transfer.first = undefined;
  if (data === undefined) {
    const acknowledgment: TftpPacket = { kind: "acknowledgment", block: transfer.block };
    const isWanted = (packet: TftpPacket) =>
      packet.kind === "error" || (packet.kind === "data" && packet.block === wanted);
    const answer = yield* ask(stack, transfer, acknowledgment, { fromAnyPort: false, isWanted });
    if ("failure" in answer) return abandon(stack, transfer, answer.failure);
    const { packet } = answer;
    if (packet.kind === "error") {
      return abandon(stack, transfer, { kind: "refused", code: packet.code, message: packet.message });
    }
    data = (packet as TftpPacket & { kind: "data" }).data;
  }
  if (data.length > transfer.blockSize) return abandon(stack, transfer, { kind: "nonsense" });
  transfer.block = wanted;
  if (data.length === transfer.blockSize) return data;
  // The last one is acknowledged once; should that be lost, the server gives up by itself.
  yield* send(stack, transfer, { kind: "acknowledgment", block: wanted });
  return abandon(stack, transfer, data);
}

/** Ends a transfer, which need not be at the file's end. */
export function* closeTransfer(stack: NetworkStack, transfer: TftpTransfer): Operation<void> {
  if (transfer.hasEnded) return;
  yield* send(stack, transfer, { kind: "error", code: TFTP_ERROR.undefined, message: "transfer ended" });
  abandon(stack, transfer, undefined);
}

/**
 * Reads a whole file; `take` gets its blocks and where they belong, and returns whether there is room for them. Resolves to
 * the file's bytes, or to "no-room".
 */
export function* readFile(
  stack: NetworkStack,
  file: TftpFile,
  take: (block: Uint8Array, at: number) => boolean,
): Operation<number | "no-room" | TftpFailure> {
  const transfer = yield* openTransfer(stack, file);
  if (isFailure(transfer)) return transfer;
  for (let at = 0; ; ) {
    const block = yield* readBlock(stack, transfer);
    if (isFailure(block)) return block;
    if (!take(block, at)) {
      yield* closeTransfer(stack, transfer);
      return "no-room";
    }
    at += block.length;
    if (transfer.hasEnded) return at;
  }
}

/** Bytes of a file; undefined where the server does not tell. */
export function* fileSize(
  stack: NetworkStack,
  file: TftpFile,
): Operation<{ readonly size: number | undefined } | TftpFailure> {
  const transfer = yield* openTransfer(stack, file);
  if (isFailure(transfer)) return transfer;
  yield* closeTransfer(stack, transfer);
  return { size: transfer.size };
}

function* send(stack: NetworkStack, transfer: TftpTransfer, packet: TftpPacket): Operation<boolean> {
  const { server, gateway, ownPort, serverPort } = transfer;
  return yield* stack.udp.send({
    destination: server,
    destinationPort: serverPort,
    sourcePort: ownPort,
    payload: makeTftp(packet),
    ...(gateway === undefined ? {} : { gateway }),
  });
}

type Answer = { readonly packet: TftpPacket; readonly port: number } | { readonly failure: TftpFailure };

/** Sends a packet until a wanted one comes from the server. */
function* ask(
  stack: NetworkStack,
  transfer: TftpTransfer,
  packet: TftpPacket,
  { fromAnyPort, isWanted }: { fromAnyPort: boolean; isWanted: (packet: TftpPacket) => boolean },
): Operation<Answer> {
  for (const wait of WAITS) {
    if (!(yield* send(stack, transfer, packet))) return { failure: { kind: "no-way" } };
    const end = stack.time.now() + wait * SECOND;
    for (;;) {
      const from = yield* stack.udp.receiveFrom(
        transfer.ownPort,
        end,
        ({ source, sourcePort }) => source === transfer.server && (fromAnyPort || sourcePort === transfer.serverPort),
      );
      if (from === undefined) break;
      const answer = parseTftp(from.payload);
      if (answer && isWanted(answer)) return { packet: answer, port: from.sourcePort };
    }
  }
  return { failure: { kind: "no-answer" } };
}
