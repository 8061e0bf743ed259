import assert from "node:assert/strict";
import { test } from "node:test";
import { formatDeb822, parseDeb822, parseSourcesList, type SourceStanza, sourcesForSuite } from "./apt-sources.ts";

const turned = (host: readonly SourceStanza[], suite = "bookworm", backports = false) =>
  sourcesForSuite(host, { suite, backports }).map((stanza) => Object.fromEntries(stanza));

test("a one-line source keeps its mirror and key, and loses architecture and further components", () => {
  const host = parseSourcesList(
    "# a comment\n" +
      "deb [arch=amd64,arm64 signed-by=/keys/debian-archive.gpg] https://mirror.example/debian bookworm main contrib # mine\n" +
      "deb-src https://mirror.example/debian bookworm main\n",
  );
  assert.deepEqual(turned(host), [
    {
      types: "deb",
      uris: "https://mirror.example/debian",
      suites: "bookworm",
      components: "main",
      "signed-by": "/keys/debian-archive.gpg",
    },
  ]);
});

test("a host of another release gives a guest of this one, from its mirror", () => {
  const host = parseDeb822(
    "Types: deb deb-src\nURIs: https://mirror.example/debian\nSuites: trixie trixie-updates trixie-backports\n" +
      "Components: main non-free-firmware\nArchitectures: amd64\nSigned-By: /keys/debian-archive-keyring.pgp\n\n" +
      "Types: deb\nURIs: https://mirror.example/security\nSuites: trixie-security\nComponents: main\n",
  );
  assert.deepEqual(
    turned(host).map(({ uris, suites }) => [uris, suites]),
    [
      ["https://mirror.example/debian", "bookworm bookworm-updates"],
      ["https://mirror.example/security", "bookworm-security"],
    ],
  );
});

test("backports come from where the release itself comes from", () => {
  const host = parseSourcesList(
    "deb https://mirror.example/debian bookworm main\ndeb https://mirror.example/security bookworm-security main\n",
  );
  assert.deepEqual(
    turned(host, "bookworm", true).map(({ suites }) => suites),
    ["bookworm bookworm-backports", "bookworm-security"],
  );
});

test("sources that are disabled, on discs or of other makers are left out", () => {
  const host = [
    ...parseDeb822(
      "Enabled: no\nTypes: deb\nURIs: https://one.example/\nSuites: bookworm\nComponents: main\n\n" +
        "Types: deb\nURIs: https://two.example/\nSuites: bookworm\nComponents: main\nSigned-By: /keys/two.gpg\n\n" +
        "Types: deb\nURIs: https://three.example/\nSuites: nodistro\nComponents: main\n",
    ),
    ...parseSourcesList("deb cdrom:[disc]/ bookworm main\ndeb https://four.example/ flat/\n"),
  ];
  assert.deepEqual(
    turned([...host, ...parseSourcesList("deb https://debian.example/ stable main\n")]).map(({ uris }) => uris),
    ["https://debian.example/"],
  );
});

test("a mirror signed with a key of its own serves where there is no other", () => {
  const host = parseSourcesList("deb [signed-by=/keys/own.gpg] https://own.example/ bookworm main\n");
  assert.deepEqual(
    turned(host).map(({ uris }) => uris),
    ["https://own.example/"],
  );
});

test("a host without any Debian source gives none", () => {
  assert.deepEqual(turned(parseSourcesList("deb https://mirror.example/ubuntu noble main\n")), []);
});

test("an old release's name of its security archive becomes the new one", () => {
  const host = parseSourcesList("deb https://mirror.example/security buster/updates main\n");
  assert.deepEqual(
    turned(host).map(({ suites }) => suites),
    ["bookworm-security"],
  );
});

test("a key given inline survives reading and writing", () => {
  const text =
    "types: deb\nuris: https://mirror.example/debian\nsuites: bookworm\ncomponents: main\n" +
    "signed-by: \n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBF\n -----END PGP PUBLIC KEY BLOCK-----\n";
  const written = formatDeb822(sourcesForSuite(parseDeb822(text), { suite: "bookworm", backports: false }));
  assert.deepEqual(parseDeb822(written), parseDeb822(text));
  assert.match(written, /\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n \.\n mQINBF\n/);
});

test("the same source configured twice is used once", () => {
  const line = "deb https://mirror.example/debian bookworm main\n";
  assert.equal(turned(parseSourcesList(line + line)).length, 1);
});

test("components besides main are used where they are asked for", () => {
  const host = parseSourcesList("deb https://mirror.example/debian bookworm main contrib\n");
  const components = ["main", "main/debian-installer"];
  const [stanza] = sourcesForSuite(host, { suite: "bookworm", backports: false, components });
  assert.equal(stanza?.get("components"), "main main/debian-installer");
});
