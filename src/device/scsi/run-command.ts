/** Serves one SCSI command from beginning to end, for an adapter that has the initiator's buffers at hand. */
import type { AsyncWork } from "../../machine/device.ts";
import type { ScsiEnd, ScsiTask, ScsiUnit } from "./scsi-unit.ts";

/** The initiator's buffers; a false tells that they cannot be reached, which aborts the command. */
export interface ScsiBuffers {
  /** Bytes of room for Data-In; what a command has beyond that is not transferred. */
  readonly inLength: number;
  /** Bytes of Data-Out that the initiator has. */
  readonly outLength: number;
  /** Stores Data-In at byte `at` of the buffers. */
  put(at: number, bytes: Uint8Array): boolean;
  /** Fills `target` with Data-Out from byte `at` on. */
  take(at: number, target: Uint8Array): boolean;
}

export interface ScsiResult extends ScsiEnd {
  /** Bytes moved, in or out. */
  readonly transferred: number;
}

export interface RunCommandOptions {
  readonly unit: ScsiUnit;
  readonly cdb: Uint8Array;
  readonly buffers: ScsiBuffers;
  readonly work: AsyncWork;
  /** Told an error of the host's storage, besides the guest. */
  ioError?(error: Error): void;
  /** Called once, in guest time: before `runCommand` returns where nothing has to be waited for. */
  done(result: ScsiResult): void;
}

/** Bytes that are moved at once. */
const PIECE = 1024 * 1024;
const NOTHING = new Uint8Array(0);

/** Returns a function that forgets the command: `done` is not called any more. */
export function runCommand(options: RunCommandOptions): () => void {
  const { unit, cdb, work, ioError, done } = options;
  const task = unit.begin(cdb);
  const steps = serve(options, task);
  let forgotten = false;
  const advance = () => {
    const step = steps.next();
    if (step.done === true) {
      done(step.value);
      return;
    }
    const { operation, at } = step.value;
    work.run(operation(), (result) => {
      if (forgotten) return;
      if (result.ok) {
        advance();
      } else {
        ioError?.(result.error);
        done({ ...unit.fail(task, result.error, at), transferred: at });
      }
    });
  };
  advance();
  return () => {
    forgotten = true;
  };
}

interface HostStep {
  readonly operation: () => Promise<void>;
  /** Bytes moved before. */
  readonly at: number;
}

function* serve({ unit, buffers, work }: RunCommandOptions, task: ScsiTask): Generator<HostStep, ScsiResult, void> {
  let moved = 0;
  let parameters = NOTHING;
  const aborted = () => ({ ...unit.abort(task), transferred: moved });
  if (task.kind === "none" && task.end !== undefined) return { ...task.end, transferred: 0 };
  if (task.kind === "data") {
    moved = Math.min(task.data.length, buffers.inLength);
    if (!buffers.put(0, task.data.subarray(0, moved))) return aborted();
  } else if (task.kind === "read") {
    const length = Math.min(task.length, buffers.inLength);
    while (moved < length) {
      const piece = new Uint8Array(Math.min(length - moved, PIECE));
      const at = moved;
      const isThere = work.immediate === true && unit.readNow?.(task, at, piece);
      if (!isThere) yield { operation: () => unit.read(task, at, piece), at };
      if (!buffers.put(at, piece)) return aborted();
      moved += piece.length;
    }
  } else if (task.kind === "write") {
    const length = Math.min(task.length, buffers.outLength);
    while (moved < length) {
      const piece = new Uint8Array(Math.min(length - moved, PIECE));
      const at = moved;
      if (!buffers.take(at, piece)) return aborted();
      const isStored = work.immediate === true && unit.writeNow?.(task, at, piece);
      if (!isStored) yield { operation: () => unit.write(task, at, piece), at };
      moved += piece.length;
    }
  } else if (task.kind === "parameters") {
    parameters = new Uint8Array(Math.min(task.length, buffers.outLength));
    if (!buffers.take(0, parameters)) return aborted();
    moved = parameters.length;
  }
  if ("finishes" in task && task.finishes) yield { operation: () => unit.finish(task, parameters), at: moved };
  return { ...unit.complete(task, parameters), transferred: moved };
}
