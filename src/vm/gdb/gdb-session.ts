/**
 * One connection of a gdb: packets in, replies out, against a `DebugTarget`. The client may be confused or hostile:
 * what it sends is answered, refused with an error, or skipped.
 * @spec Debugging with GDB, appendix E "gdb Remote Serial Protocol"
 *
 * Not modelled: non-stop mode, several processes or threads, conditions and commands of breakpoints in the target,
 * reverse execution, tracepoints, files.
 */
import type { MachineEnd } from "../definition.ts";
import { BreakpointCommands } from "./breakpoint-commands.ts";
import type { DebugTarget, MemorySpace, Stop } from "./debug-target.ts";
import { bytesToHex, bytesToText, hexToBytes, parseNumber, parseRange, textToBytes, textToHex } from "./hex.ts";
import { escapeBody, type Incoming, PACKET_SIZE, PacketReader, writePacket } from "./packets.ts";
import { RegisterCommands } from "./register-commands.ts";
import { ERROR, OK, UNKNOWN } from "./replies.ts";
import { stopReply } from "./stop-reply.ts";
import { targetDescription } from "./target-description.ts";

/** A client that asks for the same packet more often than this is not listening. */
const MOST_REPEATS = 8;
/** Of memory, in one packet: two digits for each byte. */
const MOST_MEMORY = PACKET_SIZE / 2;
/** The one thread: the virtual processor. */
const THREAD = 1n;

export class GdbSession {
  readonly #target: DebugTarget;
  readonly #send: (bytes: Uint8Array) => void;
  readonly #reader = new PacketReader();
  readonly #registers: RegisterCommands;
  readonly #breakpoints: BreakpointCommands;
  #acknowledges = true;
  /** What was sent last, and how often the client asked for it again. */
  #last: Uint8Array | undefined;
  #repeats = 0;
  /** The guest runs for the client, which waits for the stop. */
  #running = false;
  #stop: Stop = { kind: "interrupt" };
  /** What the client understands. */
  #clientFeatures: ReadonlySet<string> = new Set();
  #space: MemorySpace = "virtual";

  /** Stops the guest. */
  constructor(target: DebugTarget, send: (bytes: Uint8Array) => void) {
    this.#target = target;
    this.#send = send;
    this.#registers = new RegisterCommands(target);
    this.#breakpoints = new BreakpointCommands(target);
    target.stopped = (stop) => this.#stopped(stop);
    target.pause();
  }

  receive(bytes: Uint8Array): void {
    for (const byte of bytes) {
      const incoming = this.#reader.take(byte);
      if (incoming) this.#take(incoming);
    }
  }

  /** The connection is gone. A guest that runs goes on, one that is stopped stays so for the next connection. */
  close(): void {
    this.#target.stopped = undefined;
    this.#target.removeAllBreakpoints();
    if (this.#running) this.#target.resume(false);
    this.#running = false;
  }

  /** The machine has ended. */
  ended(end: MachineEnd): void {
    if (this.#running) this.#reply(exitReply(end));
    this.#running = false;
  }

  #take(incoming: Incoming): void {
    switch (incoming.kind) {
      case "acknowledged":
        return;
      case "again":
        if (this.#acknowledges && this.#last && this.#repeats++ < MOST_REPEATS) this.#send(this.#last);
        return;
      case "interrupt":
        this.#interrupt();
        return;
      case "damaged":
        if (this.#acknowledges) this.#send(textToBytes("-"));
        return;
      case "too-long":
        this.#acknowledge();
        this.#reply(ERROR.tooLong);
        return;
      case "packet": {
        this.#acknowledge();
        const reply = this.#running && !/^(k|D|vKill)/.test(incoming.body) ? ERROR.busy : this.#command(incoming.body);
        if (reply !== undefined) this.#reply(reply);
        if (incoming.body === "QStartNoAckMode") this.#acknowledges = false;
      }
    }
  }

  #acknowledge(): void {
    if (this.#acknowledges) this.#send(textToBytes("+"));
  }

  #reply(body: string): void {
    this.#last = writePacket(body);
    this.#repeats = 0;
    this.#send(this.#last);
  }

  #interrupt(): void {
    if (!this.#running) return;
    this.#target.pause();
    this.#stopped({ kind: "interrupt" });
  }

  #stopped(stop: Stop): void {
    this.#stop = stop;
    if (!this.#running) return;
    this.#running = false;
    if (stop.kind === "shutdown") this.#reply(`O${textToHex(`${stop.report}\n`).slice(0, PACKET_SIZE - 2)}`);
    this.#reply(stopReply(stop, this.#clientFeatures));
  }

  /** The reply to a command; undefined where there is none, or not yet. */
  #command(body: string): string | undefined {
    const rest = body.slice(1);
    switch (body.charAt(0)) {
      case "?":
        return stopReply(this.#stop, this.#clientFeatures);
      case "g":
        return this.#registers.readAll();
      case "G":
        return this.#registers.writeAll(rest);
      case "p":
        return this.#registers.read(rest);
      case "P":
        return this.#registers.write(rest);
      case "m":
        return this.#readMemory(rest);
      case "M":
        return this.#writeMemory(rest, hexToBytes);
      case "X":
        return this.#writeMemory(rest, textToBytes);
      case "Z":
        return this.#breakpoints.insert(rest);
      case "z":
        return this.#breakpoints.remove(rest);
      case "c":
      case "s":
        return this.#resume(body.startsWith("s"), rest);
      case "C":
      case "S":
        // "C signal[;address]": a processor takes no signals.
        return this.#resume(body.startsWith("S"), rest.split(";")[1] ?? "");
      case "H":
        return isThread(rest.slice(1)) ? OK : ERROR.invalid;
      case "T":
        return isThread(rest) ? OK : ERROR.invalid;
      case "D":
        return this.#detach();
      case "k":
        this.#target.kill();
        return undefined;
      case "v":
        return this.#verbose(body);
      case "q":
      case "Q":
        return this.#query(body);
      default:
        return UNKNOWN;
    }
  }

  #readMemory(text: string): string {
    const range = parseRange(text, MOST_MEMORY);
    if (range === undefined) return ERROR.invalid;
    const bytes = this.#target.readMemory(range.address, range.length, this.#space);
    return bytes.length === 0 && range.length > 0 ? ERROR.noMemory : bytesToHex(bytes);
  }

  /** "ADDRESS,LENGTH:DATA" */
  #writeMemory(text: string, decode: (data: string) => Uint8Array | undefined): string {
    const colon = text.indexOf(":");
    const range = colon < 0 ? undefined : parseRange(text.slice(0, colon), PACKET_SIZE);
    const bytes = decode(text.slice(colon + 1));
    if (range === undefined || bytes?.length !== range.length) return ERROR.invalid;
    return this.#target.writeMemory(range.address, bytes, this.#space) ? OK : ERROR.noMemory;
  }

  /** Goes on, at `address` where there is one. */
  #resume(step: boolean, address: string): string | undefined {
    if (address !== "") {
      const value = parseNumber(address);
      if (value === undefined || !this.#registers.jump(value)) return ERROR.invalid;
    }
    this.#running = true;
    this.#target.resume(step);
    return undefined;
  }

  #detach(): string {
    this.#target.removeAllBreakpoints();
    this.#running = false;
    this.#target.resume(false);
    return OK;
  }

  #verbose(body: string): string | undefined {
    const name = /^v[A-Za-z]*\??/.exec(body)?.[0];
    switch (name) {
      case "vCont?":
        return "vCont;c;C;s;S";
      case "vCont":
        return this.#continue(body.slice("vCont;".length));
      case "vKill":
        this.#target.kill();
        return OK;
      default:
        return UNKNOWN;
    }
  }

  /** "ACTION[:THREAD];...": the first action that is meant for the thread is taken. */
  #continue(text: string): string | undefined {
    for (const part of text.split(";")) {
      const [action = "", thread] = part.split(":");
      if (thread !== undefined && !isThread(thread)) continue;
      if (!/^(?:[cs]|[CS][0-9a-f]{2})$/.test(action)) return ERROR.invalid;
      return this.#resume(/^[sS]/.test(action), "");
    }
    return ERROR.invalid;
  }

  #query(body: string): string {
    const name = /^[qQ][\w.]*/.exec(body)?.[0];
    const rest = body.slice((name ?? "").length + 1);
    switch (name) {
      case "qSupported":
        this.#clientFeatures = new Set(rest.split(";").slice(0, 100));
        return `PacketSize=${PACKET_SIZE.toString(16)};QStartNoAckMode+;qXfer:features:read+;swbreak+;hwbreak+;vContSupported+`;
      case "QStartNoAckMode":
        return OK;
      case "qXfer":
        return this.#transfer(rest);
      case "qC":
        return `QC${THREAD}`;
      case "qfThreadInfo":
        return `m${THREAD}`;
      case "qsThreadInfo":
        return "l";
      case "qThreadExtraInfo":
        return isThread(rest) ? textToHex(this.#target.activity) : ERROR.invalid;
      case "qAttached":
        // The machine was there before: a gdb that quits detaches, and does not kill.
        return "1";
      case "qRcmd":
        return this.#monitor(rest);
      case "qqemu.PhyMemMode":
        return this.#space === "physical" ? "1" : "0";
      case "Qqemu.PhyMemMode":
        if (rest !== "0" && rest !== "1") return ERROR.invalid;
        this.#space = rest === "1" ? "physical" : "virtual";
        return OK;
      default:
        return UNKNOWN;
    }
  }

  /** "features:read:target.xml:OFFSET,LENGTH" */
  #transfer(text: string): string {
    const [object, direction, annex, part = ""] = text.split(":");
    if (object !== "features" || direction !== "read") return UNKNOWN;
    if (annex !== "target.xml") return ERROR.noAnnex;
    const range = parseRange(part, Number.MAX_SAFE_INTEGER);
    if (range === undefined) return ERROR.invalid;
    const whole = targetDescription(this.#target.architecture, this.#target.features);
    const start = Number(range.address);
    // Escapes may double a character.
    const end = start + Math.min(range.length, MOST_MEMORY - 1);
    return `${end < whole.length ? "m" : "l"}${escapeBody(whole.slice(start, end))}`;
  }

  #monitor(text: string): string {
    const bytes = hexToBytes(text);
    if (bytes === undefined) return ERROR.invalid;
    const command = bytesToText(bytes).trim().replace(/\s+/g, " ");
    const [, space] = /^memory (virtual|physical)$/.exec(command) ?? [];
    if (space !== undefined) {
      this.#space = space as MemorySpace;
      return textToHex(`addresses of memory are ${space} now\n`);
    }
    return textToHex(this.#target.monitor(command)).slice(0, PACKET_SIZE) || OK;
  }
}

/** Whether a thread's name means the one there is: its number, any (0), or all (-1). */
function isThread(text: string): boolean {
  return text === "-1" || parseNumber(text) === 0n || parseNumber(text) === THREAD;
}

/** What gdb is told of a machine that ended: a status, or the signal that a process would have died of. */
function exitReply(end: MachineEnd): string {
  switch (end.kind) {
    case "power-off":
    case "reset":
    case "not-bootable":
      return "W00";
    case "debug-exit":
      return `W${(end.status & 0xff).toString(16).padStart(2, "0")}`;
    case "stopped":
      return "X09";
    case "crash":
    case "difference":
      return "X06";
  }
}
