/** Checks that imports go one way and that the portable part knows no host. Prints offenders, exits with 1. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { findOffences } from "./import-rules.ts";

const SOURCES = fileURLToPath(new URL("../src/", import.meta.url));

const files = readdirSync(SOURCES, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.split(path.sep).join("/"))
  .sort();
const lines = files.flatMap((file) =>
  findOffences(file, readFileSync(path.join(SOURCES, file), "utf8")).map(
    ({ line, problem }) => `src/${file}:${line}: ${problem}`,
  ),
);
for (const line of lines) console.error(line);
if (lines.length > 0) process.exitCode = 1;
