/** One machine with its console, from start to end: input, output, keys, signals. */
import type { EventEmitter } from "node:events";
import type { Writable } from "node:stream";
import type { Host, MachineEnd } from "../vm/definition.ts";
import { ConsoleInput, type InputStream, type InputTarget } from "./console-input.ts";
import { ConsoleOutput, pacedHost } from "./console-output.ts";
import { KEY_HELP } from "./escape-keys.ts";
import { END_SIGNALS } from "./signals.ts";

/** What a session needs of a machine. */
export interface SessionMachine extends InputTarget {
  run(): Promise<MachineEnd>;
  stop(): void;
  powerButton(): void;
}

export interface SessionStreams {
  /** Typed or piped input; none where the console goes elsewhere. */
  readonly input: InputStream | undefined;
  /** The guest's output; none where it is dropped. */
  readonly output: Writable | undefined;
  /** For the person: standard error. */
  readonly messages: { write(text: string): unknown };
  /** Where signals and the end of this process are told: `process`. */
  readonly process: Pick<EventEmitter, "on" | "off">;
}

/** Why a session ended. */
export type SessionEnd =
  | MachineEnd
  | { readonly kind: "signal"; readonly signal: NodeJS.Signals }
  | { readonly kind: "output-failed"; readonly error: Error };

/** Makes the machine over the session's output and host; rejects for a definition that cannot start. */
export type StartMachine = (output: ConsoleOutput | undefined, pace: (host: Host) => Host) => Promise<SessionMachine>;

/** How long output may still take when the user asked for the end, in milliseconds. */
const PATIENCE = 1000;

/** Runs a machine to its end, whatever ends it. The terminal is as before afterwards. */
export async function runSession(start: StartMachine, streams: SessionStreams): Promise<SessionEnd> {
  const session = new Session(streams);
  try {
    return await session.run(start);
  } finally {
    session.close();
  }
}

class Session {
  readonly #streams: SessionStreams;
  readonly #output: ConsoleOutput | undefined;
  /** Undefined until the machine is made. */
  #input: ConsoleInput | undefined;
  #machine: SessionMachine | undefined;
  readonly #listeners: [string, (signal: NodeJS.Signals) => void][];
  /** What ended the machine, other than itself or the user's key. */
  #cause: SessionEnd | undefined;
  #stopRequested: () => void = () => {};
  readonly #stopped = new Promise<void>((resolve) => {
    this.#stopRequested = resolve;
  });

  constructor(streams: SessionStreams) {
    this.#streams = streams;
    const { output } = streams;
    this.#output = output && new ConsoleOutput(output, (error) => this.#stop({ kind: "output-failed", error }));
    this.#listeners = [
      ...END_SIGNALS.map((name): [string, (signal: NodeJS.Signals) => void] => [
        name,
        (signal) => this.#stop({ kind: "signal", signal }),
      ]),
      ["SIGCONT", () => this.#input?.setRaw()],
      ["exit", () => this.#input?.close()],
    ];
  }

  async run(start: StartMachine): Promise<SessionEnd> {
    for (const [event, listener] of this.#listeners) this.#streams.process.on(event, listener);
    const machine = await start(this.#output, (host) => pacedHost(host, this.#output, () => this.#input?.resume()));
    this.#machine = machine;
    // Asked for while the machine was made.
    if (this.#cause) machine.stop();
    const { input } = this.#streams;
    this.#input = input && new ConsoleInput(input, machine, ({ kind }) => this.#act(kind));
    if (this.#streams.input?.isTTY) this.#streams.messages.write("bunk: Ctrl-A X quits, Ctrl-A H lists the keys\n");
    this.#input?.open();
    const end = await machine.run();
    // Output that nobody takes must not keep a machine's user from ending it.
    const impatience = this.#stopped.then(() => new Promise((resolve) => setTimeout(resolve, PATIENCE)));
    await Promise.race([this.#output?.finish(), impatience]);
    return this.#cause ?? end;
  }

  close(): void {
    this.#output?.flush();
    this.#input?.close();
    for (const [event, listener] of this.#listeners) this.#streams.process.off(event, listener);
  }

  #act(kind: "quit" | "help" | "power-button"): void {
    switch (kind) {
      case "quit":
        this.#stop();
        return;
      case "help":
        this.#streams.messages.write(`\n${KEY_HELP}\n`);
        return;
      case "power-button":
        this.#machine?.powerButton();
    }
  }

  #stop(cause?: SessionEnd): void {
    this.#cause ??= cause;
    this.#stopRequested();
    this.#machine?.stop();
    this.#output?.release();
  }
}
