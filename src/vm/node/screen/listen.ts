/** Listening for viewers at an address of this host. */
import { once } from "node:events";
import { lstat, unlink } from "node:fs/promises";
import { type AddressInfo, connect, type Server } from "node:net";
import process from "node:process";

export type ListenAddress = { readonly host: string; readonly port: number } | { readonly path: string };

/** The address cannot be listened at; `message` is one line that says what to change. */
export class ListenError extends Error {
  override readonly name = "ListenError";
}

/** Rejects with ListenError; `what` is who is waited for, such as "VNC viewers". A Unix socket is its owner's alone. */
export async function listenAt(server: Server, address: ListenAddress, what: string): Promise<void> {
  const shown = "path" in address ? address.path : `${address.host}:${address.port}`;
  const refuse = (reason: string) => new ListenError(`${what} cannot be waited for at ${shown}: ${reason}`);
  try {
    if ("path" in address) {
      await removeStale(address.path);
      const mask = process.umask(0o177);
      try {
        server.listen(address.path);
      } finally {
        process.umask(mask);
      }
    } else server.listen(address.port, address.host);
    await once(server, "listening");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw refuse(("path" in address ? PATH_REASONS : REASONS)[code ?? ""] ?? message);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "it is in use; give another, or port 0 for any that is free",
  EADDRNOTAVAIL: "this host has no such address",
  ENOTFOUND: "this host has no such address",
  EAI_AGAIN: "this host has no such address",
  EACCES: "ports below 1024 are for root; give another",
};

/** For Unix sockets. A directory that does not exist is told as one without access. */
const PATH_REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "it is in use; give another path",
  EACCES: "its directory does not exist, or you may not write there",
  EINVAL: "the path is too long for a socket; give a shorter one",
};

/** A socket that nobody listens at any more is in the way of a new one. */
async function removeStale(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined);
  if (stats?.isSocket() && !(await answers(path))) await unlink(path);
}

/** Whether someone listens at a Unix socket. */
export async function answers(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, "connect");
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EAGAIN";
  } finally {
    socket.destroy();
  }
}

/** Where a server listens, as people write it. */
export function shownAddress(server: Server): string {
  const address = server.address() as AddressInfo | string | null;
  if (address === null || typeof address === "string") return address ?? "";
  return `${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}`;
}
