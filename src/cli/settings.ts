/** Values of options that have settings: VALUE[,KEY=TEXT...]. */
import { usageError } from "./failure.ts";

/** Parts of the text between single commas; a double comma is one comma of a part. */
export function splitAtCommas(text: string): string[] {
  const parts = [""];
  for (const [piece] of text.matchAll(/,,|,|[^,]+/g)) {
    if (piece === ",") parts.push("");
    else parts.push((parts.pop() as string) + (piece === ",," ? "," : piece));
  }
  return parts;
}

export interface SettingsDescription<Key extends string> {
  /** The option, such as "--disk". */
  readonly option: string;
  /** What the settings are of, such as "a disk". */
  readonly of: string;
  /** Each setting with an example of its value. */
  readonly examples: Readonly<Record<Key, string>>;
}

/** An option's value that was taken apart: what it begins with, and its settings as texts. */
export interface Settings<Key extends string> {
  readonly first: string;
  get(key: Key): string | undefined;
  /** Whether a setting is "on"; "off" unless given. */
  isOn(key: Key): boolean;
  /** A setting that is one of `choices`. */
  choice<Choice extends string>(key: Key, choices: readonly Choice[]): Choice | undefined;
}

/** Throws CliError with what to change. A comma in a value is written twice. */
export function parseSettings<Key extends string>(
  text: string,
  { option, of, examples }: SettingsDescription<Key>,
): Settings<Key> {
  const keys = Object.keys(examples) as Key[];
  const [first = "", ...settings] = splitAtCommas(text);
  const given = new Map<Key, string>();
  for (const setting of settings) {
    const [name = "", value] = setting.split(/=(.*)/s);
    const key = keys.find((known) => known === name);
    if (key === undefined) {
      const known = keys.map((each) => `${each}=`).join(", ");
      const advice = `known ${keys.length > 1 ? "are" : "is"} ${known} (a comma in a file's name is written ",,")`;
      throw usageError(`${option} ${text}: "${setting}" is no setting of ${of}; ${advice}`);
    }
    if (value === undefined)
      throw usageError(`${option} ${text}: ${key} needs a value, such as ${key}=${examples[key]}`);
    if (given.has(key)) throw usageError(`${option} ${text}: ${key} is given twice`);
    given.set(key, value);
  }
  return {
    first,
    get: (key) => given.get(key),
    isOn: (key) => {
      const value = given.get(key) ?? "off";
      if (value === "on" || value === "off") return value === "on";
      throw usageError(`${option}: ${key}=${value} must be ${key}=on or ${key}=off`);
    },
    choice: (key, choices) => {
      const value = given.get(key);
      const known = choices.find((choice) => choice === value);
      if (known !== undefined || value === undefined) return known;
      throw usageError(`${option}: ${key}=${value} must be one of ${choices.join(", ")}`);
    },
  };
}
