/** The value of --nic: NETWORK[,model=MODEL][,mac=ADDRESS][,tftp=DIRECTORY][,bootfile=PATH][,rom=FILE]. */
import { isGroupMac, type MacAddress, parseMacAddress } from "../net/wire/addresses.ts";
import { NETWORK_KINDS, NIC_MODELS } from "../vm/definition.ts";
import type { NicOptions } from "../vm/node/nics.ts";
import { usageError } from "./failure.ts";
import { parseSettings, type SettingsDescription } from "./settings.ts";

const SETTINGS = {
  option: "--nic",
  of: "a network card",
  examples: {
    model: "e1000",
    mac: "52:54:00:12:34:56",
    tftp: "/srv/tftp",
    bootfile: "pxelinux.0",
    rom: "pxe-e1000.rom",
  },
} as const satisfies SettingsDescription<string>;

/** Throws CliError with what to change. A comma in a file's name is written twice. */
export function parseNic(text: string): NicOptions {
  const settings = parseSettings(text, SETTINGS);
  const network = NETWORK_KINDS.find((known) => known === settings.first);
  if (network === undefined) {
    throw usageError(`--nic ${text}: "${settings.first}" is no network; known are ${NETWORK_KINDS.join(", ")}`);
  }
  const address = parseAddress(settings.get("mac"));
  const model = settings.choice("model", NIC_MODELS);
  const [files, bootFile, rom] = [settings.get("tftp"), settings.get("bootfile"), settings.get("rom")];
  if (files === "") throw usageError("--nic: tftp= needs the name of a directory");
  if (bootFile !== undefined && files === undefined) {
    throw usageError(`--nic ${text}: bootfile=${bootFile} needs tftp=DIRECTORY, where it lies`);
  }
  return {
    network,
    ...(model === undefined ? {} : { model }),
    ...(address === undefined ? {} : { address }),
    ...(files === undefined ? {} : { files }),
    ...(bootFile === undefined ? {} : { bootFile }),
    ...(rom === undefined ? {} : { rom }),
  };
}

function parseAddress(value: string | undefined): MacAddress | undefined {
  if (value === undefined) return undefined;
  const address = parseMacAddress(value);
  if (address !== undefined && !isGroupMac(address)) return address;
  const advice = "must be six pairs of hexadecimal digits, of which the first is even, such as mac=52:54:00:12:34:56";
  throw usageError(`--nic: mac=${value} ${advice}`);
}
