/** QEMU with its standard display adapter: runs a kernel and takes pictures of its screen. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import type { Surface } from "../../src/machine/display.ts";

const QEMU = "qemu-system-x86_64";
const PROMPT = "(qemu) ";

export function hasQemu(): boolean {
  return spawnSync(QEMU, ["--version"]).status === 0;
}

export class QemuScreen {
  readonly #process: ChildProcess;
  readonly #directory: string;
  readonly #exit: Promise<unknown>;
  #serial = 0;
  #wake: () => void = () => {};
  #monitor: net.Socket | undefined;
  #answers = "";

  /** `directory` is where QEMU may put files. */
  constructor(kernel: string, directory: string) {
    this.#directory = directory;
    this.#process = spawn(
      QEMU,
      [
        ...["-accel", "tcg", "-m", "64", "-vga", "std", "-display", "none", "-net", "none"],
        ...["-kernel", kernel, "-serial", "stdio"],
        ...["-monitor", `unix:${this.#socket},server=on,wait=off`],
      ],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    this.#exit = once(this.#process, "exit");
    this.#process.stdout?.on("data", (bytes: Buffer) => {
      this.#serial += bytes.length;
      this.#wake();
    });
    this.#process.on("exit", () => this.#wake());
  }

  get #socket(): string {
    return path.join(this.#directory, "monitor");
  }

  /** Waits for the kernel's next byte on COM1. */
  async pause(): Promise<void> {
    while (this.#serial === 0) {
      if (this.#process.exitCode !== null) throw new Error("QEMU ended");
      await this.#news();
    }
    this.#serial--;
  }

  goOn(): void {
    this.#process.stdin?.write("g");
  }

  async picture(): Promise<Surface> {
    const file = path.join(this.#directory, "screen.ppm");
    await this.#command(`screendump ${file}`);
    return parsePpm(await readFile(file));
  }

  async kill(): Promise<void> {
    this.#monitor?.destroy();
    this.#process.kill("SIGKILL");
    await this.#exit;
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  async #command(text: string): Promise<void> {
    if (!this.#monitor) {
      this.#monitor = net.connect(this.#socket);
      this.#monitor.setEncoding("latin1").on("data", (chunk: string) => {
        this.#answers += chunk;
        this.#wake();
      });
      await this.#prompt();
    }
    this.#monitor.write(`${text}\n`);
    await this.#prompt();
  }

  async #prompt(): Promise<void> {
    while (!this.#answers.includes(PROMPT)) await this.#news();
    this.#answers = this.#answers.slice(this.#answers.lastIndexOf(PROMPT) + PROMPT.length);
  }
}

/** A binary PPM with 8 bits a component. */
function parsePpm(file: Buffer): Surface {
  const head = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(file.subarray(0, 64).toString("latin1"));
  if (!head) throw new Error("no PPM file");
  const [width, height] = [Number(head[1]), Number(head[2])];
  const data = file.subarray(head[0].length);
  const pixels = new Uint32Array(width * height);
  for (let i = 0; i < pixels.length; i++) {
    pixels[i] = (data[i * 3]! << 16) | (data[i * 3 + 1]! << 8) | data[i * 3 + 2]!;
  }
  return { width, height, pixels };
}
