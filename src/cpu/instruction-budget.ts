/**
 * What a processor may run before it comes back: instructions, which code in WebAssembly counts down in `budget`, and
 * what takes far longer than an instruction.
 */
import type { Registers } from "./registers.ts";
import { fieldAddress } from "./state.ts";

/**
 * What may be spent at most between two calls of `rest`: calls from WebAssembly to the host count as 1, exceptions and
 * interrupts too, decoded blocks as `DECODING_EFFORT`. A guest of nothing else would hold up the machine for seconds
 * within the instructions that it is granted.
 */
export const MOST_EFFORT = 10_000;
export const DECODING_EFFORT = 10;

export class InstructionBudget {
  readonly #registers: Registers;
  readonly #tooMuch: () => void;
  #executed = 0;
  #granted = 0;
  readonly #effortAt: number;

  /** `tooMuch` is called where more effort is spent than may be. */
  constructor(registers: Registers, tooMuch: () => void) {
    this.#registers = registers;
    this.#tooMuch = tooMuch;
    this.#effortAt = fieldAddress(registers.base, "effort") >> 2;
  }

  /** Instructions that are left of what was granted, as of the block that runs. */
  get left(): number {
    return this.#registers.get32("budget");
  }
  set left(instructions: number) {
    this.#registers.set32("budget", instructions);
  }

  /** Whether what is left was set aside, so that control comes back. */
  get isAside(): boolean {
    return this.#registers.get32("budgetAside") > 0;
  }

  /** Instructions executed since power-on, as of the block that runs. */
  get instructions(): number {
    return this.instructionsAt(this.left + this.#registers.get32("budgetAside"));
  }
  /** The same, as of when `left` instructions of what was granted were left. */
  instructionsAt(left: number): number {
    return this.#executed + this.#granted - left;
  }

  grant(instructions: number): void {
    this.#granted = instructions;
    this.left = instructions;
    this.#registers.set32("budgetAside", 0);
  }

  /** Has code in WebAssembly come back after the present block. */
  setAside(): void {
    this.#registers.set32("budgetAside", this.#registers.get32("budgetAside") + this.left);
    this.left = 0;
  }

  recall(): void {
    this.left += this.#registers.get32("budgetAside");
    this.#registers.set32("budgetAside", 0);
  }

  /** Adds up what ran of what was granted, of which nothing is left then. */
  account(): void {
    this.#executed += this.#granted - this.left;
    this.#granted = 0;
    this.left = 0;
  }

  /** The host has had its turn: effort is counted anew. */
  rest(): void {
    this.#registers.i32[this.#effortAt] = 0;
  }

  spend(effort: number): void {
    const spent = (this.#registers.i32[this.#effortAt] as number) + effort;
    this.#registers.i32[this.#effortAt] = spent;
    if (spent > MOST_EFFORT) this.#tooMuch();
  }
}
