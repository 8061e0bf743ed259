/** The keys of the console itself: Ctrl-A and one more. All else is the guest's. */

export type KeyAction =
  | { readonly kind: "send"; readonly bytes: Uint8Array }
  | { readonly kind: "quit" }
  | { readonly kind: "help" }
  | { readonly kind: "power-button" };

const CTRL_A = 0x01;

export const KEY_HELP: string = [
  "Ctrl-A X  quit: pull the machine's plug",
  "Ctrl-A P  press the power button, so that the guest shuts down",
  "Ctrl-A A  send Ctrl-A to the guest (or press Ctrl-A twice)",
  "Ctrl-A H  list these keys",
].join("\n");

/** Finds the console's keys in what is typed. A key and its Ctrl-A may come apart. */
export class EscapeKeys {
  #escaped = false;

  feed(bytes: Uint8Array): KeyAction[] {
    const actions: KeyAction[] = [];
    let start = 0;
    const sendUpTo = (end: number) => {
      if (end > start) actions.push({ kind: "send", bytes: bytes.slice(start, end) });
    };
    bytes.forEach((byte, at) => {
      if (this.#escaped) {
        this.#escaped = false;
        const action = actionOf(byte);
        if (action !== undefined) actions.push(action);
        start = at + 1;
      } else if (byte === CTRL_A) {
        this.#escaped = true;
        sendUpTo(at);
        start = at + 1;
      }
    });
    sendUpTo(bytes.length);
    return actions;
  }
}

/** What a key after Ctrl-A does; keys without a meaning do nothing. */
function actionOf(byte: number): KeyAction | undefined {
  if (byte === CTRL_A) return { kind: "send", bytes: Uint8Array.of(CTRL_A) };
  switch (String.fromCharCode(byte).toLowerCase()) {
    case "a":
      return { kind: "send", bytes: Uint8Array.of(CTRL_A) };
    case "x":
      return { kind: "quit" };
    case "h":
    case "?":
      return { kind: "help" };
    case "p":
      return { kind: "power-button" };
    default:
      return undefined;
  }
}
