/**
 * What a running machine is asked through its control socket: a JSON object on a line, answered by a JSON object on a
 * line, one after the other. A verb is one entry of `VERBS`; what its request has is checked here.
 */
import { chord } from "../../vm/input/chord.ts";
import type { KeyChange } from "../../vm/input/guest-input.ts";
import { LAYOUTS, type Layout, typedText } from "../../vm/input/layouts.ts";
import type { FloppyDiskOptions } from "../../vm/node/floppies.ts";

export type ControlRequest =
  /** Is anyone there? Answers `name` and `pid`. */
  | { readonly verb: "status" }
  /** Answers `png`, in base64. */
  | { readonly verb: "screenshot" }
  /** Chords, one after the other. Answered when the guest's keyboard has sent them. */
  | { readonly verb: "keys"; readonly changes: readonly KeyChange[] }
  | { readonly verb: "type"; readonly changes: readonly KeyChange[] }
  /** Another disk for a floppy drive, A is 0, or none. The file's name is seen from the machine's process. */
  | { readonly verb: "floppy"; readonly drive: number; readonly disk: FloppyDiskOptions | undefined }
  /** Motion of the mouse, and the buttons that are down (MouseButtons). */
  | {
      readonly verb: "mouse";
      readonly dx: number;
      readonly dy: number;
      readonly wheel: number;
      readonly buttons: number;
    };

export type ControlReply =
  | { readonly ok: true; readonly [name: string]: unknown }
  | { readonly ok: false; readonly error: string };

/** Characters of a request at the most. */
export const LONGEST_REQUEST = 1 << 20;
const MOST_CHORDS = 1000;
const MOST_COUNTS = 10_000;

/** A request that is wrong; `message` says how. */
export class RequestError extends Error {
  override readonly name = "RequestError";
}

type Fields = Readonly<Record<string, unknown>>;

const VERBS: Readonly<Record<string, (fields: Fields) => ControlRequest>> = {
  status: () => ({ verb: "status" }),
  screenshot: () => ({ verb: "screenshot" }),
  keys: ({ keys }) => {
    if (!Array.isArray(keys) || keys.length > MOST_CHORDS || !keys.every((key) => typeof key === "string")) {
      throw new RequestError(`keys must be a list of at most ${MOST_CHORDS} strings`);
    }
    return { verb: "keys", changes: (keys as string[]).flatMap(chord) };
  },
  type: ({ text, layout = "us" }) => {
    if (typeof text !== "string") throw new RequestError("text must be a string");
    if (!LAYOUTS.includes(layout as Layout)) throw new RequestError(`layout must be one of ${LAYOUTS.join(", ")}`);
    return { verb: "type", changes: typedText(text, layout as Layout) };
  },
  floppy: ({ drive, file, readOnly = false, snapshot = false }) => {
    if (drive !== 0 && drive !== 1) throw new RequestError("drive must be 0 or 1");
    if (file !== undefined && typeof file !== "string") throw new RequestError("file must be a string");
    if (typeof readOnly !== "boolean" || typeof snapshot !== "boolean") {
      throw new RequestError("readOnly and snapshot must be true or false");
    }
    return { verb: "floppy", drive, disk: file === undefined ? undefined : { file, readOnly, snapshot } };
  },
  mouse: ({ dx = 0, dy = 0, wheel = 0, buttons = 0 }) => ({
    verb: "mouse",
    dx: counts("dx", dx),
    dy: counts("dy", dy),
    wheel: counts("wheel", wheel),
    buttons: counts("buttons", buttons),
  }),
};

function counts(name: string, value: unknown): number {
  if (typeof value === "number" && Number.isInteger(value) && Math.abs(value) <= MOST_COUNTS) return value;
  throw new RequestError(`${name} must be a whole number of at most ${MOST_COUNTS}`);
}

/** Throws RequestError or TypingError. */
export function parseRequest(line: string): ControlRequest {
  let fields: unknown;
  try {
    fields = JSON.parse(line);
  } catch {
    throw new RequestError("a request must be a line of JSON");
  }
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) {
    throw new RequestError("a request must be an object with a verb");
  }
  const { verb, ...rest } = fields as Fields;
  if (typeof verb !== "string" || !Object.hasOwn(VERBS, verb)) {
    throw new RequestError(`verb must be one of ${Object.keys(VERBS).join(", ")}`);
  }
  return (VERBS[verb] as (fields: Fields) => ControlRequest)(rest);
}
