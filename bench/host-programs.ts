/** Programs of the host. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** First line of what `program --version` says; undefined where there is no such program. */
export function versionOf(program: string): Promise<string | undefined> {
  return firstLine(program, ["--version"]);
}

/** Version of a Debian package that is installed. */
export function packageVersion(name: string): Promise<string | undefined> {
  return firstLine("dpkg-query", ["--show", `--showformat=\${Version}`, name]);
}

/** The commit that the sources are of, in short. */
export function commit(): Promise<string | undefined> {
  return firstLine("git", ["-C", import.meta.dirname, "rev-parse", "--short", "HEAD"]);
}

async function firstLine(program: string, args: readonly string[]): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(program, args);
    return stdout.split("\n")[0];
  } catch {
    return undefined;
  }
}
