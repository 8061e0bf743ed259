/**
 * One file on its way to a client.
 *
 * @spec RFC 1350 §2, §6; RFC 2347 (options); RFC 2348, RFC 2349, RFC 7440 §4 (windows)
 *
 * A window of blocks is sent at a time. Its last block's acknowledgment has the next one sent; that of an earlier block,
 * what follows that one. Without any, the window is sent again, some times. Block numbers count on from 65535 with 0.
 */
import { nanoseconds } from "../../bits/units.ts";
import type { AsyncWork, Timer, TimeSource } from "../../machine/device.ts";
import type { FileTree, OpenFile } from "../file-tree.ts";
import {
  makeTftp,
  TFTP_BLOCK_SIZE,
  TFTP_DATA_HEADER,
  TFTP_ERROR,
  type TftpOptions,
  type TftpPacket,
  tftpNumber,
} from "../wire/tftp.ts";
import { LARGEST_UDP_PAYLOAD } from "../wire/udp.ts";

/** Bytes of the largest block, which a frame has room for. */
export const LARGEST_BLOCK = LARGEST_UDP_PAYLOAD - TFTP_DATA_HEADER;
/** Blocks of the largest window. */
export const LARGEST_WINDOW = 32;
/** How often something is sent before a client that does not answer is given up. */
export const TRIES = 6;

const SMALLEST_BLOCK = 8;
const SECOND = 1e9;
/** Seconds until something is sent again, unless the client wants another time, up to the longest. */
const TIMEOUT = 1;
const LONGEST_TIMEOUT = 30;
/** Bytes that are read from the file at once: more than the largest window. */
const READ_SIZE = 64 * 1024;
const BLOCK_NUMBERS = 0x1_0000;

export interface TftpTransferWiring {
  readonly files: FileTree;
  readonly time: TimeSource;
  readonly work: AsyncWork;
  /** Sends a datagram to the client. */
  readonly send: (payload: Uint8Array) => void;
  /** The transfer is over, in one way or another. Nothing is sent any more. */
  readonly ended: () => void;
}

export class TftpTransfer {
  /** In the file tree. */
  readonly path: string;
  readonly #wiring: TftpTransferWiring;
  readonly #timer: Timer;
  readonly #opening: Promise<OpenFile | undefined>;
  #file: OpenFile | undefined;
  #blockSize = TFTP_BLOCK_SIZE;
  #windowSize = 1;
  #timeout = TIMEOUT;
  /** Options that were agreed on, until the client has acknowledged them. */
  #agreed: Map<string, string> | undefined;
  /** Blocks that the client has, and that were sent: counts from the file's start. */
  #acknowledged = 0;
  #sent = 0;
  /** What was read of the file last, and where. */
  #buffer = new Uint8Array(0);
  #bufferStart = 0;
  /** Whether a host operation is under way. */
  #isWaiting = false;
  /** Whether the window's first block was missing at the client, which has it sent again once. */
  #wasRepeated = false;
  #triesLeft = TRIES;
  #isHeard = false;
  #hasEnded = false;

  constructor(path: string, options: TftpOptions, wiring: TftpTransferWiring) {
    this.path = path;
    this.#wiring = wiring;
    this.#timer = wiring.time.createTimer("tftp", () => this.#timedOut());
    this.#opening = wiring.files.open(path);
    this.#run(this.#opening, (file) => {
      if (file === undefined) this.#fail(TFTP_ERROR.fileNotFound, "no such file");
      else {
        this.#file = file;
        this.#agreed = this.#agree(options, file.size);
        this.#progress();
      }
    });
  }

  /** Whether the client has shown that it got an answer. */
  get isHeard(): boolean {
    return this.#isHeard;
  }

  receive(packet: TftpPacket): void {
    if (packet.kind === "error") void this.end();
    // While the host works, there is nothing to send yet.
    else if (packet.kind === "acknowledgment" && !this.#isWaiting) this.#receiveAcknowledgment(packet.block);
  }

  /** Ends it, without telling the client. Resolves once the file is closed. */
  async end(): Promise<void> {
    if (!this.#hasEnded) {
      this.#hasEnded = true;
      this.#timer.cancel();
      this.#wiring.ended();
    }
    try {
      await (await this.#opening)?.close();
    } catch {
      // It was never open, or is no longer.
    }
  }

  #agree(options: TftpOptions, size: number): Map<string, string> | undefined {
    const agreed = new Map<string, string>();
    const number = (name: string, least: number, most: number) => tftpNumber(options.get(name), least, most);
    const blockSize = number("blksize", SMALLEST_BLOCK, 65_464);
    if (blockSize !== undefined) {
      this.#blockSize = Math.min(blockSize, LARGEST_BLOCK);
      agreed.set("blksize", `${this.#blockSize}`);
    }
    const timeout = number("timeout", 1, LONGEST_TIMEOUT);
    if (timeout !== undefined) {
      this.#timeout = timeout;
      agreed.set("timeout", `${timeout}`);
    }
    if (options.has("tsize")) agreed.set("tsize", `${size}`);
    const windowSize = number("windowsize", 1, 65_535);
    if (windowSize !== undefined) {
      this.#windowSize = Math.min(windowSize, LARGEST_WINDOW);
      agreed.set("windowsize", `${this.#windowSize}`);
    }
    return agreed.size > 0 ? agreed : undefined;
  }

  /** Blocks of the file: the last one is shorter than the others, and may be empty. */
  get #blocks(): number {
    return Math.floor((this.#file?.size ?? 0) / this.#blockSize) + 1;
  }

  #receiveAcknowledgment(block: number): void {
    const isOfOptions = this.#agreed !== undefined;
    const more = (block - (this.#acknowledged % BLOCK_NUMBERS) + BLOCK_NUMBERS) % BLOCK_NUMBERS;
    if (this.#acknowledged + more > this.#sent) return;
    this.#isHeard = true;
    if (isOfOptions) {
      this.#agreed = undefined;
      this.#progress();
    } else if (more > 0) {
      this.#acknowledged += more;
      if (this.#acknowledged === this.#blocks) void this.end();
      else this.#progress();
    } else if (this.#windowSize > 1 && !this.#wasRepeated) {
      // Of a window of one block that would send everything twice from then on (RFC 1123 §4.2.3.1).
      this.#wasRepeated = true;
      this.#proceed();
    }
  }

  #progress(): void {
    this.#triesLeft = TRIES;
    this.#wasRepeated = false;
    this.#proceed();
  }

  /** Sends what the client does not have yet: the agreed options, or a window of blocks, once it has been read. */
  #proceed(): void {
    this.#armTimer();
    if (this.#agreed !== undefined) {
      this.#wiring.send(makeTftp({ kind: "option-acknowledgment", options: this.#agreed }));
      return;
    }
    const file = this.#file as OpenFile;
    const start = this.#acknowledged * this.#blockSize;
    const end = Math.min(start + this.#windowSize * this.#blockSize, file.size);
    if (start >= this.#bufferStart && end <= this.#bufferStart + this.#buffer.length) {
      this.#sendWindow();
      return;
    }
    const target = new Uint8Array(Math.min(READ_SIZE, file.size - start));
    this.#run(file.read(start, target), (count) => {
      if (count < target.length) this.#fail(TFTP_ERROR.undefined, "the file has become shorter");
      else {
        this.#buffer = target;
        this.#bufferStart = start;
        this.#sendWindow();
      }
    });
  }

  #sendWindow(): void {
    this.#sent = Math.min(this.#acknowledged + this.#windowSize, this.#blocks);
    for (let index = this.#acknowledged; index < this.#sent; index++) {
      const start = index * this.#blockSize - this.#bufferStart;
      const data = this.#buffer.subarray(start, start + this.#blockSize);
      this.#wiring.send(makeTftp({ kind: "data", block: (index + 1) % BLOCK_NUMBERS, data }));
    }
  }

  #timedOut(): void {
    if (this.#triesLeft <= 0) void this.end();
    else if (this.#isWaiting) this.#armTimer();
    else this.#proceed();
  }

  #armTimer(): void {
    this.#triesLeft--;
    this.#timer.arm(nanoseconds(this.#wiring.time.now() + this.#timeout * SECOND));
  }

  #fail(code: number, message: string): void {
    this.#wiring.send(makeTftp({ kind: "error", code, message }));
    void this.end();
  }

  /** Has a host operation done. One that never completes, as the machine was reset, ends the transfer all the same. */
  #run<T>(operation: Promise<T>, then: (value: T) => void): void {
    this.#isWaiting = true;
    if (this.#timer.deadline === undefined) this.#armTimer();
    this.#wiring.work.run(operation, (result) => {
      if (this.#hasEnded) return;
      this.#isWaiting = false;
      if (result.ok) then(result.value);
      else this.#fail(TFTP_ERROR.undefined, "the file cannot be read");
    });
  }
}
