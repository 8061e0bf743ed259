/** A shell on a guest's serial line, driven as a person would: commands in, their output and status back. */
import assert from "node:assert/strict";
import type { SerialStream } from "../../src/vm/index.ts";

/** Booting and commands take longest on a busy host with few processors. */
const PATIENCE = 900_000;
const CTRL_C = "\x03";

export class GuestShell {
  readonly #serial: SerialStream;

  constructor(serial: SerialStream) {
    this.#serial = serial;
  }

  /** Waits for the guest to say `pattern`; returns what it said before that. */
  async expect(pattern: string | RegExp): Promise<string> {
    return (await this.#serial.expect(pattern, { timeout: PATIENCE })).before;
  }

  /** Waits for the prompt of root on the machine `bunkhouse`, and keeps kernel messages from mixing with output. */
  async ready(): Promise<void> {
    await this.expect(/root@bunkhouse:~# /);
    await this.run("dmesg -n 1");
  }

  type(text: string): void {
    this.#serial.write(text);
  }

  /** Runs a command line; returns its output. Fails where its status is another than `status`. */
  async run(command: string, status = 0): Promise<string> {
    // The terminal echoes what is typed: the marks are written in a way in which they do not stand there.
    this.type(`echo "@""begin@"; ${command}; echo "@""$?@"\n`);
    await this.expect("@begin@\r\n");
    const { before, groups } = await this.#serial.expect(/@(\d+)@\r\n/, { timeout: PATIENCE });
    const output = before.replaceAll("\r\n", "\n");
    assert.equal(Number(groups[0]), status, `"${command}" ended with ${groups[0]}, saying:\n${output}`);
    return output;
  }

  /** Runs a command that says `said` and goes on for ever, ends it with Ctrl-C, and returns its status. */
  async interrupt(command: string, said: string): Promise<number> {
    this.type(`${command}; echo "@""$?@"\n`);
    await this.expect(`\n${said}\r\n`);
    this.type(CTRL_C);
    this.type(`echo "@""$?@"\n`);
    const { groups } = await this.#serial.expect(/@(\d+)@\r\n/, { timeout: PATIENCE });
    return Number(groups[0]);
  }

  /**
   * Has the guest sleep; returns the seconds that passed for the guest and for the host.
   */
  async sleep(seconds: number): Promise<{ guest: number; host: number }> {
    this.type(`read u x </proc/uptime; echo "@""$u@"; sleep ${seconds}; read u x </proc/uptime; echo "@""$u@"\n`);
    const mark = async () => {
      const { groups } = await this.#serial.expect(/@([\d.]+)@\r\n/, { timeout: PATIENCE });
      return { guest: Number(groups[0]), host: performance.now() / 1000 };
    };
    const before = await mark();
    const after = await mark();
    return { guest: after.guest - before.guest, host: after.host - before.host };
  }
}
