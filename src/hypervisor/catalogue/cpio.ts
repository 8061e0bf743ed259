/**
 * cpio archives in the "newc" format, as the Linux kernel unpacks them into its initial file system.
 *
 * What is written is the same for the same entries: owner root, modification time 0, inode numbers in order.
 * Not written: hard links (every file has one name).
 *
 * @spec Linux Documentation/driver-api/early-userspace/buffer-format.rst; cpio(5) "New ASCII Format"
 */
export type CpioEntry =
  | { readonly kind: "directory"; readonly path: string; readonly permissions?: number }
  | { readonly kind: "file"; readonly path: string; readonly permissions?: number; readonly content: Uint8Array }
  | { readonly kind: "symlink"; readonly path: string; readonly target: string }
  | {
      readonly kind: "character-device" | "block-device";
      readonly path: string;
      readonly permissions?: number;
      readonly major: number;
      readonly minor: number;
    };

/** What stands in an archive that is no well-formed newc archive. */
export class CpioError extends Error {
  override readonly name = "CpioError";
}

const MAGIC = "070701";
/** The header's numbers, in order, each of eight hexadecimal digits. */
const FIELDS = [
  ...(["ino", "mode", "uid", "gid", "nlink", "mtime", "filesize"] as const),
  ...(["devmajor", "devminor", "rdevmajor", "rdevminor", "namesize", "check"] as const),
];
type Header = Record<(typeof FIELDS)[number], number>;

const HEADER_SIZE = MAGIC.length + 8 * FIELDS.length;
const TRAILER = "TRAILER!!!";
const ALIGNMENT = 4;

const TYPE_OF_KIND = {
  "character-device": 0o020000,
  directory: 0o040000,
  "block-device": 0o060000,
  file: 0o100000,
  symlink: 0o120000,
} as const;
const TYPE_MASK = 0o170000;
const PERMISSIONS_MASK = 0o7777;
const DEFAULT_PERMISSIONS = {
  "character-device": 0o600,
  directory: 0o755,
  "block-device": 0o600,
  file: 0o644,
  symlink: 0o777,
} as const;

/** Writes an archive. Parent directories that are not among the entries are added before their first use. */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (const [index, entry] of withParents(entries).entries()) {
    const content = contentOf(entry);
    const type = TYPE_OF_KIND[entry.kind];
    const permissions = ("permissions" in entry ? entry.permissions : undefined) ?? DEFAULT_PERMISSIONS[entry.kind];
    pieces.push(
      header(normalPath(entry.path), {
        ino: index + 1,
        mode: type | (permissions & PERMISSIONS_MASK),
        nlink: entry.kind === "directory" ? 2 : 1,
        filesize: content.length,
        rdevmajor: "major" in entry ? entry.major : 0,
        rdevminor: "minor" in entry ? entry.minor : 0,
      }),
      content,
      padding(content.length),
    );
  }
  pieces.push(header(TRAILER, { nlink: 1 }));
  return concatenate(pieces);
}

/** One initrd out of several, compressed ones included: the kernel unpacks them in order, later ones on top. */
export function joinArchives(archives: readonly Uint8Array[]): Uint8Array {
  return concatenate(archives.flatMap((archive) => [archive, padding(archive.length)]));
}

/** Reads one archive up to its trailer. Throws CpioError where it is malformed. */
export function readCpio(archive: Uint8Array): CpioEntry[] {
  const entries: CpioEntry[] = [];
  for (let at = 0; ; ) {
    const fields = readHeader(archive, at);
    const nameAt = at + HEADER_SIZE;
    const contentAt = aligned(nameAt + fields.namesize);
    const name = text(slice(archive, nameAt, fields.namesize - 1));
    if (name === TRAILER) return entries;
    entries.push(entryOf(name, fields, slice(archive, contentAt, fields.filesize)));
    at = aligned(contentAt + fields.filesize);
  }
}

function withParents(entries: readonly CpioEntry[]): CpioEntry[] {
  const present = new Set<string>();
  const all: CpioEntry[] = [];
  for (const entry of entries) {
    const path = normalPath(entry.path);
    if (path === "" || path === TRAILER) throw new CpioError(`an archive cannot hold the path "${entry.path}"`);
    const names = path.split("/");
    for (let depth = 1; depth < names.length; depth++) {
      const parent = names.slice(0, depth).join("/");
      if (!present.has(parent)) all.push({ kind: "directory", path: parent });
      present.add(parent);
    }
    if (present.has(path) && entry.kind === "directory") continue;
    if (present.has(path)) throw new CpioError(`the path "${path}" is given twice`);
    present.add(path);
    all.push(entry);
  }
  return all;
}

/** Paths in an initrd are relative to its root. */
function normalPath(path: string): string {
  return path
    .split("/")
    .filter((name) => name !== "" && name !== ".")
    .join("/");
}

function contentOf(entry: CpioEntry): Uint8Array {
  if (entry.kind === "file") return entry.content;
  return entry.kind === "symlink" ? new TextEncoder().encode(entry.target) : new Uint8Array(0);
}

function header(name: string, fields: Partial<Header>): Uint8Array {
  const nameBytes = new TextEncoder().encode(`${name}\0`);
  const all: Partial<Header> = { ...fields, namesize: nameBytes.length };
  const digits = FIELDS.map((field) => (all[field] ?? 0).toString(16).padStart(8, "0")).join("");
  const start = new TextEncoder().encode(MAGIC + digits);
  return concatenate([start, nameBytes, padding(start.length + nameBytes.length)]);
}

function readHeader(archive: Uint8Array, at: number): Header {
  const start = text(slice(archive, at, HEADER_SIZE));
  if (!start.startsWith(MAGIC)) throw new CpioError(`no newc header at byte ${at}`);
  const value = (index: number) => {
    const digits = start.slice(MAGIC.length + 8 * index, MAGIC.length + 8 * (index + 1));
    if (!/^[0-9a-fA-F]{8}$/.test(digits)) throw new CpioError(`bad number "${digits}" in the header at byte ${at}`);
    return Number.parseInt(digits, 16);
  };
  return Object.fromEntries(FIELDS.map((field, index) => [field, value(index)])) as Header;
}

function entryOf(path: string, fields: Header, content: Uint8Array): CpioEntry {
  const permissions = fields.mode & PERMISSIONS_MASK;
  switch (fields.mode & TYPE_MASK) {
    case TYPE_OF_KIND.directory:
      return { kind: "directory", path, permissions };
    case TYPE_OF_KIND.file:
      return { kind: "file", path, permissions, content };
    case TYPE_OF_KIND.symlink:
      return { kind: "symlink", path, target: text(content) };
    case TYPE_OF_KIND["character-device"]:
      return { kind: "character-device", path, permissions, major: fields.rdevmajor, minor: fields.rdevminor };
    case TYPE_OF_KIND["block-device"]:
      return { kind: "block-device", path, permissions, major: fields.rdevmajor, minor: fields.rdevminor };
    default:
      throw new CpioError(`"${path}" has the unknown mode 0${fields.mode.toString(8)}`);
  }
}

function slice(archive: Uint8Array, at: number, size: number): Uint8Array {
  if (size < 0 || at + size > archive.length) throw new CpioError(`the archive ends within an entry, at byte ${at}`);
  return archive.subarray(at, at + size);
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function aligned(size: number): number {
  return Math.ceil(size / ALIGNMENT) * ALIGNMENT;
}

function padding(size: number): Uint8Array {
  return new Uint8Array(aligned(size) - size);
}

function concatenate(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
