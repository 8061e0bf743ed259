/** A SCSI initiator for tests of logical units. */
import { ImmediateWork } from "../../../machine/testing/rig.ts";
import { runCommand, type ScsiResult } from "../run-command.ts";
import type { ScsiUnit } from "../scsi-unit.ts";

export interface Answer extends ScsiResult {
  readonly data: Uint8Array;
  /** The sense key and code of a check condition, as in "5 2400". */
  readonly refused: string | undefined;
}

const ROOM = 1 << 16;

/** Sends a command with room for any answer, and the bytes of a parameter list. */
export function send(unit: ScsiUnit, cdb: readonly number[], out: readonly number[] = []): Promise<Answer> {
  const room = new Uint8Array(ROOM);
  return new Promise((resolve) => {
    runCommand({
      unit,
      cdb: Uint8Array.from(cdb),
      work: new ImmediateWork(),
      buffers: {
        inLength: ROOM,
        outLength: out.length,
        put: (at, bytes) => {
          room.set(bytes, at);
          return true;
        },
        take: (at, target) => {
          target.set(out.slice(at, at + target.length));
          return true;
        },
      },
      done: (result) => {
        const { sense } = result;
        const refused = sense && `${sense.key} ${sense.code.toString(16).padStart(4, "0")}`;
        resolve({ ...result, data: room.slice(0, result.transferred), refused });
      },
    });
  });
}
