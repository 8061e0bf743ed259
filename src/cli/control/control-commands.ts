/** `bunk screenshot` and `bunk sendkeys`: what can be done to a machine that runs. */
import { writeFile } from "node:fs/promises";
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
