/**
 * A log of what a processor does, one line for each thing: a count of instructions first, so that logs of two runs that
 * should be the same can be compared line by line.
 */
import type { Processor } from "../processor.ts";
import type { MemoryArea } from "./count-area.ts";
import type { AddedRegion, DeliveredEvent, ProcessorObserver } from "./observer.ts";
import { PathReader } from "./path-ring.ts";

export interface TraceOptions {
  /** Counts of instructions between which lines are written: from the first on, before the second. */
  readonly from: number;
  readonly to: number;
  /** Instructions between two lines with all registers. */
  readonly every: number;
  /** Characters at the most. */
  readonly limit: number;
  /** Gets whole lines. */
  readonly write: (text: string) => void;
}

/** Lines are passed on when there are so many characters of them. */
const PIECE = 1 << 16;
const REGISTERS = "rax rcx rdx rbx rsp rbp rsi rdi r8 r9 r10 r11 r12 r13 r14 r15".split(" ");
const hex = (value: bigint | number) => value.toString(16);

export class ProcessorTrace implements ProcessorObserver {
  readonly #options: TraceOptions;
  readonly #path: PathReader | undefined;
  /** Records of regions. */
  readonly #regions = new Set<number>();
  #processor: Processor | undefined;
  #text = "";
  #length = 0;
  #isFull = false;
  #nextState = 0;

  /** Blocks and regions are told where they are noted in `path`. */
  constructor(memory: ArrayBufferLike, path: MemoryArea | undefined, options: TraceOptions) {
    this.#options = options;
    this.#path = path && new PathReader(memory, path);
    this.#nextState = options.from;
  }

  /** Of whom it tells; nothing before that. */
  attach(processor: Processor): void {
    this.#processor = processor;
  }

  delivering({ vector, errorCode, kind }: DeliveredEvent): void {
    const { registers } = this.#processor as Processor;
    const error = errorCode === undefined ? "" : ` error ${hex(errorCode)}`;
    const address = vector === 14 && kind === "exception" ? ` cr2 ${hex(registers.get64("cr2"))}` : "";
    this.tell(
      `${kind === "external" ? "interrupt" : kind} ${vector}${error}${address} at ${hex(registers.get64("ip"))}`,
    );
  }

  entering(record: number, budget: number): void {
    const ip = this.#processor?.registers.get64("ip");
    if (ip !== undefined) this.#path?.note({ ip, record, budget });
  }

  regionAdded({ record }: AddedRegion): void {
    this.#regions.add(record);
  }

  clearing(): void {
    this.#drain();
    this.#regions.clear();
  }

  pausing(): void {
    this.#drain();
    const { instructions } = this.#processor as Processor;
    if (instructions < this.#nextState) return;
    const { every } = this.#options;
    this.#nextState = (Math.floor(instructions / every) + 1) * every;
    this.#line(instructions, this.#state());
  }

  #state(): string {
    const { registers } = this.#processor as Processor;
    const general = REGISTERS.map((name, i) => `${name} ${hex(registers.gpr(i))}`);
    const special = `ip ${hex(registers.get64("ip"))} flags ${hex(registers.eflags)} cr3 ${hex(registers.get64("cr3"))}`;
    return `state ${special} ${general.join(" ")}`;
  }

  /** Something that happens now. */
  tell(text: string): void {
    this.#drain();
    if (this.#processor) this.#line(this.#processor.instructions, text);
  }

  /** Tells of blocks and regions that were entered since the last time. */
  #drain(): void {
    const processor = this.#processor;
    if (this.#path === undefined || processor === undefined) return;
    if (processor.instructions < this.#options.from || this.#isFull) {
      this.#path.skip();
      return;
    }
    const lost = this.#path.take(({ ip, record, budget }) => {
      this.#line(processor.instructionsAt(budget), `${this.#regions.has(record) ? "region" : "block"} ${hex(ip)}`);
    });
    if (lost > 0) this.#line(processor.instructions, `(${lost} blocks before these are missing)`);
  }

  #line(instructions: number, text: string): void {
    const { from, to, limit } = this.#options;
    if (this.#isFull || instructions < from || instructions >= to) return;
    const line = `${instructions} ${text}\n`;
    this.#length += line.length;
    this.#isFull = this.#length > limit;
    this.#text += this.#isFull ? `${instructions} (the trace ends here: it is as long as it may be)\n` : line;
    if (this.#text.length >= PIECE || this.#isFull) this.flush();
  }

  /** Passes on what is left. */
  flush(): void {
    if (this.#text !== "") this.#options.write(this.#text);
    this.#text = "";
  }
}
