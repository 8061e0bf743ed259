/** Asks the machine, in the protocol of its control socket. */
interface Reply {
  readonly ok: boolean;
  readonly error?: string;
}

export class Control {
  readonly #socket: WebSocket;
  readonly #open: Promise<void>;
  /** Answers come in the order of the questions. */
  readonly #waiting: { resolve(): void; reject(error: Error): void }[] = [];

  constructor(address: string) {
    this.#socket = new WebSocket(address);
    this.#open = new Promise((resolve, reject) => {
      this.#socket.addEventListener("open", () => resolve());
      this.#socket.addEventListener("close", () => {
        const error = new Error("the machine is gone");
        reject(error);
        for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
      });
    });
    this.#open.catch(() => {});
    this.#socket.addEventListener("message", ({ data }) => {
      const reply = JSON.parse(String(data)) as Reply;
      const waiting = this.#waiting.shift();
      if (reply.ok) waiting?.resolve();
      else waiting?.reject(new Error(reply.error ?? "refused"));
    });
  }

  /** Whether answers are due: motion need not pile up behind them. */
  get isBusy(): boolean {
    return this.#waiting.length > 0;
  }

  async ask(request: object): Promise<void> {
    await this.#open;
    if (this.#socket.readyState !== WebSocket.OPEN) throw new Error("the machine is gone");
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#socket.send(JSON.stringify(request));
    });
  }
}
