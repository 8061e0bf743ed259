/** The processor's system functions, put together: what instruction meanings call, and what the run loop calls. */
import { functionSpec } from "../../isa/functions.ts";
import { ControlRegisters, controlRegisterFunctions } from "./control-registers.ts";
import { Cpuid, cpuidFunctions } from "./cpuid.ts";
import { debugRegisterFunctions } from "./debug-registers.ts";
import { descriptorTableFunctions } from "./descriptor-tables.ts";
import { farTransferFunctions } from "./far-transfer.ts";
import type { GuestFault } from "./guest-fault.ts";
import type { HostFunctions } from "./host-functions.ts";
import { interruptFunctions } from "./interrupt-control.ts";
import { combine, deliver, type InterruptEvent } from "./interrupts.ts";
import { iretFunctions } from "./iret.ts";
import { type CpuFeature, cpuModel } from "./models.ts";
import { ModelSpecificRegisters, type MsrState, msrFunctions } from "./msrs.ts";
import { portFunctions } from "./ports.ts";
import { powerOn } from "./power-on.ts";
import { segmentFunctions } from "./segments.ts";
import type { SystemContext } from "./system.ts";
import { systemCallFunctions } from "./system-calls.ts";
import { timeFunctions } from "./time.ts";
import { translationCacheFunctions } from "./translation-caches.ts";
import { setUnitTraps, unitFunctions } from "./units.ts";

const DOUBLE_FAULT = 8;

export interface System {
  readonly functions: HostFunctions;
  /** CPUID leaf 1, EAX and EDX. */
  readonly processorId: { readonly signature: number; readonly features: number };
  /** Registers that are not in the processor's state memory. */
  readonly msrState: MsrState;
  has(feature: CpuFeature): boolean;
  reset(): void;
  setUnitTraps(): void;
  /** Writes an MSR, or a control register, as a program does; throws GuestFault where it does not take the value. */
  writeMsr(msr: number, value: bigint): void;
  writeControl(number: number, value: bigint): void;
  deliver(event: InterruptEvent): void;
  /** What the processor does about a fault that came up while it delivered `first`. */
  combine(
    first: { readonly vector: number; readonly kind: "exception" | "external" },
    second: GuestFault,
  ): { readonly vector: number; readonly errorCode?: number } | "shutdown";
  /** The WebAssembly type of a declared function's result. */
  resultType(name: string): string | undefined;
}

/** @throws Error where no processor model has this name. */
export function createSystem(cpu: SystemContext, modelName: string): System {
  const model = cpuModel(modelName);
  if (!model) throw new Error(`no processor model is named ${modelName}`);
  const msrs = new ModelSpecificRegisters(cpu, model);
  const control = new ControlRegisters(cpu, model);
  const cpuid = new Cpuid(cpu, model, { apicId: 0, processors: 1 });
  return {
    functions: {
      ...segmentFunctions(cpu),
      ...farTransferFunctions(cpu),
      ...interruptFunctions(cpu),
      ...iretFunctions(cpu),
      ...descriptorTableFunctions(cpu),
      ...systemCallFunctions(cpu),
      ...controlRegisterFunctions(cpu, model),
      ...debugRegisterFunctions(cpu),
      ...cpuidFunctions(cpu, cpuid),
      ...msrFunctions(msrs),
      ...portFunctions(cpu),
      ...timeFunctions(cpu),
      ...translationCacheFunctions(cpu),
      ...unitFunctions(cpu),
    },
    get processorId() {
      const { eax, edx } = cpuid.read(1, 0);
      return { signature: eax >>> 0, features: edx >>> 0 };
    },
    msrState: msrs.state,
    has: (feature) => model.has(feature),
    reset() {
      powerOn(cpu, cpuid.signature);
      msrs.reset();
    },
    setUnitTraps: () => setUnitTraps(cpu),
    writeMsr: (msr, value) => msrs.write(msr, value),
    writeControl: (number, value) => control.write(number, value),
    deliver: (event) => deliver(cpu, event),
    combine(first, second) {
      const outcome = combine(first.kind === "exception" ? first.vector : undefined, second.vector);
      if (outcome === "shutdown") return "shutdown";
      if (outcome === "double") return { vector: DOUBLE_FAULT, errorCode: 0 };
      const hasCode = [10, 11, 12, 13, 14, 17].includes(second.vector);
      return hasCode ? { vector: second.vector, errorCode: second.errorCode } : { vector: second.vector };
    },
    resultType: (name) => functionSpec(name).result,
  };
}
