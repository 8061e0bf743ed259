/**
 * Submission and completion queues: rings in the guest's memory.
 * @spec NVM Express 1.4c, §4.1 "Submission Queue & Completion Queue Definition", §4.6
 */
import { guestPhysical } from "../../bits/units.ts";
import type { GuestMemory } from "../../machine/device.ts";
import { Cqe, Sqe } from "./layout.ts";

export interface SubmissionQueueState {
  /** Bytes from guest-physical 0. */
  base: number;
  /** Entries. */
  size: number;
  head: number;
  tail: number;
  /** The completion queue. */
  cqid: number;
}

export interface CompletionQueueState {
  base: number;
  size: number;
  head: number;
  tail: number;
  phase: 0 | 1;
  interrupts: boolean;
  vector: number;
  /** Completions for which there is no room yet. */
  waiting: Completion[];
}

export interface Completion {
  sqid: number;
  cid: number;
  status: number;
  /** Dword 0, the command's own result. */
  result: number;
}

export const submissionQueue = (base: number, size: number, cqid: number): SubmissionQueueState => ({
  base,
  size,
  head: 0,
  tail: 0,
  cqid,
});

export const completionQueue = (
  base: number,
  size: number,
  interrupts: boolean,
  vector: number,
): CompletionQueueState => ({ base, size, head: 0, tail: 0, phase: 1, interrupts, vector, waiting: [] });

/** Takes the next command, as a copy; undefined where there is none, or its memory is no RAM. */
export function takeCommand(queue: SubmissionQueueState, memory: GuestMemory): Uint8Array | undefined {
  if (queue.head === queue.tail) return undefined;
  const view = memory.view(guestPhysical(queue.base + queue.head * Sqe.size), Sqe.size, "read");
  queue.head = (queue.head + 1) % queue.size;
  return view?.slice();
}

const isFull = ({ head, tail, size }: CompletionQueueState): boolean => (tail + 1) % size === head;

/** Stores the completions that wait, as far as there is room; returns how many it stored. `headOf` is the head of a submission queue. */
export function postCompletions(
  queue: CompletionQueueState,
  memory: GuestMemory,
  headOf: (sqid: number) => number,
): number {
  let posted = 0;
  while (queue.waiting.length > 0 && !isFull(queue)) {
    const { sqid, cid, status, result } = queue.waiting.shift()!;
    const entry = Cqe.make({
      dw0: result,
      sqhd: headOf(sqid),
      sqid,
      cid,
      status: ((status << 1) | queue.phase) & 0xffff,
    });
    memory.view(guestPhysical(queue.base + queue.tail * Cqe.size), Cqe.size, "write")?.set(entry);
    queue.tail = (queue.tail + 1) % queue.size;
    if (queue.tail === 0) queue.phase ^= 1;
    posted++;
  }
  return posted;
}
