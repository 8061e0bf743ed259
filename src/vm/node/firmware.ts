/** Opens a machine's firmware: its image, the file of its variables, and the file for its log. */
import { once } from "node:events";
import { createWriteStream, type WriteStream } from "node:fs";
import path from "node:path";
import { byteOffset, MIB } from "../../bits/units.ts";
import { BlockError } from "../../disk/block-device.ts";
import { FileStore } from "../../disk/node/file-store.ts";
import { hostError, hostErrorCode } from "../../disk/node/host-error.ts";
import type { FirmwareDefinition } from "../definition.ts";
import { FlashFile } from "../flash-file.ts";
import { SerialBatch } from "./serial-batch.ts";

export interface FirmwareFiles {
  /** A file's name, or what it holds. */
  readonly image: string | Uint8Array;
  readonly variables?: string;
  readonly log?: string;
  /** Option ROMs that the firmware is to run. */
  readonly optionRoms?: readonly string[];
}

/** The VGA BIOS of SeaBIOS for the machine's graphics card, where it lies beside the firmware. */
const VGA_BIOS = "vgabios-stdvga.bin";

export interface OpenFirmware {
  readonly definition: FirmwareDefinition;
  /** Writes what is still to be written. Rejects with BlockError where that fails. */
  close(): Promise<void>;
}

/** Larger than any firmware: a file of more is something else, and is not read. */
const MOST = 16 * MIB;

/** Rejects with BlockError, whose message says which file and what to do. */
export async function openFirmware({ image, variables, log, optionRoms }: FirmwareFiles): Promise<OpenFirmware> {
  const bytes = typeof image === "string" ? await readImage(image) : image;
  const vgaBios = typeof image === "string" ? await readIfThere(path.join(path.dirname(image), VGA_BIOS)) : undefined;
  const roms = await Promise.all(
    (optionRoms ?? []).map(async (file) => ({ name: path.basename(file), image: await readImage(file) })),
  );
  const flash = variables === undefined ? undefined : await openVariables(variables);
  let stream: WriteStream | undefined;
  try {
    stream = log === undefined ? undefined : await openLog(log);
  } catch (error) {
    await flash?.close();
    throw error;
  }
  const batch = stream && new SerialBatch((text) => stream.write(text));
  return {
    definition: {
      image: bytes,
      optionRoms: roms,
      ...(vgaBios && { vgaBios }),
      ...(flash && { variables: flash }),
      ...(batch && { log: batch }),
    },
    close: async () => {
      batch?.flush();
      if (stream) {
        stream.end();
        await once(stream, "close");
      }
      await flash?.close();
    },
  };
}

async function readIfThere(file: string): Promise<Uint8Array | undefined> {
  try {
    return await readImage(file);
  } catch (error) {
    if (error instanceof BlockError && hostErrorCode(error.cause) === "ENOENT") return undefined;
    throw error;
  }
}

/** Reads a file of firmware, or of an option ROM. Rejects with BlockError. */
export async function readImage(file: string): Promise<Uint8Array> {
  const store = await FileStore.open(file, { readOnly: true });
  try {
    if (store.size > MOST) throw new BlockError("io", `${file} is no firmware: it has ${store.size} bytes`);
    const bytes = new Uint8Array(store.size);
    await store.read(byteOffset(0), bytes);
    return bytes;
  } finally {
    await store.close();
  }
}

async function openVariables(file: string): Promise<FlashFile> {
  try {
    return await FlashFile.open(await FileStore.open(file));
  } catch (error) {
    const code = error instanceof BlockError ? hostErrorCode(error.cause) : undefined;
    if (!(error instanceof BlockError) || !["ENOENT", "EACCES", "EPERM", "EROFS"].includes(code ?? "")) throw error;
    const hint = "each machine has its own copy, to be made of the one that came with the firmware";
    throw new BlockError(error.kind, `${error.message}; ${hint}`, { cause: error.cause });
  }
}

async function openLog(file: string): Promise<WriteStream> {
  const stream = createWriteStream(file);
  try {
    await once(stream, "open");
    // A full disk must not end the machine.
    stream.on("error", () => {});
    return stream;
  } catch (error) {
    throw hostError(`write the firmware's log to ${file}`, error);
  }
}
