/** Host file errors as block errors with a message for the user. */
import { BlockError } from "../block-device.ts";

/** What the host's error codes mean to a user. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EISDIR: "it is a directory",
  ENOTDIR: "a part of the path is not a directory",
  EROFS: "the file system is read-only",
  ENOSPC: "no space left on the host's disk",
  EDQUOT: "the host's disk quota is used up",
  EFBIG: "the file would be larger than the host's file system allows",
  EMFILE: "too many open files",
  EIO: "the host's disk reports an error",
  EEXIST: "the file exists already",
  ELOOP: "too many symbolic links",
};

/** The host's error code in `error`, such as "ENOENT". */
export function hostErrorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** A BlockError for what went wrong while doing `what`, as in "read disk.img". */
export function hostError(what: string, error: unknown): BlockError {
  if (error instanceof BlockError) return error;
  const code = hostErrorCode(error);
  const reason = (code && REASONS[code]) ?? (error instanceof Error ? error.message : String(error));
  const full = code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG";
  return new BlockError(full ? "no-space" : "io", `cannot ${what}: ${reason}`, { cause: error });
}
