#!/usr/bin/env node
// The command `bunk`, for any Node from 20 up: runs Bunkhouse in this process where its Node is new enough,
// and else on the Node that was installed with it.
import { existsSync } from "node:fs";
import module from "node:module";
import process from "node:process";
import { fileURLToPath } from "node:url";
import v8 from "node:v8";
import { findOwnModules } from "./own-modules.mjs";
import { CODE_OPTIONS, codeDirectory, runOnRuntime, runtimePath } from "./runtime.mjs";

/** Milliseconds after which what Node has made of the sources is kept: later than what a machine does at its start. */
const KEEP_AFTER = 3000;
const OPTIONS = ["--disable-warning=ExperimentalWarning", ...CODE_OPTIONS];

if (runtimePath() === process.execPath) {
  hideExperimentalWarnings();
  // Before there is anything that they are for.
  for (const option of CODE_OPTIONS) v8.setFlagsFromString(option);
  keepCompiledSources();
  findOwnModules();
  // The published package has compiled JavaScript; a clone runs its sources.
  const compiled = new URL("../dist/cli/main.js", import.meta.url);
  await import(
    existsSync(compiled) && !existsSync(new URL("../src", import.meta.url)) ? compiled.href : "../src/cli/main.ts"
  );
} else {
  await runOnRuntime([...OPTIONS, fileURLToPath(import.meta.url), ...process.argv.slice(2)]);
}

/** Has Node keep what it makes of the sources, unless the user says otherwise: a third of the time to start with. */
function keepCompiledSources() {
  const { NODE_COMPILE_CACHE, NODE_DISABLE_COMPILE_CACHE } = process.env;
  if (NODE_COMPILE_CACHE || NODE_DISABLE_COMPILE_CACHE) return;
  const directory = codeDirectory();
  // Where nothing can be kept, it returns a status that says so.
  module.enableCompileCache(directory);
  // For worker threads, which find it here.
  process.env.NODE_COMPILE_CACHE = directory;
  // Node writes it at the end of the process, which a machine that is killed does not come to.
  setTimeout(() => module.flushCompileCache(), KEEP_AFTER).unref();
}

/** As --disable-warning=ExperimentalWarning does for a process that is given options. */
function hideExperimentalWarnings() {
  const listeners = process.listeners("warning");
  process.removeAllListeners("warning");
  process.on("warning", (warning) => {
    if (warning.name !== "ExperimentalWarning") for (const print of listeners) print(warning);
  });
}
