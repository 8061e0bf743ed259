/** The screen and input of a machine on its worker thread, by messages. */
import type { MachineEnd } from "../../definition.ts";
import type { GuestInput, KeyChange } from "../../input/guest-input.ts";
import type { ScreenReader } from "../../screen/screen-reader.ts";
import { type TypingSettings, typeKeys } from "./typing.ts";

export type ScreenRequest =
  | { readonly ask: "size" | "picture" | "text" }
  | ({ readonly ask: "type"; readonly changes: readonly KeyChange[] } & TypingSettings)
  | { readonly ask: "move"; readonly dx: number; readonly dy: number; readonly wheel: number }
  | { readonly ask: "place"; readonly x: number; readonly y: number; readonly wheel: number }
  | { readonly ask: "buttons"; readonly pressed: number };

/** Each request's answer. */
export interface ScreenAnswers {
  size: { width: number; height: number };
  picture: { width: number; height: number; pixels: Uint32Array };
  text: readonly string[] | undefined;
  type: undefined;
  move: undefined;
  place: undefined;
  buttons: undefined;
}

export type ScreenReply =
  | { readonly ok: true; readonly value: ScreenAnswers[keyof ScreenAnswers] }
  | { readonly ok: false; readonly message: string };

export const NO_SCREEN =
  "the machine has no screen; bunk run --display none, or the library's option screen, gives it a graphics card";

const NO_TABLET =
  'the guest uses no tablet: give the machine one by the option pointer: "tablet", and wait for the guest\'s driver';

/** The worker's side. */
export async function answerScreen(
  request: ScreenRequest,
  screen: ScreenReader | undefined,
  input: GuestInput,
): Promise<ScreenReply> {
  try {
    return { ok: true, value: await answer(request, screen, input) };
  } catch (error) {
    return { ok: false, message: (error as Error).message };
  }
}

async function answer(request: ScreenRequest, screen: ScreenReader | undefined, input: GuestInput) {
  switch (request.ask) {
    case "type":
      await typeKeys(input, request.changes, request);
      return undefined;
    case "move":
      input.move(request);
      return undefined;
    case "place":
      if (!input.takesPlaces) throw new Error(NO_TABLET);
      input.place(request);
      return undefined;
    case "buttons":
      input.buttons(request.pressed);
      return undefined;
  }
  if (screen === undefined) throw new Error(NO_SCREEN);
  switch (request.ask) {
    case "size":
      return screen.size;
    case "picture":
      return screen.picture();
    case "text":
      return screen.text();
  }
}

/** The caller's side: matches replies with requests. */
export class ScreenPort {
  readonly #post: (id: number, request: ScreenRequest) => void;
  readonly #waiting = new Map<number, { resolve(reply: ScreenReply): void; reject(error: Error): void }>();
  #next = 0;
  #end: Error | undefined;

  constructor(post: (id: number, request: ScreenRequest) => void) {
    this.#post = post;
  }

  async ask<R extends ScreenRequest>(request: R): Promise<ScreenAnswers[R["ask"]]> {
    if (this.#end) throw this.#end;
    const id = this.#next++;
    const reply = await new Promise<ScreenReply>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#post(id, request);
    });
    if (!reply.ok) throw new Error(reply.message);
    return reply.value as ScreenAnswers[R["ask"]];
  }

  reply(id: number, reply: ScreenReply): void {
    this.#waiting.get(id)?.resolve(reply);
    this.#waiting.delete(id);
  }

  /** The machine has ended, and answers no more. */
  ended(end: MachineEnd | undefined): void {
    this.#end = new Error(`the machine has ended${end ? ` (${end.kind})` : ""}`);
    for (const { reject } of this.#waiting.values()) reject(this.#end);
    this.#waiting.clear();
  }
}
