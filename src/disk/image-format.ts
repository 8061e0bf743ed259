/**
 * The contract of a disk image format, and what formats need of their surroundings. formats.ts lists those that
 * are there; docs/add-a-disk-format.md shows how one is added.
 */
import type { BlockDevice } from "./block-device.ts";
import type { ByteStore } from "./byte-store.ts";
import type { Decompressor } from "./decompress.ts";

/** Also what identification calls their content. */
export type FormatName = "raw" | "qcow2" | "vmdk" | "vdi" | "vhd" | "vhdx";

/** What a format gets from the host besides the image's bytes. */
export interface ImageHost {
  readonly decompressor: Decompressor;
  /** Opens the image that this one is based on, for reading; `name` is as the image has it. */
  openBacking(name: string, format: string | undefined): Promise<BlockDevice>;
  /** Opens another file that is a part of this image; `name` is as the image has it. */
  openPart(name: string): Promise<ByteStore>;
  /** Fills with bytes that are never the same again, for identifiers. */
  randomBytes(length: number): Uint8Array;
  /** Seconds since 1970. */
  now(): number;
}

export interface OpenOptions {
  readonly readOnly: boolean;
  /** An internal snapshot, by ID or name, in place of the present state; the disk is read-only then. */
  readonly snapshot?: string;
}

export type Preallocation = "off" | "metadata" | "falloc" | "full";

export interface CreateOptions {
  /** Bytes of the disk. */
  readonly size: number;
  readonly backing?: { readonly name: string; readonly format: FormatName };
  readonly preallocation?: Preallocation;
  /** Bytes; the format's own unless given. */
  readonly clusterSize?: number;
  /** Of formats that have several, such as "fixed"; the format's own unless given. */
  readonly variant?: string;
  readonly report?: Report;
}

/** Told how far a long operation is: from 0 to 1. */
export type Report = (fraction: number) => void;

export interface SnapshotInfo {
  readonly id: string;
  readonly name: string;
  /** Seconds since 1970. */
  readonly time: number;
  /** Bytes of the disk at that time. */
  readonly size: number;
  readonly vmStateSize: number;
}

/** What there is to say of an image. */
export interface ImageInfo {
  readonly format: FormatName;
  /** Such as "fixed", where the format has several. */
  readonly variant?: string;
  /** Bytes of the disk. */
  readonly size: number;
  readonly clusterSize?: number;
  readonly backing?: { readonly name: string; readonly format: string | undefined };
  readonly snapshots?: readonly SnapshotInfo[];
  /** What else is particular, as "name: value". */
  readonly details?: readonly string[];
}

/** An open image. */
export interface ImageDisk extends BlockDevice {
  readonly info: ImageInfo;
}

/** What a check found, as counts. */
export interface CheckResult {
  /** What damages the disk's content or will. */
  readonly corruptions: number;
  /** Clusters that nothing uses and that are not free: lost room, and nothing worse. */
  readonly leaks: number;
  /** What costs time and nothing else, such as flags that a crash left behind. */
  readonly flaws: number;
  /** The first few, as sentences. */
  readonly messages: readonly string[];
  /** Of the image's clusters. */
  readonly allocated: number;
}

export interface ImageFormat {
  readonly name: FormatName;
  /** The disk closes `store`, also where opening fails. */
  open(store: ByteStore, host: ImageHost, options: OpenOptions): Promise<ImageDisk>;
  /** Makes `store`, which is empty, an image. */
  create?(store: ByteStore, host: ImageHost, options: CreateOptions): Promise<void>;
  readonly variants?: readonly string[];
  /** Looks for damage, and mends what can be where `repair` says so; the result is of before. */
  check?(store: ByteStore, host: ImageHost, options: { repair: boolean; report?: Report }): Promise<CheckResult>;
  resize?(store: ByteStore, host: ImageHost, size: number, options: { shrink: boolean }): Promise<void>;
  readonly snapshots?: {
    list(store: ByteStore): Promise<readonly SnapshotInfo[]>;
    create(store: ByteStore, host: ImageHost, name: string): Promise<void>;
    apply(store: ByteStore, name: string): Promise<void>;
    delete(store: ByteStore, name: string): Promise<void>;
  };
}
