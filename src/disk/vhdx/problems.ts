/** What can be wrong with a VHDX image, and what to tell the user. */
import { ImageError } from "../image-error.ts";

export type OpenProblem =
  | { readonly kind: "not-vhdx" }
  | { readonly kind: "bad-version"; readonly version: number }
  | { readonly kind: "needs-replay" }
  | { readonly kind: "has-parent" }
  | { readonly kind: "unknown-part"; readonly what: string }
  | { readonly kind: "bad-sector-size"; readonly size: number }
  | { readonly kind: "no-snapshots" }
  | { readonly kind: "corrupt"; readonly what: string };

export function openFailure(name: string, problem: OpenProblem): ImageError<OpenProblem> {
  const text = () => {
    switch (problem.kind) {
      case "not-vhdx":
        return "is no VHDX image; if it is a raw one, give format=raw";
      case "bad-version":
        return `is a VHDX image of version ${problem.version}, and only 1 is supported`;
      case "needs-replay":
        return "was not closed properly, and its log must be replayed: open it once for writing, or run: bunk disk check --repair";
      case "has-parent":
        return "is a difference to another VHDX image, which is not supported; merge it in Hyper-V (Merge-VHD) first";
      case "unknown-part":
        return `needs something that is not supported (${problem.what}); convert it with: qemu-img convert`;
      case "bad-sector-size":
        return `has sectors of ${problem.size} bytes; only 512 and 4096 are supported`;
      case "no-snapshots":
        return "is a VHDX image, which has no snapshots in it; convert it to qcow2";
      case "corrupt":
        return `is damaged: ${problem.what}`;
    }
  };
  return new ImageError(name, problem, text());
}

export type CreateProblem =
  | { readonly kind: "backing" }
  | { readonly kind: "too-large"; readonly size: number }
  | { readonly kind: "bad-size"; readonly size: number };

export function createFailure(name: string, problem: CreateProblem): ImageError<CreateProblem> {
  const text = () => {
    switch (problem.kind) {
      case "backing":
        return "a VHDX image cannot be based on another here; use --format qcow2";
      case "too-large":
        return `a VHDX image cannot have ${problem.size} bytes, only up to 64T; use --format qcow2`;
      case "bad-size":
        return `cannot have a size of ${problem.size} bytes; it must be a multiple of 512`;
    }
  };
  return new ImageError(name, problem, text());
}
