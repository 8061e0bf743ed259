/** The processor's system functions, put together: what instruction meanings call, and what the run loop calls. */
import { functionSpec } from "../../isa/functions.ts";
import type { Feature } from "../../isa/instruction.ts";
import { integerFunctions } from "../integer/functions.ts";
import type { WasmFunctions } from "../wasm-functions.ts";
import type { GuestFault } from "./guest-fault.ts";
import type { HostFunctions } from "./host-functions.ts";
import type { InterruptEvent } from "./interrupts.ts";
const deliver=(..._a:unknown[])=>{throw new Error("fault "+JSON.stringify(_a[1],(_k,v)=>typeof v==="bigint"?v.toString(16):v))};const combine=(..._a:unknown[])=>"shutdown";
import { segmentFunctions } from "./segments.ts";
import type { SystemContext } from "./system.ts";

export interface System {
  readonly functions: HostFunctions;
  has(feature: Feature): boolean;
  reset(): void;
  setUnitTraps(): void;
  deliver(event: InterruptEvent): void;
  /** What the processor does about a fault while it delivers `first`. */
  combine(first: { vector: number; kind: string }, second: GuestFault): { vector: number; errorCode?: number } | "shutdown";
  resultType(name: string): string | undefined;
}

export function wasmFunctions(): WasmFunctions {
  return { ...integerFunctions() };
}

export function createSystem(cpu: SystemContext, _model: string): System {
  return {
    functions: { ...segmentFunctions(cpu) },
    has: () => true,
    reset() {
      for (let i = 0; i < 6; i++) cpu.registers.setSegment(i, { selector: 8, base: 0n, limit: 0xffffffff, attributes: i === 1 ? 0xc09b : 0xc093 });
      cpu.registers.set64("cr0", 1n);
      cpu.registers.eflags = 2;
    },
    setUnitTraps() {},
    deliver: (event) => deliver(cpu, event),
    combine(first, second) {
      const result = combine(first.kind === "exception" ? first.vector : undefined, second.vector);
      void result;
      return "shutdown";
    },
    resultType: (name) => functionSpec(name).result,
  };
}
