/** What can be wrong with a VHD image, and what to tell the user. */
import { ImageError } from "../image-error.ts";

export type OpenProblem =
  | { readonly kind: "not-vhd" }
  | { readonly kind: "bad-version"; readonly version: number }
  | { readonly kind: "bad-type"; readonly type: number }
  | { readonly kind: "no-snapshots" }
  | { readonly kind: "differencing-is-read-only" }
  | { readonly kind: "no-parent-name" }
  | { readonly kind: "corrupt"; readonly what: string };

export function openFailure(name: string, problem: OpenProblem): ImageError<OpenProblem> {
  const text = () => {
    switch (problem.kind) {
      case "not-vhd":
        return "is no VHD image; if it is a raw one, give format=raw";
      case "bad-version":
        return `is a VHD image of version ${problem.version >>> 16}.${problem.version & 0xffff}, and only 1.0 is supported`;
      case "bad-type":
        return `is a VHD image of a type (${problem.type}) that is not supported`;
      case "no-snapshots":
        return "is a VHD image, which has no snapshots in it; convert it to qcow2";
      case "differencing-is-read-only":
        return "is a difference to another VHD image and can only be read; add readonly=on or snapshot=on, or convert it";
      case "no-parent-name":
        return "is a difference to another image, and does not say in a way that is known here to which";
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
        return "a VHD image cannot be based on another here; use --format qcow2";
      case "too-large":
        return `a VHD image cannot have ${problem.size} bytes, only up to 2040G; use --format vhdx or qcow2`;
      case "bad-size":
        return `cannot have a size of ${problem.size} bytes; it must be a multiple of 512`;
    }
  };
  return new ImageError(name, problem, text());
}
