/**
 * What a source file below `src/` may reach: folders above its own in the map of ARCHITECTURE.md, and, below
 * `src/vm/`, neither the host nor its clocks.
 */
import path from "node:path";

export interface Offence {
  /** From 1. */
  readonly line: number;
  /** What is wrong, as the end of a sentence that begins with the place. */
  readonly problem: string;
}

/** Each folder with what it may import besides itself: folders, or single files. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  bits: [],
  wasm: [],
  isa: ["bits"],
  cpu: ["bits", "wasm", "isa"],
  machine: ["bits"],
  disk: ["bits"],
  // Protocols have time-outs, and files to serve.
  net: ["bits", "machine"],
  device: ["bits", "machine", "disk", "net"],
  // The BIOS reads media and talks to networks, assembles its stubs, and tells what the display says of itself.
  firmware: ["bits", "machine", "disk", "net", "isa/assemble.ts", "device/vga/edid.ts"],
};
const VM = [...Object.keys(MAY_IMPORT), "vm"];
const ABOVE_VM: Readonly<Record<string, readonly string[]>> = {
  vm: VM,
  hypervisor: VM,
  cli: [...VM, "hypervisor"],
  console: [...VM, "hypervisor"],
  // Runs in a browser.
  page: [],
};
/** Folders that the machine knows by their types alone. */
const TYPES_ONLY: Readonly<Record<string, readonly string[]>> = { machine: ["cpu"] };

/** What is the host's, or would make two runs differ. */
const BANNED: readonly (readonly [RegExp, string])[] = [
  [/(?<![\w$#.])Date\.now\b/g, "Date.now"],
  [/(?<![\w$#.])new Date\(\s*\)/g, "new Date()"],
  [/(?<![\w$#.])performance\.now\b/g, "performance.now"],
  [/(?<![\w$#.])setTimeout\b/g, "setTimeout"],
  [/(?<![\w$#.])setInterval\b/g, "setInterval"],
  [/(?<![\w$#.])Math\.random\b/g, "Math.random"],
  [/(?<![\w$#.])process\./g, "process"],
  [/(?<![\w$#.])console\./g, "console"],
];

/** All offences of one file; `file` is its path from `src/` on, with slashes. */
export function findOffences(file: string, text: string): Offence[] {
  const isTest = file.endsWith(".test.ts") || file.includes("/testing/");
  if (isTest) return [];
  const folder = file.slice(0, file.indexOf("/"));
  const isPortable = folder in MAY_IMPORT && !file.includes("/node/");
  return [...importOffences(file, folder, isPortable, text), ...(isPortable ? hostOffences(text) : [])].sort(
    (one, other) => one.line - other.line,
  );
}

function importOffences(file: string, folder: string, isPortable: boolean, text: string): Offence[] {
  const offences: Offence[] = [];
  const code = mask(text, COMMENT);
  for (const match of code.matchAll(/\b(?:(import|export)\b([^;"']*?)\bfrom|import)\s*\(?\s*"([^"]+)"/g)) {
    const [, , clause = "", target = ""] = match;
    const problem = importProblem(file, folder, isPortable, target, /^\s*type\b/.test(clause));
    if (problem !== undefined) offences.push({ line: lineAt(text, match.index + match[0].length), problem });
  }
  return offences;
}

function importProblem(
  file: string,
  folder: string,
  isPortable: boolean,
  target: string,
  isType: boolean,
): string | undefined {
  if (target.startsWith("node:")) return isPortable ? `imports ${target}: only folders named node/ may` : undefined;
  if (!target.startsWith(".")) {
    return isPortable ? `imports the package ${target}: src/${folder}/ has no dependencies` : undefined;
  }
  const to = path.posix.join(path.posix.dirname(file), target);
  if (to.startsWith("..")) return to === "../package.json" ? undefined : `imports ${target}, which is outside of src/`;
  if (to.includes("/testing/") || to.endsWith(".test.ts")) return `imports ${to}, which is for tests`;
  if (isPortable && to.includes("/node/")) return `imports ${to}, which is the host's`;
  const toFolder = to.slice(0, to.indexOf("/"));
  const allowed = MAY_IMPORT[folder] ?? ABOVE_VM[folder];
  if (allowed === undefined) return `is in src/${folder}/, which the map of folders does not have`;
  if (toFolder === folder || allowed.includes(toFolder) || allowed.includes(to)) return undefined;
  if (TYPES_ONLY[folder]?.includes(toFolder)) return isType ? undefined : `imports ${to}: only its types may be`;
  return `imports ${to}: src/${folder}/ may not import src/${toFolder}/`;
}

function hostOffences(text: string): Offence[] {
  const code = mask(text, COMMENT, STRING, REGULAR_EXPRESSION);
  return BANNED.flatMap(([pattern, name]) =>
    [...code.matchAll(pattern)].map(({ index }) => ({
      line: lineAt(text, index),
      problem: `uses ${name}: time, randomness and the host are passed in here`,
    })),
  );
}

const COMMENT = /^(?:\/\*|\/\/)/;
const STRING = /^["'`]/;
const REGULAR_EXPRESSION = /^\/(?![/*])/;
/** Comments, strings, and regular expressions (a slash where no division can be). */
const TOKEN =
  /\/\*[\s\S]*?\*\/|\/\/.*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\[\s\S]|[^`\\])*`|(?<=(?:^|[(,=:[!&|?{};>]|\breturn)\s*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*/gm;

/** The text with spaces for tokens of these kinds, so that places stay as they are. */
function mask(text: string, ...kinds: readonly RegExp[]): string {
  return text.replace(TOKEN, (token) =>
    kinds.some((kind) => kind.test(token)) ? token.replace(/[^\n]/g, " ") : token,
  );
}

const lineAt = (text: string, index: number) => text.slice(0, index).split("\n").length;
