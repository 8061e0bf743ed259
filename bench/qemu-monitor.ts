/** QEMU's monitor for programs: one command at a time. @spec QEMU "QMP protocol specification" */
import { once } from "node:events";
import { connect, type Socket } from "node:net";

export class QemuMonitor {
  readonly #socket: Socket;
  #text = "";
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("utf8").on("data", (text: string) => {
      this.#text += text;
      this.#wake();
    });
    for (const event of ["close", "error"]) socket.on(event, () => this.#wake());
  }

  /** Connects to the Unix socket of a QEMU that may not have made it yet. */
  static async connect(path: string, milliseconds: number): Promise<QemuMonitor> {
    const end = performance.now() + milliseconds;
    for (;;) {
      const socket = connect(path);
      const isThere = await once(socket, "connect").then(
        () => true,
        () => false,
      );
      if (isThere) {
        const monitor = new QemuMonitor(socket);
        await monitor.command("qmp_capabilities");
        return monitor;
      }
      if (performance.now() > end) throw new Error(`QEMU's monitor at ${path} does not answer`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Rejects with what QEMU says against it. Events are passed over. */
  async command(execute: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    this.#socket.write(`${JSON.stringify({ execute, arguments: args })}\n`);
    for (;;) {
      const end = this.#text.indexOf("\n");
      if (end < 0) {
        if (this.#socket.destroyed) throw new Error("QEMU has ended");
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      const answer = JSON.parse(this.#text.slice(0, end)) as { return?: unknown; error?: { desc: string } };
      this.#text = this.#text.slice(end + 1);
      if (answer.error) throw new Error(`QEMU, ${execute}: ${answer.error.desc}`);
      if ("return" in answer) return answer.return;
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}
