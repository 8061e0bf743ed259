/**
 * Progress of a long step for a person: one line that is rewritten on a terminal, plain lines elsewhere
 * (a log keeps what happened and is not filled with percentages).
 */
export interface Progress {
  /** A new step begins, or the current one (same text) has come to `fraction` (0 to 1). */
  step(text: string, fraction?: number): void;
  /** Something the person should know; it stays visible and the step goes on. */
  note(text: string): void;
  /** Ends the line. `text`, where given, stays visible as the outcome. */
  finish(text?: string): void;
}

/** Where progress goes: a `tty.WriteStream`, or anything that writes. */
export interface ProgressStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

export const silentProgress: Progress = { step: () => {}, note: () => {}, finish: () => {} };

const RETURN_AND_ERASE = "\r\x1b[K";
const DEFAULT_COLUMNS = 80;

export function progressOn(stream: ProgressStream): Progress {
  return stream.isTTY ? new UpdatingLine(stream) : new PlainLines(stream);
}

class UpdatingLine implements Progress {
  readonly #stream: ProgressStream;
  #shown = "";

  constructor(stream: ProgressStream) {
    this.#stream = stream;
  }

  step(text: string, fraction?: number): void {
    const line = fraction === undefined ? `${text} ...` : `${text} ... ${percent(fraction)}`;
    if (line === this.#shown) return;
    this.#shown = line;
    // A line that reached the last column would wrap, and only its second half would be erased.
    const columns = this.#stream.columns || DEFAULT_COLUMNS;
    this.#stream.write(RETURN_AND_ERASE + line.slice(0, columns - 1));
  }

  note(text: string): void {
    this.finish(text);
  }

  finish(text?: string): void {
    const erase = this.#shown === "" ? "" : RETURN_AND_ERASE;
    this.#shown = "";
    const output = erase + (text === undefined ? "" : `${text}\n`);
    if (output !== "") this.#stream.write(output);
  }
}

class PlainLines implements Progress {
  readonly #stream: ProgressStream;
  #step = "";

  constructor(stream: ProgressStream) {
    this.#stream = stream;
  }

  step(text: string): void {
    if (text === this.#step) return;
    this.#step = text;
    this.#stream.write(`${text} ...\n`);
  }

  note(text: string): void {
    this.#stream.write(`${text}\n`);
  }

  finish(text?: string): void {
    this.#step = "";
    if (text !== undefined) this.#stream.write(`${text}\n`);
  }
}

function percent(fraction: number): string {
  return `${Math.floor(Math.min(1, Math.max(0, fraction)) * 100)}%`;
}
