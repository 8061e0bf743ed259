import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCommandLine } from "./command-line.ts";
import { CliError } from "./failure.ts";
import type { RunOptions } from "./run-options.ts";

const parse = (...args: string[]) => parseCommandLine(args, { version: "1.2.3", columns: 80 });

const DEFAULTS: Omit<RunOptions, "source"> = {
  disks: [],
  diskBus: "virtio",
  cdroms: [],
  floppies: [],
  nics: [],
  bootOrder: undefined,
  bootMenu: false,
  serialScreen: true,
  memory: undefined,
  cpu: "max",
  console: { kind: "stdio" },
  displays: undefined,
  pointer: "mouse",
  name: undefined,
  debugExit: false,
  noReboot: false,
  clock: "real",
  entry: "auto",
  firmware: undefined,
  gdb: undefined,
  check: false,
  tools: { profile: undefined, regions: undefined, trace: undefined },
};

const UNSET = { format: undefined, size: undefined, quota: undefined, bus: undefined };

test("a guest is run by its name", () => {
  assert.deepEqual(parse("run", "debian"), {
    verb: "run",
    options: { ...DEFAULTS, source: { kind: "catalogue", name: "debian", append: undefined } },
  });
});

test("a kernel is run from files, with every option", () => {
  const args =
    "--kernel k --initrd i --memory 64M --cpu i686 --console out.txt --debug-exit --no-reboot --clock icount --gdb 1234 --disk-bus ide --cdrom c.iso --cdrom d.iso,bus=ahci --pointer tablet";
  assert.deepEqual(
    parse(
      "run",
      ...args.split(" "),
      "--entry",
      "32",
      "--append",
      "-v a=b",
      "--disk",
      "a",
      "--disk",
      "b,snapshot=on",
      "--floppy",
      "f",
      "--nic",
      "isolated,model=e1000",
    ),
    {
      verb: "run",
      options: {
        source: { kind: "files", kernel: "k", initrd: "i", append: "-v a=b" },
        disks: [
          { file: "a", readOnly: undefined, snapshot: false, serial: undefined, ...UNSET },
          { file: "b", readOnly: undefined, snapshot: true, serial: undefined, ...UNSET },
        ],
        diskBus: "ide",
        cdroms: [
          { file: "c.iso", bus: undefined },
          { file: "d.iso", bus: "ahci" },
        ],
        floppies: [{ disk: { file: "f", readOnly: false, snapshot: false } }],
        nics: [{ network: "isolated", model: "e1000" }],
        memory: 64 * 1024 * 1024,
        cpu: "i686",
        console: { kind: "file", file: "out.txt" },
        displays: undefined,
        pointer: "tablet",
        name: undefined,
        debugExit: true,
        noReboot: true,
        clock: "icount",
        entry: "32",
        bootOrder: undefined,
        bootMenu: false,
        serialScreen: true,
        firmware: undefined,
        gdb: { port: 1234, wait: false },
        check: false,
        tools: DEFAULTS.tools,
      },
    },
  );
});

test("firmware starts without a kernel, and its other options go with it", () => {
  const invocation = parse(
    "run",
    "--firmware",
    "code.fd",
    "--firmware-vars",
    "vars.fd",
    "--firmware-log",
    "log",
    "--option-rom",
    "a",
    "--option-rom",
    "b",
  );
  assert.ok(invocation.verb === "run");
  assert.deepEqual(invocation.options.source, { kind: "media" });
  assert.deepEqual(invocation.options.firmware, {
    image: "code.fd",
    variables: "vars.fd",
    log: "log",
    optionRoms: ["a", "b"],
  });
  assert.throws(() => parse("run", "debian", "--firmware-vars", "vars.fd"), /goes with --firmware/);
  assert.throws(() => parse("run", "debian", "--firmware-log", "log"), /goes with --firmware/);
  assert.throws(() => parse("run", "--firmware", "code.fd", "--append", "quiet"), /goes with --kernel/);
});

test("there are two floppy drives", () => {
  assert.throws(() => parse("run", "debian", "--floppy", "a", "--floppy", "b", "--floppy", "c"), {
    name: "CliError",
    message: "--floppy c: there are only drives A and B",
  });
});

test("options may stand before the guest and carry their value after an equals sign", () => {
  const invocation = parse("run", "--memory=1G", "debian");
  assert.ok(invocation.verb === "run");
  assert.equal(invocation.options.memory, 2 ** 30);
  assert.deepEqual(invocation.options.source, { kind: "catalogue", name: "debian", append: undefined });
});

test("a debugger's port is on this host unless another address is given", () => {
  const gdb = (...args: string[]) => {
    const invocation = parse("run", "debian", ...args);
    return invocation.verb === "run" && invocation.options.gdb;
  };
  assert.deepEqual(gdb("--gdb", "0", "--gdb-wait"), { port: 0, wait: true });
  assert.deepEqual(gdb("--gdb", ":1234"), { port: 1234, wait: false });
  assert.deepEqual(gdb("--gdb", "0.0.0.0:1234"), { host: "0.0.0.0", port: 1234, wait: false });
  assert.deepEqual(gdb("--gdb", "[::1]:1234"), { host: "::1", port: 1234, wait: false });
});

test("the translator is checked with time as a count of instructions, and without a debugger", () => {
  const invocation = parse("run", "debian", "--check");
  assert.ok(invocation.verb === "run");
  assert.equal(invocation.options.check, true);
  assert.equal(invocation.options.clock, "icount");
  assert.throws(() => parse("run", "debian", "--check", "--gdb", "1234"), CliError);
});

test("displays may be several, and none is none", () => {
  const displays = (...args: string[]) => {
    const invocation = parse("run", "debian", ...args);
    return invocation.verb === "run" && invocation.options.displays?.map(({ kind }) => kind);
  };
  assert.equal(displays(), undefined);
  assert.deepEqual(displays("--display", "none"), []);
  assert.deepEqual(displays("--display", "web", "--display", "vnc=5900"), ["web", "vnc"]);
  assert.throws(() => displays("--display", "web", "--display", "none"), /--display none goes without other displays/);
});

test("a running machine is shown and typed on by its name", () => {
  assert.deepEqual(parse("screenshot", "web1", "a.png"), { verb: "screenshot", machine: "web1", file: "a.png" });
  assert.deepEqual(parse("sendkeys", "web1", "ctrl-c", "ret", "--text", "ü", "--layout", "de"), {
    verb: "sendkeys",
    machine: "web1",
    keys: ["ctrl-c", "ret"],
    text: "ü",
    layout: "de",
  });
  const invocation = parse("run", "debian", "--name", "web1");
  assert.ok(invocation.verb === "run");
  assert.equal(invocation.options.name, "web1");
});

test("list and cache are told apart from cache clean", () => {
  assert.deepEqual(parse("list"), { verb: "list" });
  assert.deepEqual(parse("cache"), { verb: "cache" });
  assert.deepEqual(parse("cache", "clean"), { verb: "cache clean", guests: [] });
  assert.deepEqual(parse("cache", "clean", "a", "b"), { verb: "cache clean", guests: ["a", "b"] });
});

test("--version is printed", () => {
  assert.deepEqual(parse("--version"), { verb: "print", text: "bunk 1.2.3\n" });
});

for (const args of [
  ["--help"],
  ["run", "--help"],
  ["list", "-h"],
  ["cache", "--help"],
  ["help", "run"],
  ["screenshot", "-h"],
  ["sendkeys", "-h"],
]) {
  test(`bunk ${args.join(" ")} prints usage and examples`, () => {
    const help = parse(...args);
    assert.ok(help.verb === "print");
    assert.match(help.text, /^Usage: bunk /);
    assert.match(help.text, /\nExamples:\n {2}bunk /);
  });
}

test("the help of run names every exit status of its own and every key", () => {
  const help = parse("run", "--help");
  assert.ok(help.verb === "print");
  for (const status of [0, 64, 66, 69, 70, 72, 74, 76]) assert.match(help.text, new RegExp(`\n  ${status} `));
  for (const key of "XPAH") assert.match(help.text, new RegExp(`Ctrl-A ${key} `));
});

for (const [args, message] of [
  ["", "which command? Try: bunk run debian, bunk list, bunk disk --help, bunk --help"],
  ["rum", "unknown command 'rum'; did you mean run?"],
  ["frobnicate", "unknown command 'frobnicate'; see bunk --help"],
  [
    "run",
    "run what? Name a guest (bunk list shows them) or a file to start, or give --kernel FILE, --cdrom FILE, --disk FILE or --boot net",
  ],
  ["run --cdrom a.iso --boot cd,usb", '--boot cd,usb: "usb" must be one of cd, disk, floppy, net, separated by commas'],
  ["run --cdrom a.iso --boot cd,cd", "--boot cd,cd: cd is given twice"],
  ["run --cdrom a.iso --initrd i", "--initrd goes with --kernel"],
  ["run debian --memroy 1G", "unknown option '--memroy'; did you mean --memory?"],
  ["run debian --memory", "option '--memory <SIZE>' argument missing; see bunk --help"],
  ["run debian --memory 1M", "--memory 1M is too small: a machine needs at least 2M"],
  ["run debian --disk a,readonly", "--disk a,readonly: readonly needs a value, such as readonly=on"],
  [
    "run debian --cpu 386",
    "option '--cpu <MODEL>' argument '386' is invalid. Allowed choices are max, x86-64-v2, i686, pentium, 486; see bunk --help",
  ],
  ["run debian ubuntu", "too many arguments for 'run'. Expected 1 argument but got 2; see bunk --help"],
  ["run debian --kernel k", 'either "debian" or --kernel k can be run, not both'],
  ...["1234x", "65536", "::1:1234", "-1", "host"].map(
    (port) =>
      [
        `run debian --gdb=${port}`,
        `--gdb ${port} must be a port, 0 (any that is free) to 65535, or HOST:PORT such as 0.0.0.0:1234`,
      ] as const,
  ),
  ["run debian --name a/b", '--name a/b must be letters, digits, "-" and "_", 40 at the most, and begin with no sign'],
  ["sendkeys debian", "which keys? Name them, or give --text TEXT"],
  ["screenshot debian", "missing required argument 'FILE'; see bunk --help"],
  ["run debian --gdb-wait", "--gdb-wait goes with --gdb PORT"],
  ["run debian --initrd i", '--initrd goes with --kernel; the guest "debian" brings its own'],
] as const) {
  test(`"bunk ${args}" is refused with one line that says what to do`, () => {
    assert.throws(
      () => parse(...args.split(" ").filter((arg) => arg !== "")),
      (error) => {
        assert.ok(error instanceof CliError);
        assert.equal(error.message, message);
        return error.status === 64;
      },
    );
  });
}

test("a console needs a name", () => {
  assert.throws(() => parse("run", "debian", "--console", ""), /--console needs stdio, none, or the name of a file/);
});

test("a profile, listings and a trace are asked for by name, but not with --check", () => {
  const { options } = parse("run", "debian", "--profile", "-", "--regions", "d", "--trace", "t,blocks=on") as {
    options: RunOptions;
  };
  assert.deepEqual([options.tools.profile, options.tools.regions], ["-", "d"]);
  assert.deepEqual([options.tools.trace?.file, options.tools.trace?.blocks], ["t", true]);
  assert.throws(() => parse("run", "debian", "--check", "--trace", "t"), /--check goes without --profile/);
});

test("booting from the network needs a card", () => {
  const { options } = parse("run", "--boot", "net", "--nic", "isolated,tftp=.,bootfile=x") as { options: RunOptions };
  assert.deepEqual(options.source, { kind: "media" });
  assert.throws(() => parse("run", "--boot", "disk,net", "--disk", "a"), {
    name: "CliError",
    message: "--boot disk,net needs a network card: --nic isolated,tftp=DIRECTORY,bootfile=PATH",
  });
});

test("a network with a way out makes no repeatable runs", () => {
  const { options } = parse("run", "debian", "--nic", "user") as { options: RunOptions };
  assert.deepEqual(options.nics, [{ network: "user" }]);
  for (const repeatable of [["--clock", "icount"], ["--check"]]) {
    assert.throws(() => parse("run", "debian", "--nic", "user", ...repeatable), {
      name: "CliError",
      message: "the network of --nic user makes no repeatable runs; use --nic isolated",
    });
  }
});
