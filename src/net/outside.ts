/**
 * What lies beyond a virtual network, as the host reaches it: connections and datagrams by ordinary sockets of its own, in
 * the name of a guest. One implementation for each kind of host.
 *
 * An implementation decides which addresses a guest may reach: not the host's own, unless it is asked to. It calls handlers
 * from the host's event loop, never from within the call that they were given to, and between slices of guest time.
 */
import type { Ipv4Address } from "./wire/addresses.ts";

export interface OutsideAddress {
  readonly address: Ipv4Address;
  readonly port: number;
}

/** Where a connection leads: to a host, or to whoever knows the names of hosts. */
export type OutsideTarget = OutsideAddress | "name-server";

/** Why there is no connection. */
export type ConnectFailure =
  /** Nobody listens there, or this guest may not reach it. */
  | "refused"
  /** There is no way there, or nobody answered. */
  | "unreachable";

export interface ConnectionHandlers {
  connected(): void;
  /** There will be no connection; nothing else is told. */
  failed(why: ConnectFailure): void;
  /** Bytes came, which are the receiver's from now on. Once `pause` was called, no more than what was under way does. */
  data(bytes: Uint8Array): void;
  /** Some of what was written has been taken: `backlog` is less. */
  drained(): void;
  /** The other side sends no more; it may still listen. */
  ended(): void;
  /** All is over, the last that is told. `isReset`: before both sides had ended. */
  closed(isReset: boolean): void;
}

/** A connection that is made, or being made. */
export interface OutsideConnection {
  /** Bytes that were written and not taken yet. */
  readonly backlog: number;
  /** Copies the bytes. */
  write(bytes: Uint8Array): void;
  pause(): void;
  resume(): void;
  /** No more will be written; what was goes out. */
  end(): void;
  /** Drops what is under way; nothing is told any more. */
  destroy(): void;
}

/** A socket for datagrams. */
export interface OutsideDatagrams {
  /** Copies the bytes. They may get lost, as datagrams may, and do where they may not go. */
  send(to: OutsideAddress, bytes: Uint8Array): void;
  close(): void;
}

/** A socket for questions to whoever knows the names of hosts (RFC 1035 §4.2.1). */
export interface OutsideQuestions {
  /** Copies the bytes. */
  ask(question: Uint8Array): void;
  close(): void;
}

export interface Outside {
  connect(target: OutsideTarget, handlers: ConnectionHandlers): OutsideConnection;
  /** `receive` gets what anybody sends to the socket. */
  openDatagrams(receive: (from: OutsideAddress, bytes: Uint8Array) => void): OutsideDatagrams;
  openQuestions(receive: (answer: Uint8Array) => void): OutsideQuestions;
}
