/** The value of --gdb: PORT or HOST:PORT, an IPv6 address in brackets. */
import type { GdbAddress } from "../vm/node/gdb-server.ts";
import { usageError } from "./failure.ts";

const MOST = 65535;

/** Throws CliError with what to change. */
export function parseGdb(text: string): GdbAddress {
  const [, bracketed, name, digits = ""] = /^(?:(?:\[([\da-f:.]+)\]|([^:[\]]+))?:)?(\d{1,5})$/i.exec(text) ?? [];
  const port = digits === "" ? Number.NaN : Number(digits);
  if (!(port <= MOST)) {
    throw usageError(
      `--gdb ${text} must be a port, 0 (any that is free) to ${MOST}, or HOST:PORT such as 0.0.0.0:1234`,
    );
  }
  const host = bracketed ?? name;
  return host === undefined ? { port } : { host, port };
}
