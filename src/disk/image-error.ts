/**
 * What went wrong with an image file, as a value: each operation of a format has a tagged union of its own, and
 * a text for the user that says what to do.
 */
import { BlockError } from "./block-device.ts";

export class ImageError<Problem extends { readonly kind: string }> extends BlockError {
  readonly problem: Problem;

  /** `name` is what the user calls the image, `text` completes the sentence that begins with it. */
  constructor(name: string, problem: Problem, text: string) {
    super("io", `${name}: ${text}`);
    this.problem = problem;
  }
}
