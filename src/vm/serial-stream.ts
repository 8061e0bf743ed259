/** A guest's serial line as a program sees it: bytes out, text in, and waiting for what the guest says. */

/** The guest did not say what was waited for; `output` is what it said last. */
export class ExpectError extends Error {
  readonly output: string;
  constructor(message: string, output: string) {
    super(`${message}; the guest's last output was:\n${output}`);
    this.name = "ExpectError";
    this.output = output;
  }
}

interface Waiting {
  readonly pattern: string | RegExp;
  resolve(match: ExpectResult): void;
  reject(error: Error): void;
}

export interface ExpectResult {
  /** What matched, and the groups of a regular expression. */
  readonly match: string;
  readonly groups: readonly (string | undefined)[];
  /** Everything from the last match up to this one. */
  readonly before: string;
}

const SHOWN = 2000;

export class SerialStream {
  readonly #send: (bytes: Uint8Array) => void;
  readonly #timer: (ms: number, fire: () => void) => () => void;
  readonly #decoder = new Utf8();
  readonly #listeners = new Set<(bytes: Uint8Array) => void>();
  #text = "";
  #from = 0;
  #waiting: Waiting | undefined;
  #ended = false;

  constructor(send: (bytes: Uint8Array) => void, timer: (ms: number, fire: () => void) => () => void) {
    this.#send = send;
    this.#timer = timer;
  }

  /** Everything that the guest has sent, as text. */
  get text(): string {
    return this.#text;
  }

  /** Calls `listener` with the guest's bytes as they come; returns what takes it off again. */
  onData(listener: (bytes: Uint8Array) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Types to the guest. */
  write(data: string | Uint8Array): void {
    this.#send(typeof data === "string" ? Utf8.encode(data) : data);
  }

  /**
   * Waits until the guest's output since the last match contains `pattern`.
   * @throws ExpectError after `timeout` milliseconds (60,000 unless told), or when the machine ends before.
   */
  expect(pattern: string | RegExp, options: { timeout?: number } = {}): Promise<ExpectResult> {
    if (this.#waiting) return Promise.reject(new Error("another expect() is still waiting"));
    const timeout = options.timeout ?? 60_000;
    return new Promise((resolve, reject) => {
      const cancel = this.#timer(timeout, () => {
        this.#waiting = undefined;
        reject(new ExpectError(`${pattern} did not appear within ${timeout} ms`, this.#tail()));
      });
      this.#waiting = {
        pattern,
        resolve: (result) => {
          cancel();
          resolve(result);
        },
        reject: (error) => {
          cancel();
          reject(error);
        },
      };
      this.#look();
    });
  }

  /** The machine's side: the guest has sent bytes. */
  receive(bytes: Uint8Array): void {
    for (const listener of this.#listeners) listener(bytes);
    this.#text += this.#decoder.decode(bytes);
    this.#look();
  }

  /** The machine's side: there will be no more. */
  end(): void {
    this.#ended = true;
    this.#look();
  }

  #tail(): string {
    return this.#text.slice(Math.max(this.#from, this.#text.length - SHOWN));
  }

  #look(): void {
    const waiting = this.#waiting;
    if (!waiting) return;
    const rest = this.#text.slice(this.#from);
    const found = find(waiting.pattern, rest);
    if (found) {
      this.#waiting = undefined;
      this.#from += found.index + found.match.length;
      waiting.resolve({ match: found.match, groups: found.groups, before: rest.slice(0, found.index) });
    } else if (this.#ended) {
      this.#waiting = undefined;
      waiting.reject(new ExpectError(`the machine ended before ${waiting.pattern} appeared`, this.#tail()));
    }
  }
}

function find(pattern: string | RegExp, text: string) {
  if (typeof pattern === "string") {
    const index = text.indexOf(pattern);
    return index < 0 ? undefined : { index, match: pattern, groups: [] };
  }
  const match = new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, "")).exec(text);
  return match ? { index: match.index, match: match[0], groups: match.slice(1) } : undefined;
}

/** UTF-8 without the Encoding API, which the portable layers do not have. */
class Utf8 {
  #pending: number[] = [];

  /** Text of the complete characters so far; broken sequences become U+FFFD. */
  decode(bytes: Uint8Array): string {
    let text = "";
    for (const byte of bytes) {
      if (byte < 0x80 || byte >= 0xc0) {
        if (this.#pending.length > 0) text += "\ufffd";
        this.#pending = [];
      }
      if (byte < 0x80) {
        text += String.fromCharCode(byte);
        continue;
      }
      this.#pending.push(byte);
      const first = this.#pending[0] as number;
      const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
      if (this.#pending.length < length) continue;
      text += length === 1 ? "\ufffd" : fromSequence(this.#pending);
      this.#pending = [];
    }
    return text;
  }

  static encode(text: string): Uint8Array {
    const bytes: number[] = [];
    for (const character of text) {
      const code = character.codePointAt(0) as number;
      if (code < 0x80) bytes.push(code);
      else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63));
      else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
      else bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    }
    return Uint8Array.from(bytes);
  }
}

function fromSequence(bytes: readonly number[]): string {
  const first = bytes[0] as number;
  const lead = first & (0x7f >> bytes.length);
  const code = bytes.slice(1).reduce((value, byte) => (value << 6) | (byte & 63), lead);
  return code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : "\ufffd";
}
