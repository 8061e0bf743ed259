/** A machine in a process of its own, with the guest's console on its standard input and output, or on a socket. */
import { type ChildProcess, spawn } from "node:child_process";
import type { Server, Socket } from "node:net";
import { performance } from "node:perf_hooks";
import process from "node:process";

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Where the process connects to with the guest's console; its standard output is passed over then. */
  readonly console?: Server;
}

export interface Mark {
  /** When the awaited text was there, in seconds of the host's clock. */
  readonly at: number;
  readonly match: RegExpExecArray;
}

const SHOWN = 2000;

/** Machines end with this process, however it ends. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(1));

export class GuestProcess {
  /** When the process was started, in seconds of the host's clock. */
  readonly startedAt = seconds();
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;
  readonly #console: Server | undefined;
  #socket: Socket | undefined;
  #output = "";
  #errors = "";
  #ended = false;
  #wake: () => void = () => {};

  constructor({ program, args, env = {}, console }: Command) {
    this.#console = console;
    console?.once("connection", (socket) => {
      this.#socket = socket;
      socket.on("error", () => {}); // The machine's end, which its output's end tells of.
      socket.setNoDelay(true);
      this.#read(socket);
    });
    this.#child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ...env } });
    running.add(this.#child);
    this.#exit = new Promise((resolve) => this.#child.once("exit", resolve).once("error", resolve));
    void this.#exit.then(() => running.delete(this.#child));
    this.#child.stdin?.on("error", () => {}); // A guest that ends before it reads is noticed by its output's end.
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#errors = (this.#errors + text).slice(-SHOWN);
    });
    if (console === undefined && this.#child.stdout) this.#read(this.#child.stdout);
    else this.#child.stdout?.resume();
    const end = () => {
      this.#ended = true;
      this.#wake();
    };
    this.#child.stdout?.on("end", end);
    this.#child.on("error", (error) => {
      this.#errors += error.message;
      end();
    });
  }

  #read(stream: NodeJS.ReadableStream): void {
    stream.setEncoding("latin1").on("data", (text: string) => {
      this.#output += text;
      this.#wake();
    });
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error("the process did not start");
    return pid;
  }

  /** Waits until the output after what was awaited before has `pattern`. */
  async expect(pattern: RegExp, milliseconds: number): Promise<Mark> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#wake();
    }, milliseconds);
    try {
      for (;;) {
        const at = seconds();
        const match = pattern.exec(this.#output);
        if (match) {
          this.#output = this.#output.slice(match.index + match[0].length);
          return { at, match };
        }
        if (late || this.#ended) throw new Error(this.#complaint(pattern));
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #complaint(pattern: RegExp): string {
    const said = this.#output.slice(-SHOWN) + (this.#errors && `\n${this.#errors}`);
    return `${this.#ended ? "the machine ended" : "the time was up"} before ${pattern} appeared, after:\n${said}`;
  }

  /** Sends text; the time of it, in seconds of the host's clock. */
  type(text: string): number {
    (this.#socket ?? this.#child.stdin)?.write(text);
    return seconds();
  }

  /** Stops the process where it is, or lets it go on. */
  pause(paused: boolean): void {
    this.#child.kill(paused ? "SIGSTOP" : "SIGCONT");
  }

  /** Resolves when the process has ended. */
  get ended(): Promise<unknown> {
    return this.#exit;
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    this.#socket?.destroy();
    this.#console?.close();
    await this.#exit;
  }
}

function seconds(): number {
  return performance.now() / 1000;
}
