/** Typing for who wants to know whether the guest takes the keys. */
import { setTimeout as delay } from "node:timers/promises";
import type { GuestInput, KeyChange } from "../../input/guest-input.ts";

/** How often progress is looked for, in milliseconds. */
const LOOK_EVERY = 200;

export interface TypingSettings {
  /** Nanoseconds of guest time from one change to the next. */
  readonly pace?: number;
  /** Milliseconds in which the guest must have taken a key. */
  readonly patience: number;
}

/** Resolves when all was sent to the guest. Rejects where it takes no keys, or the machine ends. */
export async function typeKeys(
  input: GuestInput,
  changes: readonly KeyChange[],
  { pace, patience }: TypingSettings,
): Promise<void> {
  const typing = input.type(changes, pace);
  let { left } = typing;
  let waited = 0;
  for (;;) {
    const typed = await Promise.race([typing.done, delay(LOOK_EVERY, undefined, { ref: false })]);
    if (typed === true) return;
    if (typed === false) throw new Error("the machine ended before all was typed");
    waited = typing.left === left ? waited + LOOK_EVERY : 0;
    left = typing.left;
    if (waited < patience) continue;
    typing.cancel();
    throw new Error(
      `the guest has not read its keyboard for ${patience / 1000} seconds; ${left} changes of keys were not typed`,
    );
  }
}
