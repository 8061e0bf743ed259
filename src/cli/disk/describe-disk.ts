/** The command line of `bunk disk`. */
import { type Command, Option } from "commander";
import { FORMAT_NAMES } from "../../disk/formats.ts";
import type { FormatName, Preallocation } from "../../disk/image-format.ts";
import type { NewPartition } from "../../disk/partition/create-table.ts";
import { PARTITION_TYPES } from "../../disk/partition/types.ts";
import { parseSize } from "../../vm/size.ts";
import { usageError } from "../failure.ts";
import {
  CHECK_HELP,
  CONVERT_HELP,
  CREATE_HELP,
  DISK_HELP,
  INFO_HELP,
  PARTITIONS_HELP,
  RESIZE_HELP,
  SNAPSHOT_HELP,
} from "./disk-help.ts";
import { type DiskInvocation, formatByName } from "./disk-invocation.ts";

const PREALLOCATIONS: readonly Preallocation[] = ["off", "metadata", "falloc", "full"];

const formatOption = (flags: string, text: string) => new Option(flags, text).choices(FORMAT_NAMES);

/** Adds `bunk disk` and its commands. */
export function describeDisk(program: Command, found: (invocation: DiskInvocation) => void): void {
  const disk = program
    .command("disk")
    .usage("COMMAND [OPTIONS]")
    .summary("make, look at, convert and mend disk images")
    .description("Makes, looks at, converts and mends disk images, which no machine may be using meanwhile.")
    .addHelpText("after", DISK_HELP);
  describeCreate(disk, found);
  disk
    .command("info")
    .argument("<FILE>")
    .summary("say what an image is")
    .description("Says what an image is: its format, sizes, what it is based on, its snapshots.")
    .addOption(formatOption("--format <FORMAT>", "the image's format; by its content unless given"))
    .option("--json", "as JSON, for programs")
    .addHelpText("after", INFO_HELP)
    .action((file: string, { format, json = false }: { format?: FormatName; json?: boolean }) =>
      found({ verb: "disk info", file, format, json }),
    );
  describeConvert(disk, found);
  disk
    .command("resize")
    .argument("<FILE>")
    .argument("<SIZE>", "the new size, such as 20G, or a change, such as +5G")
    .summary("change the size of an image's disk")
    .description("Changes the size of an image's disk. Partitions and file systems on it stay as they are.")
    .addOption(formatOption("--format <FORMAT>", "the image's format; by its content unless given"))
    .option("--shrink", "allow a smaller size, beyond which everything is lost")
    .addHelpText("after", RESIZE_HELP)
    .action((file: string, size: string, { format, shrink = false }: { format?: FormatName; shrink?: boolean }) =>
      found({ verb: "disk resize", options: { file, size: parseChange(size), format, shrink } }),
    );
  disk
    .command("check")
    .argument("<FILE>")
    .summary("look for damage, and mend it")
    .description("Looks for damage in an image's tables, and mends what can be mended.")
    .addOption(formatOption("--format <FORMAT>", "the image's format; by its content unless given"))
    .option("--repair", "mend what is found")
    .addHelpText("after", CHECK_HELP)
    .action((file: string, { format, repair = false }: { format?: FormatName; repair?: boolean }) =>
      found({ verb: "disk check", file, format, repair }),
    );
  describeSnapshot(disk, found);
  describePartitions(disk, found);
}

interface RawCreate {
  readonly format?: FormatName;
  readonly backing?: string;
  readonly backingFormat?: FormatName;
  readonly preallocation: Preallocation;
  readonly clusterSize?: number;
  readonly variant?: string;
}

function describeCreate(disk: Command, found: (invocation: DiskInvocation) => void): void {
  disk
    .command("create")
    .argument("<FILE>", "must not exist")
    .argument("[SIZE]", "such as 20G; that of the image below where there is one")
    .summary("make a new image")
    .description("Makes a new, empty disk image.")
    .addOption(formatOption("--format <FORMAT>", "by the file's name unless given"))
    .option("--backing <FILE>", "image to base this one on: what is not written yet is read from there (qcow2)")
    .addOption(formatOption("--backing-format <FORMAT>", "format of that image; by its content unless given"))
    .addOption(
      new Option("--preallocation <MODE>", "storage to take at once: none, the tables', or all")
        .choices(PREALLOCATIONS)
        .default("off"),
    )
    .option("--cluster-size <SIZE>", "unit of allocation of a qcow2 image, 512 to 2M (64K unless given)", parseBytes)
    .option("--variant <NAME>", "such as fixed (vdi, vhd, vhdx) or v2 (qcow2)")
    .addHelpText("after", CREATE_HELP)
    .action((file: string, size: string | undefined, raw: RawCreate) => {
      if (size === undefined && raw.backing === undefined) {
        throw usageError(`what size? Write: bunk disk create ${file} 20G`);
      }
      found({
        verb: "disk create",
        options: {
          file,
          size: size === undefined ? undefined : Math.ceil(parseBytes(size) / 512) * 512,
          format: raw.format ?? formatByName(file),
          backing: raw.backing,
          backingFormat: raw.backingFormat,
          preallocation: raw.preallocation,
          clusterSize: raw.clusterSize,
          variant: raw.variant,
        },
      });
    });
}

interface RawConvert {
  readonly fromFormat?: FormatName;
  readonly format?: FormatName;
  readonly snapshot?: string;
  readonly variant?: string;
  readonly clusterSize?: number;
}

function describeConvert(disk: Command, found: (invocation: DiskInvocation) => void): void {
  disk
    .command("convert")
    .argument("<FROM>")
    .argument("<TO>", "must not exist")
    .summary("copy an image, in another format")
    .description("Copies the content of an image, with all that it is based on, into a new one.")
    .addOption(formatOption("--from-format <FORMAT>", "format of FROM; by its content unless given"))
    .addOption(formatOption("--format <FORMAT>", "format of TO; by its name unless given"))
    .option("--snapshot <NAME>", "copy this snapshot of FROM, by name or ID, in place of its present state")
    .option("--cluster-size <SIZE>", "unit of allocation of a qcow2 image, 512 to 2M (64K unless given)", parseBytes)
    .option("--variant <NAME>", "such as fixed (vdi, vhd, vhdx) or v2 (qcow2)")
    .addHelpText("after", CONVERT_HELP)
    .action((from: string, to: string, { fromFormat, format, snapshot, variant, clusterSize }: RawConvert) =>
      found({
        verb: "disk convert",
        options: { from, to, fromFormat, format: format ?? formatByName(to), snapshot, variant, clusterSize },
      }),
    );
}

function describeSnapshot(disk: Command, found: (invocation: DiskInvocation) => void): void {
  const snapshot = disk
    .command("snapshot")
    .usage("COMMAND FILE [NAME]")
    .summary("keep, bring back and delete states of a qcow2 image")
    .description("Keeps states of a disk in its image, brings them back, and deletes them.")
    .addHelpText("after", SNAPSHOT_HELP);
  snapshot
    .command("list")
    .argument("<FILE>")
    .description("Lists the snapshots of an image.")
    .action((file: string) => found({ verb: "disk snapshot", what: "list", file }));
  const texts = {
    create: "Keeps the present state of a disk under a name.",
    apply: "Makes a disk what it was when a snapshot was made; what was written since then is lost.",
    delete: "Deletes a snapshot; the disk stays as it is.",
  } as const;
  for (const what of ["create", "apply", "delete"] as const) {
    snapshot
      .command(what)
      .argument("<FILE>")
      .argument("<NAME>")
      .description(texts[what])
      .action((file: string, name: string) => found({ verb: "disk snapshot", what, file, name }));
  }
}

interface RawPartitions {
  readonly format?: FormatName;
  readonly create?: "gpt" | "mbr";
  readonly add: readonly NewPartition[];
  readonly force?: boolean;
}

function describePartitions(disk: Command, found: (invocation: DiskInvocation) => void): void {
  const types = PARTITION_TYPES.map(({ name }) => name).join(", ");
  disk
    .command("partitions")
    .argument("<FILE>")
    .summary("show or make the partition table of a disk")
    .description("Shows the partition table of a disk and what is wrong with it, or makes a new one.")
    .addOption(formatOption("--format <FORMAT>", "the image's format; by its content unless given"))
    .addOption(new Option("--create <KIND>", "make a new table").choices(["gpt", "mbr"]))
    .addOption(
      new Option(
        "--add <SIZE[,TYPE[,NAME]]>",
        `a partition of the new table, in order; SIZE may be "rest", TYPE is one of ${types} (linux unless given)`,
      )
        .argParser((text: string, list: readonly NewPartition[]) => [...list, parsePartition(text)])
        .default([], "none"),
    )
    .option("--force", "replace a table that is there")
    .addHelpText("after", PARTITIONS_HELP)
    .action((file: string, { format, create, add, force = false }: RawPartitions) => {
      if (create === undefined && add.length > 0) throw usageError("--add goes with --create gpt or --create mbr");
      found({ verb: "disk partitions", options: { file, format, create, add, force } });
    });
}

function parsePartition(text: string): NewPartition {
  const [size = "", typeName = "linux", ...name] = text.split(",");
  const type = PARTITION_TYPES.find((one) => one.name === typeName);
  if (type === undefined) {
    const known = PARTITION_TYPES.map((one) => one.name).join(", ");
    throw usageError(`--add ${text}: "${typeName}" is no type of partition; known are ${known}`);
  }
  return { size: size === "rest" ? undefined : parseBytes(size), type, name: name.join(",") };
}

function parseBytes(text: string): number {
  const bytes = parseSize(text);
  if (bytes === undefined || bytes === 0)
    throw usageError(`${text} is not a size; write a number with K, M, G or T, such as 20G`);
  return bytes;
}

function parseChange(text: string): { sign: "" | "+" | "-"; bytes: number } {
  const sign = text.startsWith("+") ? "+" : text.startsWith("-") ? "-" : "";
  return { sign, bytes: Math.ceil(parseBytes(text.slice(sign.length)) / 512) * 512 };
}
