/** What can be wrong with a disc's image, and what to tell the user. */
import { ImageError } from "../image-error.ts";

export type DiscProblem =
  | { readonly kind: "not-iso9660" }
  | { readonly kind: "bad-block-size"; readonly size: number }
  | { readonly kind: "directory-too-large"; readonly path: string }
  | { readonly kind: "corrupt"; readonly what: string };

export function discFailure(name: string, problem: DiscProblem): ImageError<DiscProblem> {
  const text = () => {
    switch (problem.kind) {
      case "not-iso9660":
        return "is no image of an ISO 9660 disc";
      case "bad-block-size":
        return `has blocks of ${problem.size} bytes, and only 2048 are supported`;
      case "directory-too-large":
        return `has a directory, ${problem.path}, that is too large to be one`;
      case "corrupt":
        return `is damaged: ${problem.what}; copy or download it again`;
    }
  };
  return new ImageError(name, problem, text());
}
