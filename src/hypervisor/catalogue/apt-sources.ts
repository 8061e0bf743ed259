/**
 * The package sources of the host's apt, narrowed to a Debian archive and turned to the release wanted.
 * A mirror of Debian carries every current release, so a host of one release can make guests of another.
 *
 * @spec sources.list(5): one-line format and deb822 format
 */

/** One stanza of the deb822 format: the fields by their names in lower case, values as they stand. */
export type SourceStanza = ReadonlyMap<string, string>;

const ALIASES = ["stable", "oldstable", "oldoldstable", "testing", "unstable", "sid"];
const CODENAMES = ["buster", "bullseye", "bookworm", "trixie", "forky", "duke"];
const DEBIAN_SUITE = new RegExp(`^(?:${[...ALIASES, ...CODENAMES].join("|")})(-security|-updates|/updates)?$`);
/** Where a release's security archive was called `buster/updates`; later ones are called `bookworm-security`. */
const OLD_SECURITY = "/updates";

/** Option names of the one-line format that are called otherwise in deb822. */
const OPTION_FIELDS: Readonly<Record<string, string>> = { arch: "architectures", lang: "languages", target: "targets" };

/** Reads a `sources.list` in the one-line format. */
export function parseSourcesList(text: string): SourceStanza[] {
  const stanzas: SourceStanza[] = [];
  for (const line of text.split("\n")) {
    const match = /^\s*(deb|deb-src)\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)((?:\s+[^\s#]+)*)\s*(?:#.*)?$/.exec(line);
    if (!match) continue;
    const [, type = "", options = "", uri = "", suite = "", components = ""] = match;
    const fields = new Map([
      ["types", type],
      ["uris", uri],
      ["suites", suite],
      ["components", components.trim()],
    ]);
    for (const option of options.split(/\s+/)) {
      const [key = "", value] = option.split("=");
      if (value !== undefined) fields.set(OPTION_FIELDS[key] ?? key.toLowerCase(), value.replaceAll(",", " "));
    }
    stanzas.push(fields);
  }
  return stanzas;
}

/** Reads a `.sources` file in the deb822 format. */
export function parseDeb822(text: string): SourceStanza[] {
  const stanzas: SourceStanza[] = [];
  let fields = new Map<string, string>();
  let last = "";
  const end = () => {
    if (fields.size > 0) stanzas.push(fields);
    fields = new Map();
    last = "";
  };
  for (const line of text.split("\n")) {
    if (line.startsWith("#")) continue;
    if (line.trim() === "") end();
    else if (/^\s/.test(line)) fields.set(last, `${fields.get(last) ?? ""}\n${line}`);
    else {
      const colon = line.indexOf(":");
      last = line.slice(0, colon).trim().toLowerCase();
      if (colon > 0) fields.set(last, line.slice(colon + 1).trim());
    }
  }
  end();
  return stanzas;
}

/** The stanzas of `host` that lead to a Debian archive, each turned to `suite`; empty where none does. */
export function sourcesForSuite(
  host: readonly SourceStanza[],
  {
    suite,
    backports,
    components = ["main"],
  }: { readonly suite: string; readonly backports: boolean; readonly components?: readonly string[] | undefined },
): SourceStanza[] {
  const debian = host.filter(isEnabledDebianSource);
  // Third parties also name their suites after Debian's; they sign with keys of their own.
  const signedByDebian = debian.filter(isSignedByDebianKey);
  const turned = (signedByDebian.length > 0 ? signedByDebian : debian).map((stanza) =>
    turnToSuite(stanza, suite, backports, components),
  );
  const seen = new Set<string>();
  return turned.filter((stanza) => {
    const key = `${stanza.get("uris")} ${stanza.get("suites")}`;
    return !seen.has(key) && seen.add(key);
  });
}

export function formatDeb822(stanzas: readonly SourceStanza[]): string {
  return stanzas
    .map((stanza) => [...stanza].map(([name, value]) => (value === "" ? "" : `${name}: ${value}\n`)).join(""))
    .join("\n");
}

function isEnabledDebianSource(stanza: SourceStanza): boolean {
  return (
    words(stanza, "types").includes("deb") &&
    words(stanza, "components").includes("main") &&
    words(stanza, "suites").some((suite) => DEBIAN_SUITE.test(suite)) &&
    !/^(no|false|without|off|disable)$/i.test(stanza.get("enabled") ?? "yes") &&
    !words(stanza, "uris").every((uri) => uri.startsWith("cdrom:"))
  );
}

function isSignedByDebianKey(stanza: SourceStanza): boolean {
  const signedBy = stanza.get("signed-by");
  return signedBy === undefined || /debian-archive|BEGIN PGP/.test(signedBy);
}

function turnToSuite(
  stanza: SourceStanza,
  target: string,
  backports: boolean,
  components: readonly string[],
): SourceStanza {
  const suites = new Set<string>();
  for (const suite of words(stanza, "suites")) {
    const match = DEBIAN_SUITE.exec(suite);
    if (!match) continue;
    const part = match[1] ?? "";
    suites.add(target + (part === OLD_SECURITY ? "-security" : part));
    if (part === "" && backports) suites.add(`${target}-backports`);
  }
  const turned = new Map(stanza);
  turned.set("types", "deb");
  turned.set("uris", words(stanza, "uris").join(" "));
  turned.set("suites", [...suites].join(" "));
  turned.set("components", components.join(" "));
  // Ours is decided by APT::Architectures; targets and languages of the host would only add downloads.
  for (const field of ["architectures", "targets", "languages", "enabled"]) turned.delete(field);
  return turned;
}

function words(stanza: SourceStanza, field: string): string[] {
  return (stanza.get(field) ?? "").split(/\s+/).filter((word) => word !== "");
}
