/** Errors on their way to the user: one line on standard error, and the exit status. */
import { BlockError } from "../disk/block-device.ts";
import { BootError } from "../firmware/boot-error.ts";
import { CatalogueError } from "../hypervisor/catalogue/failure.ts";
import { DrivePlaceError } from "../vm/drive-places.ts";
import { ExitStatus } from "./exit-status.ts";

/** A failure that the command line finds itself. `message` is one line that says what to change. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export const usageError = (message: string): CliError => new CliError(ExitStatus.usage, message);
export const fileError = (message: string): CliError => new CliError(ExitStatus.badFile, message);

export interface Failure {
  readonly status: number;
  /** Without the leading "bunk: ". */
  readonly text: string;
}

/** What to tell the user of `error`, and the status to end with. */
export function describeFailure(error: unknown): Failure {
  if (error instanceof CliError) return { status: error.status, text: error.message };
  if (error instanceof BootError) return { status: bootStatus(error), text: error.message };
  if (error instanceof BlockError) return { status: ExitStatus.badFile, text: error.message };
  if (error instanceof DrivePlaceError) return { status: ExitStatus.usage, text: error.message };
  if (error instanceof CatalogueError) return { status: catalogueStatus(error), text: error.message };
  const details = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return {
    status: ExitStatus.internal,
    text: `internal error, please report it with the lines below\n${details}`,
  };
}

/** A machine too small for a kernel, or a wrong kernel command line, is mended on the command line. */
function bootStatus({ kind }: BootError): number {
  return kind === "no-room" || kind === "bad-argument" ? ExitStatus.usage : ExitStatus.badFile;
}

function catalogueStatus({ failure }: CatalogueError): number {
  switch (failure.kind) {
    case "guest-unknown":
      return ExitStatus.usage;
    case "entry-invalid":
      return ExitStatus.badFile;
    default:
      return ExitStatus.unavailable;
  }
}
