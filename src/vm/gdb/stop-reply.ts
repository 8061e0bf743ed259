/** Why the guest stopped, as gdb is told. @spec Debugging with GDB, E.3 "Stop Reply Packets" */
import type { Stop } from "./debug-target.ts";

/** Numbers of signals in the protocol. */
const SIGINT = "02";
const SIGTRAP = "05";
const SIGABRT = "06";
const THREAD = "thread:1;";

/** `clientFeatures` is what the client's qSupported named: breakpoints are told of by kind only to one that knows that. */
export function stopReply(stop: Stop, clientFeatures: ReadonlySet<string>): string {
  switch (stop.kind) {
    case "breakpoint": {
      const feature = stop.hardware ? "hwbreak" : "swbreak";
      return `T${SIGTRAP}${clientFeatures.has(`${feature}+`) ? `${feature}:;` : ""}${THREAD}`;
    }
    case "watchpoint":
      return `T${SIGTRAP}${WATCH[stop.access]}:${stop.address.toString(16)};${THREAD}`;
    case "step":
      return `T${SIGTRAP}${THREAD}`;
    case "interrupt":
      return `T${SIGINT}${THREAD}`;
    case "shutdown":
      return `T${SIGABRT}${THREAD}`;
  }
}

const WATCH = { write: "watch", read: "rwatch", access: "awatch" } as const;
