// Runs its arguments as a command line of the Node version that Bunkhouse needs.
import process from "node:process";
import { runOnRuntime } from "./runtime.mjs";

await runOnRuntime(["--disable-warning=ExperimentalWarning", ...process.argv.slice(2)]);
