/** Loading RFLAGS with what follows from it. */
import { FLAG } from "./mode.ts";
import type { SystemContext } from "./system.ts";

/**
 * Has the run loop look at events where flags that were just loaded ask for it: an interrupt that waited for
 * IF, or a single step. `before` is `eflagsSystem` as it was.
 */
export function afterFlagsLoaded(cpu: SystemContext, before: number): void {
  const flags = cpu.registers.get32("eflagsSystem");
  if (flags & FLAG.TF || (flags & ~before & FLAG.IF && cpu.interruptPending())) cpu.requestEvents();
}
