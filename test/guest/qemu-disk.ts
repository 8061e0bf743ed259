/** QEMU booting a disk image with its own firmware, heard on the serial line; what it writes is dropped. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { missing } from "../../src/disk/testing/node/qemu-img.ts";

const QEMU = "qemu-system-x86_64";

export class QemuDisk {
  static readonly missing: string | false = missing(QEMU);
  readonly #process: ChildProcess;
  #output = "";
  #wake: () => void = () => {};

  constructor(image: string) {
    const drive = `file=${image},format=qcow2,if=virtio,snapshot=on`;
    this.#process = spawn(
      QEMU,
      [
        "-accel",
        "tcg",
        "-cpu",
        "max",
        "-m",
        "1024",
        "-display",
        "none",
        "-serial",
        "stdio",
        "-nic",
        "none",
        "-drive",
        drive,
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    this.#process.stdout?.setEncoding("latin1").on("data", (chunk: string) => {
      this.#output += chunk;
      this.#wake();
    });
    this.#process.on("exit", () => this.#wake());
  }

  /** Waits until the serial line has said `text`; fails when QEMU ends before, or after `milliseconds`. */
  async expect(text: string, milliseconds: number): Promise<void> {
    const late = AbortSignal.timeout(milliseconds);
    late.addEventListener("abort", () => this.#wake());
    while (!this.#output.includes(text)) {
      const over = this.#process.exitCode !== null || late.aborted;
      if (over) throw new Error(`QEMU did not say "${text}", but ended with: ${this.#output.slice(-500)}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const exit = once(this.#process, "exit");
    this.#process.kill();
    await exit;
  }
}
