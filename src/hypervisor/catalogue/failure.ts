/** What can go wrong while a guest of the catalogue is made ready; each message says what to do. */
export type CatalogueFailure =
  | { readonly kind: "tool-missing"; readonly tool: string }
  | { readonly kind: "tool-failed"; readonly command: string; readonly status: string; readonly said: string }
  | { readonly kind: "no-debian-source"; readonly suite: string }
  /** `update` is what apt said of package lists that it could not fetch; empty where it has all. */
  | { readonly kind: "package-unknown"; readonly name: string; readonly where: string; readonly update: string }
  | { readonly kind: "package-lacks"; readonly name: string; readonly lacks: string }
  | { readonly kind: "entry-invalid"; readonly file: string; readonly problem: string }
  | { readonly kind: "guest-unknown"; readonly name: string; readonly known: readonly string[] }
  | { readonly kind: "no-root-filesystem"; readonly said: string };

export class CatalogueError extends Error {
  override readonly name = "CatalogueError";
  readonly failure: CatalogueFailure;

  constructor(failure: CatalogueFailure) {
    super(message(failure));
    this.failure = failure;
  }
}

const APT_TOOLS = new Set(["apt-get", "apt-cache", "apt-config", "apt-helper", "dpkg-deb"]);

function message(failure: CatalogueFailure): string {
  switch (failure.kind) {
    case "tool-missing":
      return APT_TOOLS.has(failure.tool)
        ? "needs apt and dpkg, found on Debian and its kin; or give --kernel and --initrd"
        : `needs the program ${failure.tool}, which is not installed`;
    case "tool-failed":
      return `${failure.command} failed (${failure.status})${failure.said === "" ? "" : `: ${failure.said}`}`;
    case "no-debian-source":
      return (
        `this host's apt has no Debian package source to take ${failure.suite} from; ` +
        "add one to /etc/apt/sources.list.d, or give --kernel and --initrd"
      );
    case "package-unknown":
      return failure.update === ""
        ? `the host's package sources do not offer ${failure.name} in ${failure.where}`
        : `cannot find ${failure.name} in ${failure.where}: ${failure.update}`;
    case "package-lacks":
      return `package ${failure.name} does not contain ${failure.lacks}; this catalogue entry does not fit it`;
    case "entry-invalid":
      return `catalogue file ${failure.file}: ${failure.problem}`;
    case "guest-unknown":
      return `no guest is called "${failure.name}"; known are: ${failure.known.join(", ")}`;
    case "no-root-filesystem":
      return (
        "making a root disk needs root, or user namespaces with the package uidmap and a line for this user in " +
        `/etc/subuid${failure.said === "" ? "" : ` (${failure.said})`}`
      );
  }
}
