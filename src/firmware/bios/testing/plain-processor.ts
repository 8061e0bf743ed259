/** A processor that only has registers and a mebibyte of memory: services are called on it directly. */
import type { Completion } from "../../../machine/device.ts";
import { type BiosProcessor, GPR, SEG } from "../processor.ts";

const MEMORY = 0x11_0000;

export class PlainProcessor implements BiosProcessor {
  readonly memory = new Uint8Array(MEMORY);
  readonly registers = new Uint32Array(8);
  readonly segments = new Uint16Array(6);
  readonly #data = new DataView(this.memory.buffer);
  realAddresses = true;
  stack32 = false;
  carry = false;
  #held: Promise<void>[] = [];

  get(register: number): number {
    return this.registers[register] as number;
  }
  set(register: number, value: number): void {
    this.registers[register] = value;
  }
  selector(segment: number): number {
    return this.segments[segment] as number;
  }
  base(segment: number): number {
    return this.selector(segment) * 16;
  }
  load(segment: number, selector: number): void {
    this.segments[segment] = selector;
  }
  setCarry(carry: boolean): void {
    this.carry = carry;
  }
  read(linear: number, target: Uint8Array): void {
    target.fill(0xff).set(this.memory.subarray(linear, linear + target.length));
  }
  write(linear: number, source: Uint8Array): void {
    this.memory.set(source.subarray(0, Math.max(0, MEMORY - linear)), Math.min(linear, MEMORY));
  }
  readWord(linear: number, bytes: 1 | 2 | 4): number {
    if (linear + bytes > MEMORY) return bytes === 4 ? 0xffff_ffff : bytes === 2 ? 0xffff : 0xff;
    if (bytes === 1) return this.#data.getUint8(linear);
    return bytes === 2 ? this.#data.getUint16(linear, true) : this.#data.getUint32(linear, true);
  }
  writeWord(linear: number, bytes: 1 | 2 | 4, value: number): void {
    for (let i = 0; i < bytes; i++) if (linear + i < MEMORY) this.memory[linear + i] = value >>> (8 * i);
  }
  readPhysical(address: number, target: Uint8Array): void {
    this.read(address, target);
  }
  writePhysical(address: number, source: Uint8Array): void {
    this.write(address, source);
  }

  hold<T>(operation: Promise<T>, complete: Completion<T>): void {
    this.#held.push(
      operation.then(
        (value) => complete({ ok: true, value }),
        (error: Error) => complete({ ok: false, error }),
      ),
    );
  }

  /** How many services hold the processor until a time comes. */
  heldInTime = 0;

  holdInTime(): () => void {
    this.heldInTime++;
    return () => void this.heldInTime--;
  }

  /** Resolves when every service that held the processor has ended. */
  async settled(): Promise<void> {
    for (let held = this.#held; held.length > 0; held = this.#held) {
      this.#held = [];
      await Promise.all(held);
    }
  }

  /** As a stub leaves it: an interrupt's frame on the stack, and the service's number above. */
  call(number: number): void {
    this.segments[SEG.cs] = 0xf000;
    this.registers[GPR.esp] = ((this.registers[GPR.esp] as number) & 0xffff_0000) | ((this.get(GPR.esp) - 8) & 0xffff);
    this.writeWord(this.base(SEG.ss) + (this.get(GPR.esp) & 0xffff), 2, number);
  }
}
