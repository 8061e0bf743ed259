/** Signals while something is under way that can be given up. */
import type { EventEmitter } from "node:events";
import { statusOfSignal } from "./exit-status.ts";
import { CliError } from "./failure.ts";

/** Those that ask for the end of a program. */
export const END_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;

/** Does `work`, which gives up where its signal is aborted. Rejects with CliError where a process signal came. */
export async function withSignals<T>(
  source: Pick<EventEmitter, "on" | "off">,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  let received: NodeJS.Signals | undefined;
  const abort = (signal: NodeJS.Signals) => {
    received ??= signal;
    controller.abort();
  };
  for (const signal of END_SIGNALS) source.on(signal, abort);
  try {
    return await work(controller.signal);
  } catch (error) {
    if (received === undefined) throw error;
    throw new CliError(statusOfSignal(received), `given up (${received})`);
  } finally {
    for (const signal of END_SIGNALS) source.off(signal, abort);
  }
}
