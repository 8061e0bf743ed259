/**
 * PXE's base code: the messages of DHCP, UDP, TFTP.
 *
 * @spec Preboot Execution Environment (PXE) Specification 2.1, §3.3
 *
 * Not modelled: multicast (IGMP, MTFTP); RESTART_DHCP, MODE_SWITCH, TFTP_READ_FILE_PMODE, which version 2 gave up; what UDP_OPEN
 * and TFTP functions say of gateways is believed only for other networks.
 */
import { type Ipv4Address, UNSPECIFIED_IPV4 } from "../../../net/wire/addresses.ts";
import { TFTP_ERROR } from "../../../net/wire/tftp.ts";
import { BOOT_AT, type BootRegisters, enterProgram } from "../boot-source.ts";
import type { BiosCall } from "../call.ts";
import type { NetworkStack } from "./network-stack.ts";
import type { Operation } from "./operation.ts";
import { Block, nameOf, PXE, PXE_STATUS } from "./pxe-blocks.ts";
import { answer, type PxeFunctions } from "./pxe-function.ts";
import { PART, type PxeMemory } from "./pxe-memory.ts";
import {
  closeTransfer,
  fileSize,
  isFailure,
  openTransfer,
  readBlock,
  readFile,
  type TftpFailure,
  type TftpFile,
  type TftpTransfer,
} from "./tftp-client.ts";
import { OTHER_PORTS } from "./udp-client.ts";

/** Messages of DHCP by their number: DISCOVER, ACK, and the one that named the boot file. */
const CACHED = { first: 1, last: 3 } as const;
/** Guest time for which a datagram is waited for: less than between two ticks of the clock, which callers count. */
const READ_WAIT = 10e6;
const DEFAULT_SOURCE_PORT = 2069;

export interface BaseCodeState {
  /** What DHCP's messages were. */
  cached: Uint8Array[];
  udpIsOpen: boolean;
  transfer: TftpTransfer | undefined;
}

export interface BaseCodeParts {
  readonly stack: NetworkStack;
  readonly memory: PxeMemory;
  /** The program does without the base code from now on. */
  unloaded(): void;
  /** What a program that is started anew is told. */
  registers(): BootRegisters;
}

export class BaseCode {
  readonly state: BaseCodeState = atStart();
  readonly functions: PxeFunctions;
  readonly #parts: BaseCodeParts;

  constructor(parts: BaseCodeParts) {
    this.#parts = parts;
    this.functions = this.#functions();
  }

  reset(): void {
    Object.assign(this.state, atStart());
  }

  get #isTransferring(): boolean {
    return this.state.transfer !== undefined && !this.state.transfer.hasEnded;
  }

  #functions(): PxeFunctions {
    const { stack, memory } = this.#parts;
    const { state } = this;
    const success = () => PXE_STATUS.success;
    return {
      [PXE.startBase]: answer(Block.status, success),
      [PXE.stopBase]: answer(Block.status, success),
      [PXE.unloadStack]: answer(Block.status, () => {
        this.#closeUdp();
        this.#parts.unloaded();
        return PXE_STATUS.success;
      }),
      [PXE.getCachedInfo]: answer(Block.getCachedInfo, (block, call) => {
        const { packetType } = block;
        if (packetType < CACHED.first || packetType > CACHED.last) return PXE_STATUS.unsupported;
        const message = state.cached[packetType - CACHED.first] ?? new Uint8Array(0);
        if (block.bufferSize === 0) {
          block.buffer = memory.pointer(packetType);
          block.bufferSize = Math.min(message.length, PART);
          block.bufferLimit = PART;
          return memory.isThere ? PXE_STATUS.success : PXE_STATUS.outOfResources;
        }
        const told = message.subarray(0, block.bufferSize);
        call.setBytes(block.buffer, told);
        block.bufferSize = told.length;
        return PXE_STATUS.success;
      }),
      [PXE.udpOpen]: answer(Block.udpOpen, () => {
        if (this.#isTransferring) return PXE_STATUS.tftpOpen;
        if (state.udpIsOpen) return PXE_STATUS.udpOpen;
        stack.udp.open(OTHER_PORTS);
        state.udpIsOpen = true;
        return PXE_STATUS.success;
      }),
      [PXE.udpClose]: answer(Block.status, () => {
        if (!state.udpIsOpen) return PXE_STATUS.udpClosed;
        this.#closeUdp();
        return PXE_STATUS.success;
      }),
      [PXE.udpRead]: answer(Block.udpRead, (block, call) => this.#udpRead(block, call)),
      [PXE.udpWrite]: answer(Block.udpWrite, (block, call) => this.#udpWrite(block, call)),
      [PXE.tftpOpen]: answer(Block.tftpOpen, (block) => this.#tftpOpen(block)),
      [PXE.tftpRead]: answer(Block.tftpRead, (block, call) => this.#tftpRead(block, call)),
      [PXE.tftpClose]: answer(Block.status, () => this.#tftpClose()),
      [PXE.tftpReadFile]: answer(Block.tftpReadFile, (block, call) => this.#tftpReadFile(block, call)),
      [PXE.tftpGetFsize]: answer(Block.tftpGetFsize, (block) => this.#tftpGetFsize(block)),
      [PXE.restartTftp]: answer(Block.tftpReadFile, (block, call) => this.#restart(block, call)),
    };
  }

  #closeUdp(): void {
    this.#parts.stack.udp.close(OTHER_PORTS);
    this.state.udpIsOpen = false;
  }

  *#udpRead(block: ReturnType<typeof Block.udpRead.at>, call: BiosCall): Operation<number> {
    if (!this.state.udpIsOpen) return PXE_STATUS.udpClosed;
    const { stack } = this.#parts;
    const { destination, destinationPort, bufferSize, buffer } = block;
    const datagram = yield* stack.udp.receiveFrom(
      OTHER_PORTS,
      stack.time.now() + READ_WAIT,
      (each) =>
        (destinationPort === 0 || each.destinationPort === destinationPort) &&
        (destination === UNSPECIFIED_IPV4 || each.destination === destination),
    );
    if (datagram === undefined) return PXE_STATUS.failure;
    const told = datagram.payload.subarray(0, bufferSize);
    call.setBytes(buffer, told);
    block.source = datagram.source;
    block.destination = datagram.destination;
    block.sourcePort = datagram.sourcePort;
    block.destinationPort = datagram.destinationPort;
    block.bufferSize = told.length;
    return told.length < datagram.payload.length ? PXE_STATUS.outOfResources : PXE_STATUS.success;
  }

  *#udpWrite(block: ReturnType<typeof Block.udpWrite.at>, call: BiosCall): Operation<number> {
    if (!this.state.udpIsOpen) return PXE_STATUS.udpClosed;
    const isSent = yield* this.#parts.stack.udp.send({
      destination: block.destination,
      destinationPort: block.destinationPort,
      sourcePort: block.sourcePort || DEFAULT_SOURCE_PORT,
      payload: call.bytes(block.buffer, block.bufferSize),
      ...gatewayOf(block.gateway),
    });
    return isSent ? PXE_STATUS.success : PXE_STATUS.arpTimeout;
  }

  *#tftpOpen(block: ReturnType<typeof Block.tftpOpen.at>): Operation<number> {
    const { state } = this;
    if (state.udpIsOpen) return PXE_STATUS.udpOpen;
    if (this.#isTransferring) return PXE_STATUS.tftpOpen;
    const { packetSize } = block;
    const file = fileOf(block, nameOf(block.fileName), block.port);
    const transfer = yield* openTransfer(this.#parts.stack, file, packetSize);
    if (isFailure(transfer)) return statusOf(transfer, PXE_STATUS.tftpOpenTimeout);
    state.transfer = transfer;
    block.packetSize = transfer.blockSize;
    return PXE_STATUS.success;
  }

  *#tftpRead(block: ReturnType<typeof Block.tftpRead.at>, call: BiosCall): Operation<number> {
    const { transfer } = this.state;
    if (transfer === undefined) return PXE_STATUS.tftpClosed;
    // A program that reads on behind the end finds nothing more there.
    const data = transfer.hasEnded ? new Uint8Array(0) : yield* readBlock(this.#parts.stack, transfer);
    if (isFailure(data)) return statusOf(data, PXE_STATUS.tftpReadTimeout);
    call.setBytes(block.buffer, data);
    block.packetNumber = transfer.block;
    block.bufferSize = data.length;
    return PXE_STATUS.success;
  }

  *#tftpClose(): Operation<number> {
    const { transfer } = this.state;
    if (transfer === undefined) return PXE_STATUS.tftpClosed;
    this.state.transfer = undefined;
    yield* closeTransfer(this.#parts.stack, transfer);
    return PXE_STATUS.success;
  }

  *#tftpReadFile(block: ReturnType<typeof Block.tftpReadFile.at>, call: BiosCall): Operation<number> {
    if (this.state.udpIsOpen) return PXE_STATUS.udpOpen;
    if (this.#isTransferring) return PXE_STATUS.tftpOpen;
    const { bufferSize, buffer } = block;
    const file = fileOf(block, nameOf(block.fileName), block.serverPort);
    const size = yield* readFile(this.#parts.stack, file, (data, at) => {
      if (at + data.length > bufferSize) return false;
      call.processor.writePhysical(buffer + at, data);
      return true;
    });
    if (size === "no-room") return PXE_STATUS.mcopyProblem;
    if (typeof size === "object") return statusOf(size, PXE_STATUS.tftpOpenTimeout);
    block.bufferSize = size;
    return PXE_STATUS.success;
  }

  *#tftpGetFsize(block: ReturnType<typeof Block.tftpGetFsize.at>): Operation<number> {
    if (this.state.udpIsOpen) return PXE_STATUS.udpOpen;
    if (this.#isTransferring) return PXE_STATUS.tftpOpen;
    const result = yield* fileSize(this.#parts.stack, fileOf(block, nameOf(block.fileName), 0));
    if (isFailure(result)) return statusOf(result, PXE_STATUS.tftpOpenTimeout);
    if (result.size === undefined || result.size > 0xffff_ffff) return PXE_STATUS.tftpNoFilesize;
    block.fileSize = result.size;
    return PXE_STATUS.success;
  }

  /** Loads another program in place of the present one and starts it: the call does not come back unless that fails. */
  *#restart(block: ReturnType<typeof Block.tftpReadFile.at>, call: BiosCall): Operation<number | undefined> {
    block.buffer = BOOT_AT;
    const status = yield* this.#tftpReadFile(block, call);
    if (status !== PXE_STATUS.success) return status;
    enterProgram(call, { bytes: new Uint8Array(0), segment: BOOT_AT >> 4, prepare: this.#parts.registers });
    return undefined;
  }
}

const atStart = (): BaseCodeState => ({ cached: [], udpIsOpen: false, transfer: undefined });

const gatewayOf = (gateway: Ipv4Address) => (gateway === UNSPECIFIED_IPV4 ? {} : { gateway });

function fileOf(
  { server, gateway }: { readonly server: Ipv4Address; readonly gateway: Ipv4Address },
  name: string,
  port: number,
): TftpFile {
  return { server, name, ...gatewayOf(gateway), ...(port === 0 ? {} : { port }) };
}

function statusOf(failure: TftpFailure, timeout: number): number {
  switch (failure.kind) {
    case "no-way":
      return PXE_STATUS.tftpCannotArpAddress;
    case "no-answer":
      return timeout;
    case "nonsense":
      return PXE_STATUS.tftpUnknownOpcode;
    case "refused":
      if (failure.code === TFTP_ERROR.fileNotFound) return PXE_STATUS.tftpFileNotFound;
      if (failure.code === TFTP_ERROR.accessViolation) return PXE_STATUS.tftpAccessViolation;
      return PXE_STATUS.tftpErrorOpcode;
  }
}
