/**
 * The contracts between the machine and its devices. A device is one class that knows nothing of the
 * host: everything it touches comes in through its constructor as one of the interfaces below.
 */
import type { GuestPhysical, Nanoseconds } from "../bits/units.ts";

/** Bytes of one port or memory access. An 8-byte memory access reaches a device as two of 4, low half first. */
export type AccessSize = 1 | 2 | 4;

/**
 * A device with state. `state` is one plain object (numbers, strings, booleans, typed arrays, arrays and
 * objects of these): everything that a snapshot must keep, and nothing else. The object is never replaced,
 * its properties are.
 */
export interface Device<State extends object> {
  readonly state: State;
  /** Puts the device in its power-on state. */
  reset(): void;
  /** Called after `state` was filled from a snapshot: drives lines and timers again from it. */
  restored?(): void;
}

/** A device on the I/O port bus. `port` is the absolute port number; values are unsigned. */
export interface PortDevice {
  readPort(port: number, size: AccessSize): number;
  writePort(port: number, size: AccessSize, value: number): void;
}

/** A device on the memory bus. `offset` counts from the start of the range it was mapped at; values are unsigned. */
export interface MemoryDevice {
  readMemory(offset: number, size: AccessSize): number;
  writeMemory(offset: number, size: AccessSize, value: number): void;
}

/** An interrupt or other signal line; `set` with the present level has no effect. */
export interface SignalLine {
  set(level: boolean): void;
}

/** Guest time. */
export interface Clock {
  /** Nanoseconds since power-on, never going back. */
  now(): Nanoseconds;
}

/** One deadline in guest time; a timer fires at most once for each `arm`. */
export interface Timer {
  /** Fires at `deadline`, at once when that is past; replaces an earlier deadline. */
  arm(deadline: Nanoseconds): void;
  cancel(): void;
  /** The pending deadline. */
  readonly deadline: Nanoseconds | undefined;
}

/** Guest time with deadlines. */
export interface TimeSource extends Clock {
  createTimer(name: string, fire: () => void): Timer;
}

/** Random bytes from the host (or from a seed, for repeatable runs). */
export interface RandomSource {
  fill(target: Uint8Array): void;
}

/** Guest RAM as a bus master sees it: physical addresses, no paging. */
export interface GuestMemory {
  /**
   * A live view of `length` bytes of RAM, or undefined where the range is not RAM from end to end (a
   * guest's mistake). "write" tells that the bytes will be changed now, before anything else runs.
   */
  view(address: GuestPhysical, length: number, access: "read" | "write"): Uint8Array<ArrayBufferLike> | undefined;
  /** Whether there is a view of these bytes to read. */
  has(address: GuestPhysical, length: number): boolean;
}

/** Told how a host operation ended. */
export type Completion<T> = (result: { ok: true; value: T } | { ok: false; error: Error }) => void;

/** What lies at physical addresses. ROM is read in place, and writes to it go to the memory bus, as all of a device's do. */
export type MemoryKind = "ram" | "rom" | "device";

/** Physical memory as the chips see it that say what lies where. Ranges are below 4 GiB. */
export interface PhysicalMemory {
  /** Says what lies at a range of whole pages of 4 KiB from now on; the bytes behind it stay. */
  setKind(address: number, length: number, kind: MemoryKind): void;
  /**
   * The bytes behind a range that is RAM or ROM or was: "write" tells that they will be changed now, before anything else
   * runs. Throws RangeError where there are none.
   */
  storage(address: number, length: number, access?: "read" | "write"): Uint8Array;
}

/** Memory of a display adapter, which the processor reads and writes in place. */
export interface VideoMemory {
  readonly bytes: Uint8Array;
  /**
   * Puts all of it at a physical address (a multiple of 4 KiB), or nowhere. Accesses may still reach the memory bus, now
   * and then, and must find the same bytes there.
   */
  map(address: GuestPhysical | undefined): void;
}

/**
 * Where a device hands a host operation that ends later. `complete` is called between slices of guest
 * time with the operation's result, in the order that the clock's determinism asks for; an operation
 * that was begun before a reset of the machine is dropped.
 */
export interface AsyncWork {
  /**
   * Whether a device may do a host operation at once, without `run`, where the host can. Not where runs are to be
   * repeatable: what the host can do at once differs.
   */
  readonly immediate?: boolean;
  run<T>(operation: Promise<T>, complete: Completion<T>): void;
}

/** Bytes that leave the machine: a serial line, a console, a file. */
export interface ByteSink {
  write(bytes: Uint8Array): void;
}
