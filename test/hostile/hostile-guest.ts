/**
 * One hostile guest: a machine whose code, tables, registers and devices come from a seed, in situations that
 * follow each other. It may crash, reset or switch itself off; it must not throw, hang or grow.
 */
import { serialize } from "node:v8";
import { SeededRandom } from "../../src/bits/testing/seeded-random.ts";
import { smallKernelImage } from "../../src/cli/testing/small-kernel.ts";
import { MOST_HANDLERS } from "../../src/cpu/interpret/handlers.ts";
import { MemoryStore } from "../../src/disk/memory-store.ts";
import { OverlayDisk } from "../../src/disk/overlay/overlay-disk.ts";
import { RawDisk } from "../../src/disk/raw/raw-disk.ts";
import { CPU_MODELS, type Host } from "../../src/vm/definition.ts";
import { Machine } from "../../src/vm/machine.ts";
import { BoardTraffic } from "./board-traffic.ts";
import { HostileProcessor } from "./hostile-processor.ts";
import { MIB, RAM } from "./interesting.ts";

/** Bytes that all of a board's devices may keep together, and ranges on a bus. */
const MOST_STATE = 4 * MIB;
const MOST_RANGES = 100;
/** Instructions of a block, its end included. */
const ONE_BLOCK = 49;
const NS_PER_LOOK = 6e6;
/** Slices of guest time of one situation, at most. */
const SLICES = 40;

export interface Watch {
  /** Told what begins, so that a hang can be placed. */
  situation(name: string): void;
}

export interface GuestReport {
  readonly instructions: number;
  readonly machines: number;
  readonly situations: number;
  /** How often machines ended in which way. */
  readonly ends: Readonly<Record<string, number>>;
  /** The most handlers that the interpreter of one machine had. */
  readonly handlers: number;
  /** Regions that the translator made, all machines together. */
  readonly regions: number;
}

/** A stream of numbers for each seed. */
export function randomOf(seed: number): SeededRandom {
  const random = new SeededRandom((Math.imul(seed + 1, 0x9e37_79b1) ^ 0x5bd1_e995) >>> 0 || 1);
  for (let i = 0; i < 8; i++) random.next();
  return random;
}

export class HostileGuest {
  readonly #random: SeededRandom;
  readonly #watch: Watch;
  readonly #ends: Record<string, number> = {};
  #left: number;
  #situations = 0;
  #slices = 0;
  #machine: Machine | undefined;
  #processor: HostileProcessor | undefined;
  #traffic: BoardTraffic | undefined;
  #looks = 0;

  constructor(seed: number, situations: number, watch: Watch) {
    this.#random = randomOf(seed);
    this.#left = situations;
    this.#watch = watch;
  }

  async run(): Promise<GuestReport> {
    let machines = 0;
    let instructions = 0;
    let handlers = 0;
    let regions = 0;
    while (this.#left > 0) {
      const machine = await this.#create();
      machines++;
      this.#machine = machine;
      const { bytes } = machine.ram;
      this.#processor = new HostileProcessor(machine.processor, bytes, this.#random);
      this.#traffic = new BoardTraffic(machine.board, bytes, this.#random);
      this.#traffic.placeCards();
      this.#next();
      while (this.#left > 0) {
        const end = await machine.run();
        const kind = end.kind === "reset" ? `reset by ${end.cause}` : end.kind;
        this.#ends[kind] = (this.#ends[kind] ?? 0) + 1;
        // The processor of a crashed machine can be used again; what else ends a machine ends it for good.
        if (end.kind !== "crash") break;
        if (--this.#slices <= 0) this.#next();
        else this.#processor.again();
      }
      this.#checkSize(machine);
      instructions += machine.instructions;
      const { statistics } = machine.processor;
      handlers = Math.max(handlers, statistics.handlers);
      regions += statistics.translated.regions;
    }
    return { instructions, machines, situations: this.#situations, ends: this.#ends, handlers, regions };
  }

  #create(): Promise<Machine> {
    const random = this.#random;
    const sink = { write: () => {} };
    const disk = new OverlayDisk({ base: new RawDisk(new MemoryStore(MIB)), limit: 4 * 64 * 1024 });
    return Machine.create(
      {
        memory: RAM,
        cpu: random.below(3) === 0 ? random.pick(CPU_MODELS) : "max",
        // Interpreted for the most part, or translated as soon as may be.
        ...(random.below(2) === 0 ? {} : { heat: random.pick([1, 2, 10]) }),
        clock: random.pick(["icount", "real"]),
        kernel: { image: smallKernelImage("wait"), commandLine: "" },
        disks: [{ device: disk, serial: "hostile" }, { device: new RawDisk(new MemoryStore(MIB), { readOnly: true }) }],
        serial: sink,
        virtioConsole: sink,
        pointer: "tablet",
        debugExit: random.below(4) === 0,
        noReboot: random.below(4) === 0,
      },
      this.#host(),
    );
  }

  /** A host whose time passes by being looked at, and that changes the situation between slices. */
  #host(): Host {
    const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
    const between = async () => {
      await turn();
      if (--this.#slices <= 0) this.#next();
      else if (this.#random.below(4) !== 0) this.#processor?.jolt();
    };
    return {
      monotonic: () => this.#looks++ * NS_PER_LOOK,
      unixTime: () => 1_700_000_000,
      random: (target) => {
        for (let i = 0; i < target.length; i++) target[i] = this.#random.next();
      },
      yield: between,
      sleep: () => ({ done: between(), wake: () => {} }),
    };
  }

  /** The next situation, or the end. */
  #next(): void {
    const random = this.#random;
    const [machine, processor, traffic] = [this.#machine, this.#processor, this.#traffic];
    if (machine === undefined || processor === undefined || traffic === undefined) return;
    if (this.#left-- <= 0) {
      machine.stop();
      return;
    }
    this.#situations++;
    this.#slices = 1 + random.below(SLICES);
    if (random.below(16) === 0) machine.board.reset();
    if (random.below(3) === 0) traffic.placeCards();
    this.#watch.situation("virtqueues");
    if (random.below(2) === 0) traffic.drive();
    this.#watch.situation("port and memory accesses");
    if (random.below(2) === 0) traffic.accesses(200);
    if (random.below(4) === 0) machine.sendSerial(Uint8Array.of(random.next(), random.next()));
    if (random.below(16) === 0) machine.powerButton();
    const { mode, ring } = processor.enter();
    // A short period of the timer keeps slices short: 500 to 10,000 instructions.
    for (const [port, value] of [
      [0x43, 0x34],
      [0x40, 5 + random.below(120)],
      [0x40, 0],
    ] as const) {
      machine.board.ports.write(port, 1, value);
    }
    this.#watch.situation(`${mode} mode, ring ${ring}`);
  }

  #checkSize(machine: Machine): void {
    const { devices, memory, ports } = machine.board;
    let size = 0;
    for (const { state } of devices.values()) size += serialize(state).length;
    if (size > MOST_STATE) throw new Error(`the devices' state has ${size} bytes`);
    const ranges = memory.ranges().length + ports.ranges().length;
    const { handlers } = machine.processor.statistics;
    if (handlers > MOST_HANDLERS + ONE_BLOCK) throw new Error(`there are ${handlers} handlers`);
    if (ranges > MOST_RANGES) throw new Error(`there are ${ranges} ranges on the buses`);
  }
}
