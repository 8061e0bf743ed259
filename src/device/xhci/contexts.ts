/**
 * Device and input contexts in the guest's memory. What the controller goes by is its own state; the guest's output
 * contexts are kept as that says.
 *
 * @spec xHCI 1.2, §6.2 "Contexts"
 */
import { guestPhysical } from "../../bits/units.ts";
import type { GuestMemory } from "../../machine/device.ts";
import { CONTEXT_SIZE, CONTEXTS, Endpoint0, Slot3 } from "./layout.ts";
import type { SlotState } from "./state.ts";

const DWORDS = CONTEXT_SIZE / 4;

/** The dwords of a context. */
export type Context = number[];

/** An input context (§6.2.5): what to drop and to add, and the contexts, by device context index. */
export interface InputContext {
  readonly drop: number;
  readonly add: number;
  readonly contexts: readonly Context[];
}

const read = (view: DataView, at: number): Context =>
  Array.from({ length: DWORDS }, (_, i) => view.getUint32(at + i * 4, true));

export function readInputContext(memory: GuestMemory, address: number): InputContext | undefined {
  const length = (1 + CONTEXTS) * CONTEXT_SIZE;
  const bytes = memory.view(guestPhysical(address), length, "read");
  if (!bytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  const [drop = 0, add = 0] = read(view, 0);
  const contexts = Array.from({ length: CONTEXTS }, (_, index) => read(view, (1 + index) * CONTEXT_SIZE));
  return { drop, add, contexts };
}

/** Changes one of the slot's output contexts; nothing where that is no RAM. */
export function changeContext(
  memory: GuestMemory,
  slot: SlotState,
  index: number,
  change: (context: Context) => Context,
): void {
  const bytes = memory.view(guestPhysical(slot.context + index * CONTEXT_SIZE), CONTEXT_SIZE, "write");
  if (!bytes) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, CONTEXT_SIZE);
  for (const [i, dword] of change(read(view, 0)).entries()) view.setUint32(i * 4, dword, true);
}

/** Tells the guest of a slot's state; `address` is the USB address. */
export function tellSlot(memory: GuestMemory, slot: SlotState, address?: number): void {
  changeContext(memory, slot, 0, (context) =>
    context.with(3, Slot3.with(context[3]!, { state: slot.state, ...(address === undefined ? {} : { address }) })),
  );
}

/** Tells the guest of an endpoint's state and how far its ring was read. */
export function tellEndpoint(memory: GuestMemory, slot: SlotState, index: number): void {
  const endpoint = slot.endpoints[index];
  changeContext(memory, slot, index, (context) => {
    const state = Endpoint0.with(context[0]!, { state: endpoint?.state ?? 0 });
    if (!endpoint) return context.with(0, state);
    const { dequeue, cycle } = endpoint.ring;
    return context
      .with(0, state)
      .with(2, ((dequeue % 2 ** 32) | cycle) >>> 0)
      .with(3, Math.floor(dequeue / 2 ** 32));
  });
}
