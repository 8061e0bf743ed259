// Runs its arguments as a command line of the Node version that Bunkhouse needs.
import process from "node:process";
import { CODE_OPTIONS, runOnRuntime } from "./runtime.mjs";

await runOnRuntime(["--disable-warning=ExperimentalWarning", ...CODE_OPTIONS, ...process.argv.slice(2)]);
