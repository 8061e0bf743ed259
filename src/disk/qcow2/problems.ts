/** What can be wrong with a qcow2 image, by operation, and what to tell the user. */
import { ImageError } from "../image-error.ts";

/** What is damaged, as the user is told. */
export type Part =
  | "header"
  | "header extensions"
  | "L1 table"
  | "L2 table"
  | "L2 entry"
  | "refcount table"
  | "refcount block"
  | "snapshot table"
  | "compressed cluster";

/** A structure that contradicts the specification or the file; found on opening or later. */
export type CorruptProblem = { readonly kind: "corrupt"; readonly part: Part; readonly what: string };

export type OpenProblem =
  | { readonly kind: "not-qcow2" }
  | { readonly kind: "bad-version"; readonly version: number }
  | { readonly kind: "encrypted"; readonly method: "AES" | "LUKS" | "unknown" }
  | { readonly kind: "unsupported-features"; readonly names: readonly string[] }
  | { readonly kind: "unsupported-compression"; readonly type: number }
  | { readonly kind: "bad-cluster-size"; readonly bits: number }
  | { readonly kind: "too-large"; readonly part: Part; readonly what: string }
  | { readonly kind: "no-snapshot"; readonly name: string; readonly known: readonly string[] }
  | { readonly kind: "marked-corrupt" }
  | CorruptProblem;

const REPAIR = "try: bunk disk check --repair";

export function describeOpenProblem(problem: OpenProblem): string {
  switch (problem.kind) {
    case "not-qcow2":
      return "is no qcow2 image; if it is a raw one, give format=raw";
    case "bad-version":
      return `is of qcow version ${problem.version}, and only 2 and 3 can be read; convert it with: qemu-img convert -O qcow2`;
    case "encrypted":
      return `is encrypted (${problem.method}); decrypt it first with: qemu-img convert`;
    case "unsupported-features":
      return `needs features that are not supported: ${problem.names.join(", ")}; convert it with: qemu-img convert -O qcow2`;
    case "unsupported-compression":
      return `is compressed in a way (type ${problem.type}) that is not supported; convert it with: qemu-img convert -O qcow2`;
    case "bad-cluster-size":
      return `has clusters of 2^${problem.bits} bytes; only 2^9 to 2^21 are supported`;
    case "too-large":
      return `has a ${problem.part} that is too large (${problem.what})`;
    case "no-snapshot":
      return `has no snapshot "${problem.name}"; ${problem.known.length === 0 ? "it has none at all" : `there are: ${problem.known.join(", ")}`}`;
    case "marked-corrupt":
      return `is marked as corrupt and can only be read; ${REPAIR}`;
    case "corrupt":
      return describeCorrupt(problem);
  }
}

export const openFailure = (name: string, problem: OpenProblem): ImageError<OpenProblem> =>
  new ImageError(name, problem, describeOpenProblem(problem));

const describeCorrupt = ({ part, what }: CorruptProblem): string => `is damaged: ${part}: ${what}; ${REPAIR}`;

/** For damage that a read or write meets. */
export const corruptFailure = (name: string, part: Part, what: string): ImageError<CorruptProblem> => {
  const problem: CorruptProblem = { kind: "corrupt", part, what };
  return new ImageError(name, problem, describeCorrupt(problem));
};

export type RepairProblem = { readonly kind: "beyond-repair"; readonly what: string };

export function beyondRepair(name: string, what: string): ImageError<RepairProblem> {
  const text = `cannot be mended: tables lie over one another (${what}); save what can be read with: bunk disk convert`;
  return new ImageError(name, { kind: "beyond-repair", what }, text);
}

export type CreateProblem =
  | { readonly kind: "bad-size"; readonly size: number }
  | { readonly kind: "too-large"; readonly size: number; readonly clusterSize: number }
  | { readonly kind: "bad-cluster-size"; readonly clusterSize: number }
  | { readonly kind: "backing-name-too-long" }
  | { readonly kind: "preallocated-backing" };

export function createFailure(name: string, problem: CreateProblem): ImageError<CreateProblem> {
  const text = () => {
    switch (problem.kind) {
      case "bad-size":
        return `cannot have a size of ${problem.size} bytes; it must be a multiple of 512`;
      case "too-large":
        return `cannot have ${problem.size} bytes with clusters of ${problem.clusterSize}; use larger clusters or a smaller size`;
      case "bad-cluster-size":
        return `cannot have clusters of ${problem.clusterSize} bytes; use a power of two from 512 to 2M`;
      case "backing-name-too-long":
        return "the name of the backing file is too long for the image's header; use a shorter path";
      case "preallocated-backing":
        return "an image with a backing file cannot be preallocated; leave one of the two out";
    }
  };
  return new ImageError(name, problem, text());
}

export type SnapshotProblem =
  | { readonly kind: "no-snapshot"; readonly name: string; readonly known: readonly string[] }
  | { readonly kind: "name-taken"; readonly name: string }
  | { readonly kind: "bad-name" }
  | { readonly kind: "damaged"; readonly what: string }
  | { readonly kind: "too-many" };

export function snapshotFailure(name: string, problem: SnapshotProblem): ImageError<SnapshotProblem> {
  const text = () => {
    switch (problem.kind) {
      case "no-snapshot":
        return describeOpenProblem(problem);
      case "name-taken":
        return `has a snapshot "${problem.name}" already; choose another name or delete that one`;
      case "damaged":
        return `is damaged (${problem.what}); mend it first with: bunk disk check --repair`;
      case "bad-name":
        return "a snapshot's name must have 1 to 255 bytes";
      case "too-many":
        return "has as many snapshots as an image can have; delete some";
    }
  };
  return new ImageError(name, problem, text());
}

export type ResizeProblem =
  | { readonly kind: "bad-size"; readonly size: number }
  | { readonly kind: "too-large"; readonly size: number; readonly clusterSize: number }
  | { readonly kind: "shrink-not-asked"; readonly from: number; readonly to: number }
  | { readonly kind: "shrink-with-snapshots" }
  | { readonly kind: "grow-with-old-snapshots" };

export function resizeFailure(name: string, problem: ResizeProblem): ImageError<ResizeProblem> {
  const text = () => {
    switch (problem.kind) {
      case "bad-size":
        return `cannot have a size of ${problem.size} bytes; it must be a multiple of 512`;
      case "too-large":
        return `cannot have ${problem.size} bytes with clusters of ${problem.clusterSize}; convert it to one with larger clusters`;
      case "shrink-not-asked":
        return `would lose what lies beyond ${problem.to} bytes of ${problem.from}; add --shrink if that is wanted`;
      case "shrink-with-snapshots":
        return "has snapshots, which shrinking would damage; delete them first";
      case "grow-with-old-snapshots":
        return "has snapshots of qcow2 version 2, which do not know their size; delete them first";
    }
  };
  return new ImageError(name, problem, text());
}
