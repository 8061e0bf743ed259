/** `bunk screenshot`, `bunk sendkeys` and `bunk floppy`: what can be done to a machine that runs. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { hostError } from "../../disk/node/host-error.ts";
import { chord } from "../../vm/input/chord.ts";
import { type Layout, TypingError, typedText } from "../../vm/input/layouts.ts";
import { fileError, usageError } from "../failure.ts";
import { askMachine, findMachine } from "./control-client.ts";
import { runtimeDirectory } from "./runtime-directory.ts";

export type ControlInvocation =
  | { readonly verb: "screenshot"; readonly machine: string; readonly file: string }
  | {
      readonly verb: "sendkeys";
      readonly machine: string;
      readonly keys: readonly string[];
      readonly text: string | undefined;
      readonly layout: Layout;
    }
  | {
      readonly verb: "floppy";
      readonly machine: string;
      readonly drive: "a" | "b";
      /** Undefined takes the disk out. */
      readonly file: string | undefined;
      readonly readOnly: boolean;
      readonly snapshot: boolean;
    };

/** Does what was asked; rejects with CliError. */
export async function controlCommand(invocation: ControlInvocation, directory = runtimeDirectory()): Promise<void> {
  if (invocation.verb === "screenshot") {
    const machine = await findMachine(directory, invocation.machine);
    const { png } = await askMachine(machine, { verb: "screenshot" });
    try {
      await writeFile(invocation.file, Buffer.from(String(png), "base64"));
    } catch (error) {
      throw fileError(hostError(`write the screenshot to ${invocation.file}`, error).message);
    }
    return;
  }
  if (invocation.verb === "floppy") {
    const { machine, drive, file, readOnly, snapshot } = invocation;
    // The machine runs in a folder of its own.
    const disk = file === undefined ? {} : { file: path.resolve(file), readOnly, snapshot };
    await askMachine(await findMachine(directory, machine), { verb: "floppy", drive: drive === "a" ? 0 : 1, ...disk });
    return;
  }
  const { keys, text, layout } = invocation;
  check(() => {
    keys.forEach(chord);
    typedText(text ?? "", layout);
  });
  const machine = await findMachine(directory, invocation.machine);
  if (text !== undefined) await askMachine(machine, { verb: "type", text, layout });
  if (keys.length > 0) await askMachine(machine, { verb: "keys", keys });
}

/** What cannot be typed is a mistake of the command line. */
function check(make: () => void): void {
  try {
    make();
  } catch (error) {
    throw error instanceof TypingError ? usageError(error.message) : error;
  }
}
