// Preloaded into the process that runtime.mjs starts: it ends with its parent, also where the parent had no time
// to pass a signal on (kill -9) and would leave a machine running that nobody sees.
import process from "node:process";

process.on("disconnect", () => process.kill(process.pid, "SIGTERM"));
// Waiting for the parent's end is no reason to stay.
process.channel?.unref();
