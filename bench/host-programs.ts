/** Programs of the host. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** First line of what `program --version` says; undefined where there is no such program. */
export async function versionOf(program: string, option = "--version"): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(program, [option]);
    return stdout.split("\n").find((line) => line.trim() !== "");
  } catch (error) {
    // Some end with a status for all that they say.
    const { code, stdout } = error as NodeJS.ErrnoException & { stdout?: string };
    return code === "ENOENT" ? undefined : (stdout?.split("\n").find((line) => line.trim() !== "") ?? "");
  }
}
