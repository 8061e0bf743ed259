/**
 * PS/2 mouse: INT 15h AH=C2h, and IRQ 12, which calls the handler that was set there with each packet.
 * @spec PS/2 BIOS Interface Technical Reference, INT 15h "(AH) = C2H - Pointing device interface"
 */
import type { BiosCall } from "./call.ts";
import type { Ports } from "./chips.ts";
import { Bda, Ebda } from "./data-area.ts";

const DATA = 0x60;
const COMMAND = 0x64;
const OUTPUT_FULL = 0x01;
const AUX_DATA = 0x20;
const SLAVE_MASK = 0xa1;
const IRQ12 = 0x10;
const ENABLED = 0x80;
const Result = { ok: 0, badFunction: 1, badInput: 2, interfaceError: 3, noHandler: 5 } as const;
const ACK = 0xfa;
const RATES = [10, 20, 40, 60, 80, 100, 200];

export class MouseService {
  readonly #ports: Ports;
  /** Linear address where the stub finds the far pointer to the handler. */
  readonly #handlerAt: number;

  constructor(ports: Ports, handlerAt: number) {
    this.#ports = ports;
    this.#handlerAt = handlerAt;
  }

  #ebda(call: BiosCall): number {
    return call.u16(Bda.extendedSegment) * 16;
  }

  service(call: BiosCall): void {
    const result = this.#do(call);
    call.ah = result;
    call.carry = result !== Result.ok;
  }

  #do(call: BiosCall): number {
    const ebda = this.#ebda(call);
    switch (call.al) {
      case 0x00: {
        if (call.bh > 1) return Result.badInput;
        if (call.bh === 1 && call.u32(ebda + Ebda.mouseHandler) === 0) return Result.noHandler;
        return this.#enable(call, call.bh === 1);
      }
      case 0x01: {
        const [ack, test, id] = this.#send([0xff], 3);
        if (ack !== ACK || test !== 0xaa) return Result.interfaceError;
        call.bl = 0xaa;
        call.bh = id ?? 0;
        call.setU8(ebda + Ebda.mousePacket, 0);
        return Result.ok;
      }
      case 0x02: {
        const rate = RATES[call.bh];
        return rate === undefined ? Result.badInput : this.#command([0xf3, rate]);
      }
      case 0x03:
        return call.bh > 3 ? Result.badInput : this.#command([0xe8, call.bh]);
      case 0x04: {
        const [ack, id] = this.#send([0xf2], 2);
        if (ack !== ACK) return Result.interfaceError;
        call.bh = id ?? 0;
        return Result.ok;
      }
      case 0x05: {
        if (call.bh < 1 || call.bh > 8) return Result.badInput;
        call.setU8(ebda + Ebda.mouseFlags2, (call.u8(ebda + Ebda.mouseFlags2) & ENABLED) | (call.bh - 1));
        const [ack, test] = this.#send([0xff], 3);
        return ack === ACK && test === 0xaa ? Result.ok : Result.interfaceError;
      }
      case 0x06: {
        if (call.bh === 1 || call.bh === 2) return this.#command([call.bh === 1 ? 0xe6 : 0xe7]);
        if (call.bh !== 0) return Result.badFunction;
        const [ack, status, resolution, rate] = this.#send([0xe9], 4);
        if (ack !== ACK) return Result.interfaceError;
        call.bl = status ?? 0;
        call.cl = resolution ?? 0;
        call.dl = rate ?? 0;
        return Result.ok;
      }
      case 0x07: {
        const far = ((call.es << 16) | call.bx) >>> 0;
        call.setU32(ebda + Ebda.mouseHandler, far);
        const flags = call.u8(ebda + Ebda.mouseFlags2);
        call.setU8(ebda + Ebda.mouseFlags2, far === 0 ? flags & ~ENABLED : flags | ENABLED);
        return Result.ok;
      }
      default:
        return Result.badFunction;
    }
  }

  #enable(call: BiosCall, on: boolean): number {
    const ports = this.#ports;
    ports.write(COMMAND, 1, 0xa8);
    const sent = this.#command([on ? 0xf4 : 0xf5]);
    // Interrupt 12 of the controller, by its command byte.
    ports.write(COMMAND, 1, 0x20);
    const byte = ports.read(DATA, 1);
    ports.write(COMMAND, 1, 0x60);
    ports.write(DATA, 1, on ? (byte | 0x02) & ~0x20 : byte & ~0x02);
    ports.write(SLAVE_MASK, 1, on ? ports.read(SLAVE_MASK, 1) & ~IRQ12 : ports.read(SLAVE_MASK, 1) | IRQ12);
    call.setU8(this.#ebda(call) + Ebda.mouseFlags1, 0);
    return sent;
  }

  #command(bytes: readonly number[]): number {
    return bytes.every((byte) => this.#send([byte], 1)[0] === ACK) ? Result.ok : Result.interfaceError;
  }

  /** Sends bytes to the mouse, and takes that many of its answers. */
  #send(bytes: readonly number[], answers: number): number[] {
    const ports = this.#ports;
    ports.write(COMMAND, 1, 0xa8);
    // What it said before is no answer.
    for (let i = 0; i < 16 && this.#waits(); i++) ports.read(DATA, 1);
    for (const byte of bytes) {
      ports.write(COMMAND, 1, 0xd4);
      ports.write(DATA, 1, byte);
    }
    const got: number[] = [];
    while (got.length < answers && this.#waits()) got.push(ports.read(DATA, 1));
    return got;
  }

  #waits(): boolean {
    const status = this.#ports.read(COMMAND, 1);
    return (status & (OUTPUT_FULL | AUX_DATA)) === (OUTPUT_FULL | AUX_DATA);
  }

  /** IRQ 12; returns whether the handler is to be called, its arguments on the stack. */
  interrupt(call: BiosCall): boolean {
    if (!this.#waits()) return false;
    const byte = this.#ports.read(DATA, 1);
    const ebda = this.#ebda(call);
    const flags2 = call.u8(ebda + Ebda.mouseFlags2);
    if ((flags2 & ENABLED) === 0) return false;
    const size = (flags2 & 7) + 1;
    const index = call.u8(ebda + Ebda.mouseFlags1) & 7;
    call.setU8(ebda + Ebda.mousePacket + index, byte);
    if (index + 1 < size) {
      call.setU8(ebda + Ebda.mouseFlags1, index + 1);
      return false;
    }
    call.setU8(ebda + Ebda.mouseFlags1, 0);
    call.setU32(this.#handlerAt, call.u32(ebda + Ebda.mouseHandler));
    for (let i = 0; i < 4; i++) call.push(i < 3 ? call.u8(ebda + Ebda.mousePacket + i) : 0);
    return true;
  }
}
