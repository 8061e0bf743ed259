/** Opens what a machine's network cards need of the host. */
import { stat } from "node:fs/promises";
import { BlockError } from "../../disk/block-device.ts";
import { hostError } from "../../disk/node/host-error.ts";
import { FolderTree } from "../../net/node/folder-tree.ts";
import { NodeOutside } from "../../net/node/node-outside.ts";
import type { MacAddress } from "../../net/wire/addresses.ts";
import type { NetworkDefinition, NicDefinition, NicModel } from "../definition.ts";
import { readImage } from "./firmware.ts";

export interface NicOptions {
  readonly network: NetworkDefinition["kind"];
  /** "virtio" unless given. */
  readonly model?: NicModel;
  /** One that no other card of the machine has unless given. */
  readonly address?: MacAddress;
  /** A folder of the host whose files the network's server offers. */
  readonly files?: string;
  /** The path in it that is told to whoever boots from the network. */
  readonly bootFile?: string;
  /** The file of the card's expansion ROM. */
  readonly rom?: string;
}

/** The first card's address unless another is given: of those that are given out locally, as QEMU's is. */
const FIRST_ADDRESS = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56] as const;

/** Rejects with BlockError, whose message says which file and what to do. */
export async function openNics(options: readonly NicOptions[]): Promise<NicDefinition[]> {
  return Promise.all(
    options.map(async ({ network: kind, model = "virtio", address, files, bootFile, rom }, number) => ({
      model,
      address: address ?? numbered(number),
      network: {
        ...(kind === "user" ? { kind, outside: new NodeOutside() } : { kind }),
        ...(files === undefined ? {} : { files: await openFolder(files) }),
        ...(bootFile === undefined ? {} : { bootFile }),
      },
      ...(rom === undefined ? {} : { rom: await readImage(rom) }),
    })),
  );
}

async function openFolder(folder: string): Promise<FolderTree> {
  const found = await stat(folder).catch((error: unknown) => {
    throw hostError(`offer the files of ${folder}`, error);
  });
  if (!found.isDirectory()) throw new BlockError("io", `cannot offer the files of ${folder}: it is no directory`);
  return new FolderTree(folder);
}

function numbered(number: number): MacAddress {
  const address = Uint8Array.from(FIRST_ADDRESS);
  address[5] = FIRST_ADDRESS[5] + number;
  return address;
}
