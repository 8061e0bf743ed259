/** `bunk disk`: what its commands do. Each resolves to the text to print and the exit status. */
import { rm } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { copyDisk } from "../../disk/copy.ts";
import { formatNamed, formatOf } from "../../disk/formats.ts";
import type { FormatName, ImageFormat, ImageInfo, SnapshotInfo } from "../../disk/image-format.ts";
import { createImageFile } from "../../disk/node/create-image.ts";
import { FileStore } from "../../disk/node/file-store.ts";
import { beside, nodeImageHost } from "../../disk/node/image-host.ts";
import { identifyFile, openImage } from "../../disk/node/open-image.ts";
import { ExitStatus } from "../exit-status.ts";
import { CliError, fileError, usageError } from "../failure.ts";
import { formatTable } from "../table.ts";
import type { ConvertOptions, CreateDiskOptions, DiskInvocation, ResizeOptions } from "./disk-invocation.ts";
import { partitionsCommand } from "./partitions-command.ts";
import { type ProgressBar, progressBar } from "./progress-bar.ts";
import { formatBytes } from "./sizes.ts";

export interface Outcome {
  readonly text: string;
  readonly status: number;
}

const done = (text = ""): Outcome => ({ text, status: 0 });

/** Rejects with CliError or BlockError. */
export async function diskCommand(invocation: DiskInvocation): Promise<Outcome> {
  switch (invocation.verb) {
    case "disk create":
      return create(invocation.options);
    case "disk info":
      return info(invocation.file, invocation.format, invocation.json);
    case "disk convert":
      return convert(invocation.options);
    case "disk resize":
      return resize(invocation.options);
    case "disk check":
      return check(invocation.file, invocation.format, invocation.repair);
    case "disk partitions":
      return done(await partitionsCommand(invocation.options));
    case "disk snapshot":
      return invocation.what === "list" ? listSnapshots(invocation.file) : changeSnapshots(invocation);
  }
}

async function withBar<T>(what: string, operation: (bar: ProgressBar) => Promise<T>): Promise<T> {
  const bar = progressBar(what, process.stderr, process.stdout);
  try {
    return await operation(bar);
  } finally {
    bar.finish();
  }
}

async function formatOfFile(file: string, given: FormatName | undefined): Promise<ImageFormat> {
  return (given && (await formatNamed(given))) || formatOf(await identifyFile(file));
}

/** Runs an operation on an image's file, which it has alone. */
async function withFile<T>(file: string, operation: (store: FileStore) => Promise<T>, readOnly = false): Promise<T> {
  const store = await FileStore.open(file, { readOnly });
  try {
    return await operation(store);
  } finally {
    await store.close();
  }
}

async function create(options: CreateDiskOptions): Promise<Outcome> {
  const { file, format, backing, preallocation, clusterSize, variant } = options;
  let { size } = options;
  let below: { name: string; format: FormatName } | undefined;
  if (backing !== undefined) {
    const found = await formatOfFile(backing, options.backingFormat);
    const disk = await openImage(backing, { readOnly: true, format: found.name });
    size ??= disk.size;
    await disk.close();
    // As it is written, from the image's own folder: both can then be moved together.
    const name = path.isAbsolute(backing)
      ? backing
      : path.relative(path.dirname(path.resolve(file)), path.resolve(backing));
    if (beside(file, name) === path.resolve(file)) throw usageError(`${file} cannot be based on itself`);
    below = { name, format: found.name };
  }
  const bytes = size ?? 0;
  await withBar(`making ${path.basename(file)}`, ({ report }) =>
    createImageFile(file, format, {
      size: bytes,
      preallocation,
      report,
      ...(below === undefined ? {} : { backing: below }),
      ...(clusterSize === undefined ? {} : { clusterSize }),
      ...(variant === undefined ? {} : { variant }),
    }),
  );
  return done(`${file}: ${format}, ${formatBytes(bytes)}\n`);
}

async function info(file: string, format: FormatName | undefined, json: boolean): Promise<Outcome> {
  const disk = await openImage(file, { readOnly: true, ...(format === undefined ? {} : { format }) });
  const { info } = disk;
  await disk.close();
  const stored = await withFile(file, (store) => store.allocated(), true);
  if (json) return done(`${JSON.stringify({ file, ...info, hostBytes: stored }, undefined, 2)}\n`);
  return done(formatTable(infoRows(file, info, stored)) + snapshotLines(info.snapshots ?? []));
}

function infoRows(file: string, info: ImageInfo, stored: number): string[][] {
  const { format, variant, size, clusterSize, backing, details = [] } = info;
  const rows = [
    ["file", file],
    ["format", variant === undefined ? format : `${format} (${variant})`],
    ["disk", `${formatBytes(size)} (${size} bytes)`],
    ["on the host", formatBytes(stored)],
  ];
  if (clusterSize !== undefined) rows.push(["in units of", formatBytes(clusterSize)]);
  if (backing !== undefined)
    rows.push(["based on", `${printable(backing.name)} (${printable(backing.format ?? "format not stated")})`]);
  for (const detail of details) rows.push(detail.split(/: (.*)/).slice(0, 2));
  return rows;
}

/** Names in an image may hold anything, and go to a terminal. */
const printable = (text: string) => [...text].map((one) => (one < " " || one === "\x7f" ? "?" : one)).join("");

function snapshotLines(snapshots: readonly SnapshotInfo[]): string {
  if (snapshots.length === 0) return "";
  return `\n${snapshotTable(snapshots)}`;
}

function snapshotTable(snapshots: readonly SnapshotInfo[]): string {
  const rows = snapshots.map(({ id, name, time, size }) => [
    printable(id),
    printable(name),
    new Date(time * 1000).toISOString().replace("T", " ").slice(0, 19),
    formatBytes(size),
  ]);
  return formatTable([["ID", "SNAPSHOT", "MADE (UTC)", "DISK"], ...rows]);
}

async function convert(options: ConvertOptions): Promise<Outcome> {
  const { from, to, fromFormat, format, snapshot, variant, clusterSize } = options;
  const source = await openImage(from, {
    readOnly: true,
    ...(fromFormat === undefined ? {} : { format: fromFormat }),
    ...(snapshot === undefined ? {} : { snapshot }),
  });
  try {
    await createImageFile(to, format, {
      size: source.size,
      ...(variant === undefined ? {} : { variant }),
      ...(clusterSize === undefined ? {} : { clusterSize }),
    });
    try {
      const target = await openImage(to, { readOnly: false, format });
      try {
        await withBar(`converting ${path.basename(from)}`, ({ report }) => copyDisk(source, target, report));
      } finally {
        await target.close();
      }
    } catch (error) {
      // Half of a disk is worse than none.
      await rm(to, { force: true });
      throw error;
    }
  } finally {
    await source.close();
  }
  return done(`${to}: ${format}, ${formatBytes(source.size)}\n`);
}

async function resize({ file, size, format: given, shrink }: ResizeOptions): Promise<Outcome> {
  const format = await formatOfFile(file, given);
  const { resize } = format;
  if (resize === undefined) {
    throw fileError(`${file}: ${format.name} images cannot be resized; convert it to qcow2 first: bunk disk convert`);
  }
  const disk = await openImage(file, { readOnly: true, format: format.name });
  const before = disk.size;
  await disk.close();
  const wanted = { "": size.bytes, "+": before + size.bytes, "-": before - size.bytes }[size.sign];
  if (wanted <= 0) throw usageError(`${file} has only ${formatBytes(before)}`);
  await withFile(file, (store) => resize(store, nodeImageHost(file), wanted, { shrink }));
  return done(`${file}: ${formatBytes(before)} became ${formatBytes(wanted)}\n`);
}

async function check(file: string, given: FormatName | undefined, repair: boolean): Promise<Outcome> {
  const format = await formatOfFile(file, given);
  const { check } = format;
  if (check === undefined) return done(`${file}: a ${format.name} image has no tables that could be damaged\n`);
  const result = await withFile(
    file,
    (store) =>
      withBar(`checking ${path.basename(file)}`, ({ report }) => check(store, nodeImageHost(file), { repair, report })),
    !repair,
  );
  const { corruptions, leaks, flaws, messages, allocated } = result;
  const lines = messages.map((message) => `  ${message}`);
  const total = corruptions + leaks + flaws;
  if (total > messages.length) lines.push(`  and ${total - messages.length} more`);
  const counts = [
    `${corruptions} errors that damage content`,
    `${leaks} clusters that are used by nothing`,
    `${flaws} flags that cost time`,
  ];
  const summary =
    total === 0 ? `sound, ${allocated} units in use` : counts.filter((text) => !text.startsWith("0 ")).join(", ");
  const advice = total === 0 ? "" : repair ? "; mended" : "; mend it with --repair";
  const text = `${file}: ${summary}${advice}\n${lines.map((line) => `${line}\n`).join("")}`;
  return { text, status: corruptions > 0 && !repair ? ExitStatus.badFile : 0 };
}

async function snapshotsOf(file: string) {
  const format = await formatOfFile(file, undefined);
  if (format.snapshots !== undefined) return format.snapshots;
  throw new CliError(
    ExitStatus.badFile,
    `${file}: ${format.name} images have no snapshots in them; convert it to qcow2: bunk disk convert ${file} ${file}.qcow2`,
  );
}

async function listSnapshots(file: string): Promise<Outcome> {
  const { list } = await snapshotsOf(file);
  const snapshots = await withFile(file, list, true);
  return done(snapshots.length === 0 ? `${file} has no snapshots\n` : snapshotTable(snapshots));
}

async function changeSnapshots({
  what,
  file,
  name,
}: {
  what: "create" | "apply" | "delete";
  file: string;
  name: string;
}): Promise<Outcome> {
  const { create, apply, delete: remove } = await snapshotsOf(file);
  await withFile(file, async (store) => {
    if (what === "create") await create(store, nodeImageHost(file), name);
    else if (what === "apply") await apply(store, name);
    else await remove(store, name);
  });
  const said = { create: "kept as", apply: "is again what it was at", delete: "no longer has" }[what];
  return done(`${file}: ${said} "${name}"\n`);
}
