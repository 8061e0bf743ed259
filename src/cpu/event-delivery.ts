/** Delivers exceptions and interrupts between blocks. @spec SDM 3A 6.15, table 6-5 */
import type { FaultReport } from "./bus.ts";
import type { InstructionBudget } from "./instruction-budget.ts";
import type { Registers } from "./registers.ts";
import { DELIVERY, type RuntimeExports } from "./runtime.ts";
import { EXIT, SHADOW } from "./state.ts";
import type { System } from "./system/functions.ts";
import { GuestFault } from "./system/guest-fault.ts";

export interface GuestEvent {
  readonly vector: number;
  readonly errorCode?: number;
  readonly kind: "exception" | "external";
}

export class EventDelivery {
  readonly #registers: Registers;
  readonly #budget: InstructionBudget;
  readonly #runtime: RuntimeExports;
  readonly #system: System;

  constructor(parts: {
    readonly registers: Registers;
    readonly budget: InstructionBudget;
    readonly runtime: RuntimeExports;
    readonly system: System;
  }) {
    this.#registers = parts.registers;
    this.#budget = parts.budget;
    this.#runtime = parts.runtime;
    this.#system = parts.system;
  }

  /** Faults on the way make a double fault, then a shutdown, which is told of. */
  deliver(event: GuestEvent): FaultReport | undefined {
    const registers = this.#registers;
    registers.set32("exit", EXIT.none);
    registers.set32("shadow", SHADOW.none);
    registers.set32("pc", 0);
    // An event counts as an instruction, so that a guest that only faults uses up its budget too.
    this.#budget.left -= 1;
    this.#budget.spend(1);
    const { vector, errorCode, kind } = event;
    const how = (errorCode === undefined ? 0 : DELIVERY.errorCode) | (kind === "external" ? DELIVERY.external : 0);
    if (this.#runtime.deliver(vector, errorCode ?? 0, how) !== 0) return undefined;
    registers.set32("exit", EXIT.none);
    const vectors: number[] = [];
    let current = event;
    for (;;) {
      vectors.push(current.vector);
      try {
        this.#system.deliver({ ...current, returnIp: registers.get64("ip") });
        return undefined;
      } catch (error) {
        if (!(error instanceof GuestFault)) throw error;
        if (error.vector === 14) registers.set64("cr2", registers.get64("faultAddress"));
        registers.set32("exit", EXIT.none);
        const combined = this.#system.combine(current, error);
        if (combined === "shutdown") {
          registers.set32("activity", 2);
          return { vectors: [...vectors, error.vector], errorCode: error.errorCode, ip: registers.get64("ip") };
        }
        current = { ...combined, kind: "exception" };
      }
    }
  }
}
