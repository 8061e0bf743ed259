/** A guest in QEMU as a reference machine, driven over its serial console as a person would. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { PreparedGuest } from "../debian-guest.ts";

const QEMU = "qemu-system-x86_64";

export class QemuConsole {
  readonly #process: ChildProcess;
  readonly #exit: Promise<unknown>;
  #output = "";
  #seen = 0;
  #ended = false;
  #wake: () => void = () => {};

  constructor(guest: PreparedGuest, extra: readonly string[] = []) {
    this.#process = spawn(
      QEMU,
      [
        ...["-accel", "tcg", "-nographic", "-no-reboot", "-m", String(guest.memoryMiB)],
        ...["-kernel", guest.kernel, "-initrd", guest.initrd, "-append", guest.append],
        ...(guest.disk === undefined ? [] : ["-drive", `file=${guest.disk},format=raw,if=virtio,snapshot=on`]),
        ...extra,
      ],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    this.#exit = once(this.#process, "exit");
    this.#process.stdout?.setEncoding("latin1").on("data", (chunk: string) => {
      this.#output += chunk;
      this.#wake();
    });
    this.#process.stdout?.on("end", () => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** Waits until the console shows `text` after what was awaited before; returns what stood in between. */
  async expect(text: string, milliseconds = 120_000): Promise<string> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#wake();
    }, milliseconds);
    try {
      for (;;) {
        const at = this.#output.indexOf(text, this.#seen);
        if (at >= 0) {
          const between = this.#output.slice(this.#seen, at);
          this.#seen = at + text.length;
          return between;
        }
        if (late || this.#ended) {
          throw new Error(`no "${text}" on the console, but:\n${this.#output.slice(this.#seen).slice(-3000)}`);
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }

  type(text: string): void {
    this.#process.stdin?.write(text);
  }

  /** Waits for the machine to power off by itself. */
  async poweredOff(): Promise<void> {
    await this.#exit;
  }

  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#exit;
  }
}

export async function hasQemu(): Promise<boolean> {
  const child = spawn(QEMU, ["--version"], { stdio: "ignore" });
  return Promise.race([once(child, "exit").then(() => true), once(child, "error").then(() => false)]);
}
