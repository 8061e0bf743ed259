/** A machine of two registers and 256 bytes of memory at 0x1000, and a client of the protocol for it. */

import type { BreakpointKind, DebugTarget, MemorySpace, RegisterFeature, Stop } from "../debug-target.ts";
import { GdbSession } from "../gdb-session.ts";
import { bytesToText, textToBytes } from "../hex.ts";

const MEMORY_AT = 0x1000;

export class FakeTarget implements DebugTarget {
  readonly architecture = "i386";
  readonly features: readonly RegisterFeature[] = [
    {
      name: "org.test.core",
      registers: [
        { name: "one", bits: 32, type: "int32" },
        { name: "pc", bits: 64, type: "code_ptr" },
      ],
    },
  ];
  readonly registers = [new Uint8Array(4), new Uint8Array(8)];
  readonly memory = new Uint8Array(256);
  readonly activity = "running";
  stopped: ((stop: Stop) => void) | undefined;
  breakpoints: string[] = [];
  /** What the session made the target do, in order. */
  readonly log: string[] = [];

  readRegister(number: number): Uint8Array {
    return this.registers[number] as Uint8Array;
  }
  /** Register 0 does not take a value that begins with 0xff. */
  writeRegister(number: number, value: Uint8Array): boolean {
    if (number === 0 && value[0] === 0xff) return false;
    this.registers[number]?.set(value);
    return true;
  }
  /** In physical space the memory is at 0. */
  readMemory(address: bigint, length: number, space: MemorySpace): Uint8Array {
    const at = Number(address) - (space === "physical" ? 0 : MEMORY_AT);
    return at < 0 ? new Uint8Array(0) : this.memory.subarray(at, at + length);
  }
  writeMemory(address: bigint, bytes: Uint8Array, space: MemorySpace): boolean {
    const place = this.readMemory(address, bytes.length, space);
    if (place.length < bytes.length) return false;
    place.set(bytes);
    return true;
  }
  insertBreakpoint(kind: BreakpointKind, address: bigint, length: number): boolean {
    if (this.breakpoints.length === 2) return false;
    this.breakpoints.push(`${kind} ${address.toString(16)} ${length}`);
    return true;
  }
  removeBreakpoint(kind: BreakpointKind, address: bigint, length: number): void {
    this.breakpoints = this.breakpoints.filter((one) => one !== `${kind} ${address.toString(16)} ${length}`);
  }
  removeAllBreakpoints(): void {
    this.breakpoints = [];
  }
  pause(): void {
    this.log.push("pause");
  }
  resume(step: boolean): void {
    this.log.push(step ? "step" : "resume");
  }
  kill(): void {
    this.log.push("kill");
  }
  monitor(command: string): string {
    return `you said ${command}\n`;
  }
}

/** `body` as a packet, with `}` escapes where they are needed. */
export function packet(body: string): string {
  const sum = [...body].reduce((total, character) => (total + character.charCodeAt(0)) & 0xff, 0);
  return `$${body}#${sum.toString(16).padStart(2, "0")}`;
}

/** A connected client. */
export class Client {
  readonly target = new FakeTarget();
  #sent = "";
  readonly session = new GdbSession(this.target, (bytes) => {
    this.#sent += bytesToText(bytes);
  });

  /** What the session sends in answer to bytes, as they are. */
  raw(text: string): string {
    this.#sent = "";
    this.session.receive(textToBytes(text));
    return this.#sent;
  }

  /** What a command is replied, without acknowledgement and frame; undefined for no reply. */
  ask(body: string): string | undefined {
    return unframed(this.raw(packet(body)));
  }

  /** What the session says of a stop. */
  stop(stop: Stop): string | undefined {
    this.#sent = "";
    this.target.stopped?.(stop);
    return unframed(this.#sent);
  }

  /** What the session has sent since the last question. */
  get sent(): string {
    return this.#sent;
  }
}

/** Bodies of packets, joined by spaces. */
function unframed(sent: string): string | undefined {
  const bodies = [...sent.matchAll(/\$([^#]*)#[0-9a-f]{2}/g)].map(([, body]) => body);
  return bodies.length === 0 ? undefined : bodies.join(" ");
}
