/** A Debian guest on a network with a way out, and servers of this host in the place of the internet's. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { type TestContext, test } from "node:test";
import { MIB } from "../../src/bits/units.ts";
import type { PreparedGuest } from "../../src/hypervisor/catalogue/debian-guest.ts";
import { SeededRandom } from "../../src/machine/testing/rig.ts";
import { NodeOutside } from "../../src/net/node/node-outside.ts";
import { parseIpv4Address, parseMacAddress } from "../../src/net/wire/addresses.ts";
import { Machine } from "../../src/vm/machine.ts";
import { nodeHost } from "../../src/vm/node/host.ts";
import { SerialStream } from "../../src/vm/serial-stream.ts";
import { catalogueGuest } from "./catalogue-guest.ts";
import { GuestShell } from "./guest-shell.ts";

/** A host outside, as the guest sees it; it is this one. */
const SERVER = "203.0.113.5";
const LOOPBACK = "127.0.0.1";
const SIZE = 16 * MIB;

/** A machine in this thread, as its network must lead to this host, which those of `bunk run` and the library do not. */
async function start(t: TestContext, guest: PreparedGuest, nameServers: readonly string[]) {
  const outside = new NodeOutside({
    route: (address) => (address === parseIpv4Address(SERVER) ? LOOPBACK : undefined),
    nameServers: () => nameServers,
  });
  const serial = new SerialStream(
    (bytes) => machine.sendSerial(bytes),
    (ms, fire) => {
      const timer = setTimeout(fire, ms);
      return () => clearTimeout(timer);
    },
  );
  const machine = await Machine.create(
    {
      memory: guest.memoryMiB * MIB,
      cpu: "max",
      clock: "real",
      kernel: {
        image: await readFile(guest.kernel),
        initrd: await readFile(guest.initrd),
        commandLine: guest.append,
      },
      disks: [],
      nics: [
        {
          model: "virtio",
          address: parseMacAddress("52:54:00:12:34:56") ?? assert.fail(),
          network: { kind: "user", outside },
        },
      ],
      serial: { write: (bytes) => serial.receive(bytes.slice()) },
      debugExit: false,
      noReboot: true,
    },
    nodeHost(),
  );
  const ended = machine.run();
  t.after(() => {
    machine.stop();
    return ended;
  });
  return { shell: new GuestShell(serial), ended };
}

test("a guest on a network with a way out", async (t) => {
  const guest = await catalogueGuest(t, "debian");
  if (!guest) return;
  const content = new Uint8Array(SIZE);
  new SeededRandom(1).fill(content);
  // BusyBox posts texts, which end with a zero.
  for (let i = 0; i < SIZE; i++) content[i] = 0x40 | ((content[i] as number) & 0x3f);
  const uploads: string[] = [];
  const web = createHttpServer(async (request, response) => {
    if (request.method === "GET") {
      response.end(content);
      return;
    }
    const hash = createHash("sha256");
    for await (const chunk of request) hash.update(chunk as Buffer);
    uploads.push(hash.digest("hex"));
    response.end("thanks");
  });
  const sink = createServer((socket) => {
    const hash = createHash("sha256");
    socket.on("data", (chunk) => hash.update(chunk));
    socket.on("end", () => socket.end(`${hash.digest("hex")}\n`));
  });
  const names = createSocket("udp4", (question) => names.send(answer(question), from.port, from.address));
  let from = { port: 0, address: LOOPBACK };
  names.prependListener("message", (_bytes, sender) => (from = sender));
  for (const server of [web, sink]) {
    server.listen(0, LOOPBACK);
    await once(server, "listening");
    t.after(() => server.close());
  }
  names.bind(0, LOOPBACK);
  await once(names, "listening");
  t.after(() => names.close());
  const port = (server: { address(): unknown }) => (server.address() as AddressInfo).port;

  const { shell, ended } = await start(t, guest, [`${LOOPBACK}:${port(names)}`]);
  await shell.ready();

  await t.test("the guest gets an address, a router and a name server", async () => {
    await shell.run("i=0; until ip route | grep -q default; do sleep 0.2; i=$((i + 1)); [ $i -lt 100 ] || break; done");
    assert.match(await shell.run("ip route"), /^default via 10\.0\.2\.2 dev eth0/m);
    assert.equal(await shell.run("cat /etc/resolv.conf"), "nameserver 10.0.2.3\n");
    await shell.run("ping -c 1 10.0.2.2 && ping -c 1 10.0.2.3");
  });

  await t.test("names are asked for", async () => {
    assert.match(await shell.run("nslookup -type=a example.test"), new RegExp(`Address: ${SERVER}`));
  });

  await t.test("a file comes from a web server whole", async () => {
    const output = await shell.run(`wget -q -O - http://example.test:${port(web)}/ >/tmp/file && sha256sum </tmp/file`);
    assert.equal(output, `${sha256(content)}  -\n`);
  });

  await t.test("a file that the guest posts arrives whole", async () => {
    const command = `wget -q -O - --post-file /tmp/file http://example.test:${port(web)}/`;
    assert.equal(await shell.run(command), "thanks");
    assert.deepEqual(uploads, [sha256(content)]);
  });

  await t.test("what the guest sends arrives whole, and the answer after its end too", async () => {
    assert.equal(await shell.run(`nc ${SERVER} ${port(sink)} </tmp/file`), `${sha256(content)}\n`);
  });

  await t.test("nobody answers where nobody listens", async () => {
    assert.match(await shell.run(`nc -w 5 ${SERVER} 1 2>&1`, 1), /refused/);
  });

  await t.test("the host itself is out of reach", async () => {
    for (const address of ["10.0.2.2", "192.0.2.1"]) {
      assert.match(await shell.run(`nc -w 5 ${address} ${port(web)} 2>&1`, 1), /refused/);
    }
  });

  shell.type("poweroff -f\n");
  assert.deepEqual(await ended, { kind: "power-off" });
});

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** The answer to a question for an address: SERVER's. @spec RFC 1035 §4.1 */
function answer(question: Uint8Array): Uint8Array {
  const header = Uint8Array.from(question.subarray(0, 12));
  header.set([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0], 2);
  const end = 12 + question.subarray(12).indexOf(0) + 5;
  const record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...SERVER.split(".").map(Number)];
  return Uint8Array.of(...header, ...question.subarray(12, end), ...record);
}
