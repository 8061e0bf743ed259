/** GNU gdb as its users run it: commands in, what it prints out. */
import assert from "node:assert/strict";
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import type { TestContext } from "node:test";

export const HAS_GDB: boolean = spawnSync("gdb", ["--version"]).status === 0;
export const NEEDS_GDB: { readonly skip: string | false } = { skip: HAS_GDB ? false : "this host has no gdb" };

export class Gdb {
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<unknown>;
  #output = "";
  #commands = 0;

  /** A gdb that is ended with the test. */
  static start(t: TestContext): Gdb {
    const gdb = new Gdb();
    t.after(() => gdb.kill());
    return gdb;
  }

  private constructor() {
    const settings = [
      "confirm off",
      "pagination off",
      "width 0",
      "style enabled off",
      "prompt",
      "debuginfod enabled off",
    ];
    const args = settings.flatMap((setting) => ["-ex", `set ${setting}`]);
    // One pipe for both, so that errors come in order.
    this.#process = spawn("sh", ["-c", 'exec gdb -nx -q "$@" 2>&1', "gdb", ...args]);
    this.#process.stdin.on("error", () => {});
    this.#process.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
    });
    this.#ended = once(this.#process, "close");
  }

  /** Carries out one command; returns what it prints. */
  async run(command: string): Promise<string> {
    const mark = this.begin(command);
    return this.end(mark);
  }

  /** Starts a command that goes on until `end`. */
  begin(command: string): string {
    const mark = `@${this.#commands++}@`;
    this.#process.stdin.write(`${command}\necho ${mark}\\n\n`);
    return mark;
  }

  async end(mark: string): Promise<string> {
    while (!this.#output.includes(`${mark}\n`)) {
      const closed = await Promise.race([
        once(this.#process.stdout, "data"),
        this.#ended.then(() => "closed" as const),
      ]);
      assert.notEqual(closed, "closed", `gdb has ended; it said:\n${this.#output}`);
    }
    const at = this.#output.indexOf(`${mark}\n`);
    const said = this.#output.slice(0, at);
    this.#output = this.#output.slice(at + mark.length + 1);
    return said.trim();
  }

  /** What gdb prints of an expression, without "$1 = ". */
  async value(expression: string): Promise<string> {
    const said = await this.run(`output ${expression}`);
    return said;
  }

  /** Ctrl-C. */
  interrupt(): void {
    this.#process.kill("SIGINT");
  }

  async quit(): Promise<void> {
    this.#process.stdin.end("quit\n");
    await this.#ended;
  }

  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#ended;
  }
}
