import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { textToHex } from "./hex.ts";
import { PACKET_SIZE } from "./packets.ts";
import { Client, packet } from "./testing/fake-target.ts";

test("a connection stops the guest, and each packet is acknowledged until the client wants none of it", () => {
  const client = new Client();
  assert.deepEqual(client.target.log, ["pause"]);
  assert.equal(client.raw("$?#3f"), `+${packet("T02thread:1;")}`);
  assert.equal(client.raw(packet("QStartNoAckMode")), `+${packet("OK")}`);
  assert.equal(client.raw("$?#3f"), packet("T02thread:1;"));
});

test("a damaged packet is asked for again, and a reply is sent again", () => {
  const client = new Client();
  assert.equal(client.raw("$?#00"), "-");
  const reply = client.raw("$?#3f").slice(1);
  assert.equal(client.raw("-"), reply);
});

test("a client that never has enough of a reply is not served for ever", () => {
  const client = new Client();
  client.raw("$g#67");
  assert.ok(client.raw("-".repeat(10_000)).length < 1000);
});

test("the description of the target arrives in pieces that make one", () => {
  const client = new Client();
  let text = "";
  for (;;) {
    const reply = client.ask(`qXfer:features:read:target.xml:${text.length.toString(16)},40`) ?? "";
    text += reply.slice(1);
    if (reply.startsWith("l")) break;
    assert.ok(reply.startsWith("m") && reply.length > 1);
  }
  assert.match(text, /<architecture>i386<\/architecture>/);
  assert.match(text, /<reg name="one" bitsize="32" type="int32"\/>\n<reg name="pc" bitsize="64" type="code_ptr"\/>/);
  assert.equal(client.ask("qXfer:features:read:target.xml:ffffffffffffffff,40"), "l");
  assert.equal(client.ask("qXfer:features:read:other.xml:0,40"), "E00");
  assert.equal(client.ask("qXfer:features:write:target.xml:0:x"), "");
});

test("registers are read and written in memory order, alone and all at once", () => {
  const client = new Client();
  assert.equal(client.ask("P0=78563412"), "OK");
  assert.equal(client.ask("p0"), "78563412");
  assert.equal(client.ask("g"), "785634120000000000000000");
  assert.equal(client.ask("G010203040100000000000000"), "OK");
  assert.equal(client.ask("g"), "010203040100000000000000");
});

test("a register that does not exist, or cannot take a value, is an error, and keeps its value", () => {
  const client = new Client();
  for (const command of ["p2", "pffffffffffffffff", "p", "p-1", "P2=00", "P0=0000", "P0=zz", "P0", "P0=ff000000"]) {
    assert.equal(client.ask(command), "E16", command);
  }
  assert.equal(client.ask("G00"), "E16");
  assert.equal(client.ask("Gff0000000200000000000000"), "E16");
  assert.equal(client.ask("g"), "000000000200000000000000");
});

test("memory is read and written, in hexadecimal and in binary", () => {
  const client = new Client();
  assert.equal(client.ask("M1000,3:010203"), "OK");
  assert.equal(client.ask("X1003,2:}\x03\xff"), "OK");
  assert.equal(client.ask("m1000,6"), "01020323ff00");
});

test("memory that is not there is an error, and a read ends where memory does", () => {
  const client = new Client();
  assert.equal(client.ask("m10fe,8"), "0000");
  assert.equal(client.ask("m1100,1"), "E0e");
  assert.equal(client.ask("M10ff,2:0101"), "E0e");
  assert.equal(client.ask("m10ff,1"), "00");
  for (const command of [
    "m",
    "m1000",
    "m1000,",
    "m1000,2001",
    "m1000,1,1",
    "m1,g",
    "M1000,2:01",
    "M1000,1:0",
    "M1000",
  ]) {
    assert.equal(client.ask(command), "E16", command);
  }
});

test("addresses are physical when the client says so", () => {
  const client = new Client();
  client.ask("M1000,1:aa");
  assert.equal(client.ask("Qqemu.PhyMemMode:1"), "OK");
  assert.equal(client.ask("m0,1"), "aa");
  assert.equal(client.ask("qqemu.PhyMemMode"), "1");
  assert.equal(
    client.ask(`qRcmd,${textToHex("memory  virtual ")}`),
    textToHex("addresses of memory are virtual now\n"),
  );
  assert.equal(client.ask("m0,1"), "E0e");
});

test("breakpoints and watchpoints come and go, and more than there is room for is an error", () => {
  const client = new Client();
  assert.equal(client.ask("Z0,1234,1"), "OK");
  assert.equal(client.ask("Z3,ffff800000000000,8"), "OK");
  assert.deepEqual(client.target.breakpoints, ["software 1234 1", "read ffff800000000000 8"]);
  assert.equal(client.ask("Z1,1,1"), "E1c");
  assert.equal(client.ask("z0,1234,1"), "OK");
  assert.equal(client.ask("z3,ffff800000000000,8"), "OK");
  assert.deepEqual(client.target.breakpoints, []);
  assert.equal(client.ask("Z5,1,1"), "");
  assert.equal(client.ask("Z2,1,0"), "E16");
  assert.equal(client.ask("Z2,1,100001"), "E16");
});

test("the guest runs until it stops, and the client is told why", () => {
  const client = new Client();
  client.ask("qSupported:swbreak+;hwbreak+");
  assert.equal(client.ask("vCont?"), "vCont;c;C;s;S");
  for (const [command, action] of [
    ["vCont;c", "resume"],
    ["vCont;s:1;c", "step"],
    ["vCont;s:7;C05", "resume"],
    ["c", "resume"],
    ["s", "step"],
    ["S05", "step"],
  ] as const) {
    assert.equal(client.ask(command), undefined, command);
    assert.equal(client.target.log.at(-1), action, command);
    assert.equal(client.stop({ kind: "step" }), "T05thread:1;");
  }
  const reasons = [
    [{ kind: "breakpoint", hardware: false }, "T05swbreak:;thread:1;"],
    [{ kind: "breakpoint", hardware: true }, "T05hwbreak:;thread:1;"],
    [{ kind: "watchpoint", access: "write", address: 0xabcn }, "T05watch:abc;thread:1;"],
    [{ kind: "watchpoint", access: "read", address: 1n }, "T05rwatch:1;thread:1;"],
    [{ kind: "watchpoint", access: "access", address: 1n }, "T05awatch:1;thread:1;"],
    [{ kind: "shutdown", report: "why" }, `O${textToHex("why\n")} T06thread:1;`],
  ] as const;
  for (const [stop, reply] of reasons) {
    client.ask("c");
    assert.equal(client.stop(stop), reply);
  }
  assert.equal(client.ask("?"), "T06thread:1;");
});

test("breakpoints are told of by kind only to a client that knows that", () => {
  const client = new Client();
  client.ask("c");
  assert.equal(client.stop({ kind: "breakpoint", hardware: false }), "T05thread:1;");
});

test("the guest goes on where the client says", () => {
  const client = new Client();
  client.ask("c1122334455667788");
  client.stop({ kind: "step" });
  assert.equal(client.ask("p1"), "8877665544332211");
  assert.equal(client.ask("S05;10"), undefined);
  client.stop({ kind: "step" });
  assert.equal(client.ask("p1"), "1000000000000000");
  assert.equal(client.ask("cz"), "E16");
});

test("Ctrl-C stops a guest that runs, once, and means nothing to one that is stopped", () => {
  const client = new Client();
  assert.equal(client.raw("\x03"), "");
  client.ask("c");
  assert.equal(client.raw("\x03\x03"), packet("T02thread:1;"));
  assert.deepEqual(client.target.log, ["pause", "resume", "pause"]);
});

test("commands to a guest that runs are refused, except those that let go of it", () => {
  const client = new Client();
  client.ask("c");
  assert.equal(client.ask("g"), "E10");
  assert.equal(client.ask("c"), "E10");
  assert.equal(client.ask("D"), "OK");
  assert.deepEqual(client.target.log, ["pause", "resume", "resume"]);
});

test("detaching takes the breakpoints away and lets the guest run", () => {
  const client = new Client();
  client.ask("Z0,1,1");
  assert.equal(client.ask("D;1"), "OK");
  assert.deepEqual(client.target.breakpoints, []);
  assert.equal(client.target.log.at(-1), "resume");
});

test("killing ends the machine", () => {
  const client = new Client();
  assert.equal(client.ask("vKill;1"), "OK");
  assert.equal(client.ask("k"), undefined);
  assert.deepEqual(client.target.log, ["pause", "kill", "kill"]);
});

test("a connection that is lost leaves a running guest running, and a stopped one stopped, without breakpoints", () => {
  for (const running of [true, false]) {
    const client = new Client();
    client.ask("Z0,1,1");
    if (running) client.ask("c");
    client.session.close();
    assert.deepEqual(client.target.breakpoints, []);
    assert.deepEqual(client.target.log, running ? ["pause", "resume", "resume"] : ["pause"]);
  }
});

test("the end of the machine is told to a client that waits", () => {
  for (const [end, reply] of [
    [{ kind: "power-off" }, "W00"],
    [{ kind: "debug-exit", status: 21 }, "W15"],
    [{ kind: "stopped" }, "X09"],
    [{ kind: "crash", report: "" }, "X06"],
  ] as const) {
    const client = new Client();
    client.session.ended(end);
    assert.equal(client.sent, "");
    client.ask("c");
    client.session.ended(end);
    assert.ok(client.sent.endsWith(packet(reply)), client.sent);
  }
});

test("there is one thread", () => {
  const client = new Client();
  assert.equal(client.ask("qfThreadInfo"), "m1");
  assert.equal(client.ask("qsThreadInfo"), "l");
  assert.equal(client.ask("qC"), "QC1");
  assert.equal(client.ask("qThreadExtraInfo,1"), textToHex("running"));
  for (const thread of ["Hg0", "Hc-1", "T1"]) assert.equal(client.ask(thread), "OK");
  for (const thread of ["Hg2", "T2", "Hc-2", "H", "qThreadExtraInfo,2"]) assert.equal(client.ask(thread), "E16");
});

test("what monitor is told goes to the machine, and what that says comes back", () => {
  const client = new Client();
  assert.equal(client.ask(`qRcmd,${textToHex("info  registers")}`), textToHex("you said info registers\n"));
  assert.equal(client.ask("qRcmd,0"), "E16");
});

test("commands that are not known have an empty reply", () => {
  for (const command of ["", "!", "qSymbol::", "vMustReplyEmpty", "vRun;", "QNonStop:1", "R00", "\xff\x00"]) {
    assert.equal(new Client().ask(command), "", command);
  }
});

test("a packet that is too long is an error", () => {
  assert.equal(new Client().ask(`M1000,ffff:${"0".repeat(PACKET_SIZE)}`), "E07");
});

test("a client that sends nonsense gets replies of bounded length, and a sound one is served after it", () => {
  const random = new SeededRandom(1);
  const starts = [
    "",
    "g",
    "G",
    "p",
    "P",
    "m",
    "M",
    "X",
    "Z0,",
    "z3,",
    "c",
    "s",
    "C",
    "H",
    "T",
    "vCont;",
    "qXfer:features:read:",
    "qRcmd,",
    "qSupported:",
    "D",
    "?",
  ];
  const alphabet = "0123456789abcdef,;:=-+#$}*\x03\xff cs";
  const client = new Client();
  const bytes = new Uint8Array(24);
  for (let i = 0; i < 20_000; i++) {
    random.fill(bytes);
    const start = starts[(bytes[0] as number) % starts.length] as string;
    const rest = [...bytes.subarray(2, 2 + ((bytes[1] as number) % 22))].map(
      (byte) => alphabet[byte % alphabet.length],
    );
    const body = start + rest.join("");
    const reply = client.raw((bytes[1] as number) & 1 ? packet(body) : body);
    assert.ok(reply.length < 4 * PACKET_SIZE);
    client.stop({ kind: "step" });
  }
  client.raw("#00");
  client.raw("#00\x03");
  assert.equal(client.ask("p0")?.length, 8);
});
