/** What can be wrong with a VMDK image, and what to tell the user. */
import { ImageError } from "../image-error.ts";

export type OpenProblem =
  | { readonly kind: "not-vmdk" }
  | { readonly kind: "esx-sparse" }
  | { readonly kind: "bad-version"; readonly version: number }
  | { readonly kind: "bad-compression"; readonly type: number }
  | { readonly kind: "stream-is-read-only" }
  | { readonly kind: "unsupported-extent"; readonly type: string }
  | { readonly kind: "extent-elsewhere"; readonly extent: string }
  | { readonly kind: "no-snapshots" }
  | { readonly kind: "no-parent-name" }
  | { readonly kind: "parts-are-read-only" }
  | { readonly kind: "parts-with-parent" }
  | { readonly kind: "corrupt"; readonly what: string };

export function openFailure(name: string, problem: OpenProblem): ImageError<OpenProblem> {
  const text = () => {
    switch (problem.kind) {
      case "not-vmdk":
        return "is no VMDK image; if it is a raw one, give format=raw";
      case "esx-sparse":
        return "is a sparse extent of ESX (COWD), which is not supported; convert it with: qemu-img convert";
      case "bad-version":
        return `is a VMDK image of version ${problem.version}, and only 1 to 3 are supported`;
      case "bad-compression":
        return `is compressed in a way (type ${problem.type}) that is not supported`;
      case "stream-is-read-only":
        return "is stream-optimized and can only be read; add readonly=on or snapshot=on, or convert it";
      case "unsupported-extent":
        return `has an extent of type ${problem.type}, which is not supported; convert it with: qemu-img convert`;
      case "extent-elsewhere":
        return `has an extent "${problem.extent}" that is not beside it; only files in the image's own folder are opened`;
      case "no-snapshots":
        return "is a VMDK image, which has no snapshots in it; convert it to qcow2";
      case "no-parent-name":
        return "is a difference to another image, and does not say to which";
      case "parts-are-read-only":
        return "consists of several files and can only be read; add readonly=on or snapshot=on, or convert it";
      case "parts-with-parent":
        return "consists of several files and is a difference to another image; convert it with: qemu-img convert";
      case "corrupt":
        return `is damaged: ${problem.what}`;
    }
  };
  return new ImageError(name, problem, text());
}

export type CreateProblem =
  | { readonly kind: "backing" }
  | { readonly kind: "preallocation" }
  | { readonly kind: "too-large"; readonly size: number }
  | { readonly kind: "bad-size"; readonly size: number };

export function createFailure(name: string, problem: CreateProblem): ImageError<CreateProblem> {
  const text = () => {
    switch (problem.kind) {
      case "backing":
        return "a VMDK image cannot be based on another here; use --format qcow2";
      case "preallocation":
        return "a VMDK image cannot be preallocated here; use --format qcow2 or raw";
      case "too-large":
        return `a VMDK image cannot have ${problem.size} bytes, only up to 2T; use --format qcow2`;
      case "bad-size":
        return `cannot have a size of ${problem.size} bytes; it must be a multiple of 512`;
    }
  };
  return new ImageError(name, problem, text());
}
