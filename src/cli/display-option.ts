/**
 * The value of --display: `none`, `vnc=HOST:PORT`, `vnc=unix:PATH`, each also with `,password-file=FILE`, or `web`,
 * `web=PORT`, `web=HOST:PORT`. An IPv6 address is in brackets.
 */
import { isIP } from "node:net";
import process from "node:process";
import type { ListenAddress } from "../vm/node/screen/listen.ts";
import { usageError } from "./failure.ts";

export type DisplayOption =
  | { readonly kind: "none" }
  | { readonly kind: "vnc"; readonly address: ListenAddress; readonly passwordFile: string | undefined }
  | { readonly kind: "web"; readonly address: ListenAddress };

const LOOPBACK = "127.0.0.1";
const MOST = 65535;

/** Throws CliError with what to change. */
export function parseDisplay(text: string): DisplayOption {
  if (text === "none") return { kind: "none" };
  if (text === "web") return { kind: "web", address: { host: LOOPBACK, port: 0 } };
  const [, kind, value = ""] = /^(vnc|web)=(.*)$/.exec(text) ?? [];
  if (kind === "web") return { kind, address: parseAddress(value, text, "web=8080") };
  if (kind !== "vnc") {
    throw usageError(`--display ${text} must be none, web, web=HOST:PORT, vnc=HOST:PORT or vnc=unix:PATH`);
  }
  const [, place = "", passwordFile] = /^(.*?)(?:,password-file=(.*))?$/.exec(value) ?? [];
  if (passwordFile === "") throw usageError(`--display ${text}: password-file needs the name of a file`);
  if (place.startsWith("unix:") && place.length > "unix:".length) {
    return { kind, address: { path: place.slice("unix:".length) }, passwordFile };
  }
  const address = parseAddress(place, text, "vnc=127.0.0.1:5900");
  if (passwordFile === undefined && !isLoopback(address.host)) {
    throw usageError(
      `--display ${text}: others than this host reach ${address.host}; add ,password-file=FILE, whose first line is the password`,
    );
  }
  return { kind, address, passwordFile };
}

function parseAddress(value: string, text: string, example: string): { host: string; port: number } {
  const [, bracketed, name, digits] = /^(?:(?:\[([\da-f:.]+)\]|([^:[\],/]+))?:)?(\d{1,5})$/i.exec(value) ?? [];
  const port = Number(digits);
  if (!(port <= MOST)) {
    throw usageError(`--display ${text}: "${value}" must be HOST:PORT, such as ${example}; port 0 is any that is free`);
  }
  return { host: bracketed ?? name ?? LOOPBACK, port };
}

const isLoopback = (host: string) =>
  host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));

/** What is shown where nothing is asked for. */
export function defaultDisplays(host: {
  /** The guest starts with something to see, and may have no serial console. */
  readonly startsOnScreen: boolean;
  readonly environment: NodeJS.ProcessEnv;
  readonly isTerminal: boolean;
}): DisplayOption[] {
  return host.startsOnScreen && host.isTerminal && hasDesktop(host.environment) ? [parseDisplay("web")] : [];
}

/** Whether there is a desktop to show a browser on. */
export const hasDesktop = ({ DISPLAY, WAYLAND_DISPLAY }: NodeJS.ProcessEnv, platform = process.platform): boolean =>
  Boolean(DISPLAY) || Boolean(WAYLAND_DISPLAY) || platform === "darwin";
