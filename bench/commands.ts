/**
 * Workloads that are programs of Debian: shell scripts that run in the programs' root directory, with the number of
 * repetitions (or of seconds) as their argument. All that a program writes to its output is compared between machines.
 */
export interface CommandSpec {
  readonly name: string;
  readonly text: string;
  readonly script: string;
  /** What the script prints: the lines of bench/guest/repeat.c, or those of `openssl speed -mr`. */
  readonly prints: "repeat" | "speed";
}

const DIRECTORY = "/bench";

/** `command` as often as the argument says. What must be a shell's work is in quotes. */
function repeated(name: string, text: string, command: string): CommandSpec {
  return { name, text, prints: "repeat", script: `exec ${DIRECTORY}/repeat ${name} "$1" ${command}\n` };
}

/** Bits of CPUID leaf 1's ECX (high half) for AES-NI and PCLMULQDQ, which OpenSSL then passes over. */
const WITHOUT_AES = "OPENSSL_ia32cap=~0x200000200000000";

/** One algorithm for so many seconds on blocks of 16 KiB, timed from the line at its start to the one at its end. */
function speed(name: string, text: string, algorithm: string, environment = ""): CommandSpec {
  const set = environment === "" ? "" : `${environment} `;
  const script = `${set}exec /usr/bin/openssl speed -mr -elapsed -seconds "$1" -bytes 16384 -evp ${algorithm} 2>&1\n`;
  return { name, text, prints: "speed", script };
}

/** Ciphers in counter mode give the same bytes by every implementation: a wrong one is found here. */
function verified(name: string, text: string, options: string, environment = ""): CommandSpec {
  const key = "-K 000102030405060708090a0b0c0d0e0f -iv 0f0e0d0c0b0a09080706050403020100";
  const set = environment === "" ? "" : `/bin/busybox env ${environment} `;
  return repeated(name, text, `${set}/usr/bin/openssl enc ${options} ${key} -in ${DIRECTORY}/words.txt`);
}

export const COMMANDS: readonly CommandSpec[] = [
  repeated(
    "7z",
    "7z: 1 MiB of words to xz, one thread, 64 KiB dictionary",
    `/usr/lib/p7zip/7z a -txz -mmt1 -mx3 -m0=lzma2:d64k -so words.xz ${DIRECTORY}/words.txt`,
  ),
  // What it prints are times, so no result is compared but that it found no mistake.
  repeated(
    "7z-b",
    "7z b, one thread, 64 KiB dictionary",
    "/bin/busybox sh -c '/usr/lib/p7zip/7z b 1 -mmt1 -md16 -mtic=24 >/tmp/7z.txt'",
  ),
  speed("openssl-aes", "openssl speed aes-128-gcm", "aes-128-gcm"),
  speed("openssl-aes-soft", "openssl speed aes-128-gcm, no AES-NI", "aes-128-gcm", WITHOUT_AES),
  speed("openssl-sha256", "openssl speed sha256", "sha256"),
  speed("openssl-chacha", "openssl speed chacha20-poly1305", "chacha20-poly1305"),
  verified("openssl-enc", "openssl enc aes-128-ctr of 1 MiB", "-aes-128-ctr"),
  repeated("zstd", "zstd -3 of 1 MiB of words", `/usr/bin/zstd -3 -q -c --single-thread ${DIRECTORY}/words.txt`),
  repeated("gzip", "gzip -6 of 1 MiB of words", `/bin/gzip -6 -n -c ${DIRECTORY}/words.txt`),
  repeated("sqlite3", "sqlite3: fill, index, join", `/usr/bin/sqlite3 -init ${DIRECTORY}/script.sql :memory: .quit`),
  repeated("perl", "perl: words of 1 MiB counted", `/usr/bin/perl ${DIRECTORY}/words.pl`),
  repeated("gcc", "gcc -O2 of 150 lines, to assembly", `/usr/bin/gcc -O2 -w -S -o - ${DIRECTORY}/source.c`),
  repeated(
    "apt",
    "apt-cache gencaches of 2,000 packages",
    "/bin/busybox sh -c '/bin/busybox rm -f /var/cache/apt/pkgcache.bin /var/cache/apt/srcpkgcache.bin; /usr/bin/apt-cache -q gencaches >/dev/null; /usr/bin/apt-cache stats'",
  ),
];
