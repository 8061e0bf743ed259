#!/usr/bin/env node
// The command `bunk`, for any Node from 20 up: runs Bunkhouse in this process where its Node is new enough,
// and else on the Node that was installed with it.
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { runOnRuntime, runtimePath } from "./runtime.mjs";

if (runtimePath() === process.execPath) {
  hideExperimentalWarnings();
  // The published package has compiled JavaScript; a clone runs its sources.
  const compiled = new URL("../dist/cli/main.js", import.meta.url);
  await import(
    existsSync(compiled) && !existsSync(new URL("../src", import.meta.url)) ? compiled.href : "../src/cli/main.ts"
  );
} else {
  await runOnRuntime([fileURLToPath(import.meta.url), ...process.argv.slice(2)]);
}

/** As --disable-warning=ExperimentalWarning does for a process that this file could give options to. */
function hideExperimentalWarnings() {
  const listeners = process.listeners("warning");
  process.removeAllListeners("warning");
  process.on("warning", (warning) => {
    if (warning.name !== "ExperimentalWarning") for (const print of listeners) print(warning);
  });
}
