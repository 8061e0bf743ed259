import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const SCRIPT = fileURLToPath(new URL("files/run-debootstrap", import.meta.url));
/** What a component of the installer has of it, and its children see. */
const INSTALLER = { DEBIAN_HAS_FRONTEND: "1", DEBIAN_FRONTEND: "text", DEBCONF_FRONTEND: "text", DEBCONF_REDIR: "1" };
/**
 * A package's question as a confmodule asks it: of the debconf that is said to run, by standard input and file 3, else of
 * one that it starts.
 */
const DEBOOTSTRAP = `#!/bin/sh
echo "arguments $*"
if [ "$DEBIAN_HAS_FRONTEND" ]; then
  echo "GET libpam-runtime/profiles" >&3
  read -r answer || echo "asked again, for ever"
else
  echo "starts a debconf of its own: \${DEBIAN_FRONTEND-default} \${DEBCONF_FRONTEND-default} \${DEBCONF_REDIR-no}"
fi
`;

test("packages that debootstrap configures start a debconf of their own, not waiting for the installer's", async (t) => {
  const directory = await mkdtemp(path.join(os.tmpdir(), "bunkhouse-debootstrap-"));
  t.after(() => rm(directory, { recursive: true }));
  await writeFile(path.join(directory, "debootstrap"), DEBOOTSTRAP, { mode: 0o755 });
  const env = { ...process.env, ...INSTALLER, PATH: `${directory}:${process.env.PATH}` };
  const { stdout } = await promisify(execFile)("sh", [SCRIPT, "--variant=minbase", "bookworm", "/target"], { env });
  assert.deepEqual(stdout.split("\n"), [
    "arguments --variant=minbase bookworm /target",
    "starts a debconf of its own: default default no",
    "",
  ]);
});
