/**
 * Why a kernel cannot be started directly. The kernel file, the initial RAM disk and the command line come
 * from the user, so a wrong one is reported, not asserted.
 *
 * - `not-a-kernel`: the file is something else, and the message says what it seems to be
 * - `truncated`: the file ends before what its own header announces
 * - `corrupt`: a header contradicts itself
 * - `too-old`, `unsupported`: a kernel that this loader cannot start, and why
 * - `no-room`: the VM's RAM is too small, or the kernel asks for an address that is not RAM
 * - `bad-argument`: the command line or another argument does not suit this kernel
 */
export class BootError extends Error {
  readonly kind: "not-a-kernel" | "truncated" | "corrupt" | "too-old" | "unsupported" | "no-room" | "bad-argument";

  /** `message` is one line for the user, without a full stop. */
  constructor(kind: BootError["kind"], message: string) {
    super(message);
    this.name = "BootError";
    this.kind = kind;
  }
}
