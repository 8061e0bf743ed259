#!/usr/bin/env node
// The command `bunk`, for any Node from 20 up: runs Bunkhouse in this process where its Node is new enough,
// and else on the Node that was installed with it.
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { runOnRuntime, runtimePath } from "./runtime.mjs";

// A machine's garbage is short-lived: room for more of it would only be memory that the host misses.
const HEAP_OPTION = "--max-semi-space-size=4";
// V8 would watch each call through a table to make the called function a part of the caller: translated code has nothing
// but such calls, and is made to need no more.
// What is translated comes in hundreds of functions, few of which are worth V8's best code; those that are get it soon
// enough all the same.
const CODE_OPTIONS = ["--no-wasm-inlining", "--no-wasm-inlining-call-indirect", "--wasm-tiering-budget=60000000"];
const OPTIONS = ["--disable-warning=ExperimentalWarning", HEAP_OPTION, ...CODE_OPTIONS];

if (runtimePath() === process.execPath) {
  hideExperimentalWarnings();
  becomeProcessWith(OPTIONS);
  // The published package has compiled JavaScript; a clone runs its sources.
  const compiled = new URL("../dist/cli/main.js", import.meta.url);
  await import(
    existsSync(compiled) && !existsSync(new URL("../src", import.meta.url)) ? compiled.href : "../src/cli/main.ts"
  );
} else {
  await runOnRuntime([...OPTIONS, fileURLToPath(import.meta.url), ...process.argv.slice(2)]);
}

/**
 * Starts this program again in the same process, with options of Node that it cannot give itself. Where that cannot
 * be (Windows), it goes on without.
 */
function becomeProcessWith(options) {
  const { execve, execArgv, execPath } = process;
  // A channel to a parent would not outlast it.
  if (execve === undefined || process.connected || execArgv.includes(HEAP_OPTION)) return;
  try {
    execve.call(process, execPath, [execPath, ...execArgv, ...options, ...process.argv.slice(1)], process.env);
  } catch {
    // Without the options then.
  }
}

/** As --disable-warning=ExperimentalWarning does for a process that this file could give options to. */
function hideExperimentalWarnings() {
  const listeners = process.listeners("warning");
  process.removeAllListeners("warning");
  process.on("warning", (warning) => {
    if (warning.name !== "ExperimentalWarning") for (const print of listeners) print(warning);
  });
}
