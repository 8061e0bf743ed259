/** What `bunk disk` is told, checked. */
import type { FormatName, Preallocation } from "../../disk/image-format.ts";
import type { NewPartition } from "../../disk/partition/create-table.ts";

export type DiskInvocation =
  | { readonly verb: "disk partitions"; readonly options: PartitionsOptions }
  | { readonly verb: "disk create"; readonly options: CreateDiskOptions }
  | {
      readonly verb: "disk info";
      readonly file: string;
      readonly format: FormatName | undefined;
      readonly json: boolean;
    }
  | { readonly verb: "disk convert"; readonly options: ConvertOptions }
  | { readonly verb: "disk resize"; readonly options: ResizeOptions }
  | {
      readonly verb: "disk check";
      readonly file: string;
      readonly format: FormatName | undefined;
      readonly repair: boolean;
    }
  | { readonly verb: "disk snapshot"; readonly what: "list"; readonly file: string }
  | {
      readonly verb: "disk snapshot";
      readonly what: "create" | "apply" | "delete";
      readonly file: string;
      readonly name: string;
    };

export interface CreateDiskOptions {
  readonly file: string;
  /** Bytes; undefined for that of the backing file. */
  readonly size: number | undefined;
  readonly format: FormatName;
  readonly backing: string | undefined;
  readonly backingFormat: FormatName | undefined;
  readonly preallocation: Preallocation;
  readonly clusterSize: number | undefined;
  readonly variant: string | undefined;
}

export interface ConvertOptions {
  readonly from: string;
  readonly to: string;
  readonly fromFormat: FormatName | undefined;
  readonly format: FormatName;
  readonly snapshot: string | undefined;
  readonly variant: string | undefined;
  readonly clusterSize: number | undefined;
}

export interface PartitionsOptions {
  readonly file: string;
  readonly format: FormatName | undefined;
  /** A new table; undefined to show the one that is there. */
  readonly create: "gpt" | "mbr" | undefined;
  readonly add: readonly NewPartition[];
  /** Replaces a table that is there. */
  readonly force: boolean;
}

export interface ResizeOptions {
  readonly file: string;
  /** Bytes; with a sign, of change. */
  readonly size: { readonly sign: "" | "+" | "-"; readonly bytes: number };
  readonly format: FormatName | undefined;
  readonly shrink: boolean;
}

/** The format that a file's name asks for; qcow2 where it asks for none. */
export function formatByName(file: string): FormatName {
  const extension = /\.([^./\\]+)$/.exec(file)?.[1]?.toLowerCase();
  return BY_EXTENSION[extension ?? ""] ?? "qcow2";
}

const BY_EXTENSION: Readonly<Record<string, FormatName>> = {
  raw: "raw",
  img: "raw",
  iso: "raw",
  qcow2: "qcow2",
  qcow: "qcow2",
  vmdk: "vmdk",
  vdi: "vdi",
  vhd: "vhd",
  vpc: "vhd",
  vhdx: "vhdx",
};
