/** The value of --boot: kinds of drive in the order in which the BIOS tries them. */
import { BOOT_KINDS, type BootKind } from "../firmware/bios/boot-order.ts";
import { usageError } from "./failure.ts";

/** Throws CliError with what to change. */
export function parseBootOrder(text: string): readonly BootKind[] {
  const order: BootKind[] = [];
  for (const name of text.split(",")) {
    const kind = BOOT_KINDS.find((known) => known === name);
    if (kind === undefined) {
      throw usageError(`--boot ${text}: "${name}" must be one of ${BOOT_KINDS.join(", ")}, separated by commas`);
    }
    if (order.includes(kind)) throw usageError(`--boot ${text}: ${kind} is given twice`);
    order.push(kind);
  }
  return order;
}
