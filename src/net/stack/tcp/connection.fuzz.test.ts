import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../../machine/testing/rig.ts";
import { establishedPeer, tcpPeer } from "../../testing/tcp-peer.ts";
import { LARGEST_SEGMENT } from "./connection.ts";
import { sequence } from "./sequence.ts";

const ROOM = 5000;

/** A number that may matter: near what the connection expects, or any. */
function near(random: SeededRandom, values: readonly number[]): number {
  if (random.below(6) === 0) return random.next();
  return (values[random.below(values.length)] ?? 0) + (random.below(4) === 0 ? random.below(3000) - 1500 : 0);
}

test("whatever a peer says, nothing throws, and no more is taken than there is room for", () => {
  for (let seed = 1; seed <= 150; seed++) {
    const random = new SeededRandom(seed);
    const windowShift = random.below(20);
    const rig = (random.below(4) ? establishedPeer : tcpPeer)({
      peerInitial: random.next(),
      initial: random.next(),
      maximumSegmentSize: random.below(3) ? 1460 : random.below(0x10000),
      window: random.below(0x10000),
      room: ROOM,
      ...(windowShift > 14 ? {} : { windowShift }),
    });
    const { say, connection, time, peer, take } = rig;
    let written = 0;
    for (let i = 0; i < 300; i++) {
      // Where the peer's data goes on, and what was sent to it.
      const offset = peer.heard.length + 1;
      const flag = (one: number) => random.below(one) === 0;
      say({
        sequence: near(random, [offset, offset, offset + 100, 0]),
        acknowledgment: near(random, [1, written + 1, written, written + 2]),
        window: flag(3) ? random.below(0x10000) : 1000,
        payload: new Uint8Array(flag(2) ? random.below(2000) : 0),
        flags: { ack: !flag(20), syn: flag(40), fin: flag(40), rst: flag(60), urg: flag(10) },
      });
      if (flag(4) && !["fin-wait-1", "fin-wait-2", "closing", "last-ack"].includes(connection.state)) {
        if (connection.buffered < ROOM) {
          const bytes = new Uint8Array(random.below(5000));
          connection.write(bytes);
          written += bytes.length;
        }
      }
      if (flag(100)) connection.finish();
      if (flag(200)) connection.abort();
      if (flag(3)) {
        peer.room = Math.min(peer.room + random.below(3000), ROOM);
        connection.roomAgain();
      }
      time.advance(flag(3) ? random.below(1e9) : 0);
      assert.ok(peer.room >= 0, `seed ${seed}: room ${peer.room}`);
      assert.ok(connection.buffered < 3 * ROOM);
      for (const { payload, window = 0 } of take()) {
        assert.ok((payload?.length ?? 0) <= LARGEST_SEGMENT);
        assert.ok(window <= 0xffff);
      }
      if (connection.state !== "closed") assert.ok(!peer.events.some((event) => event.startsWith("closed")));
    }
    assert.ok(peer.events.length <= 2, `${peer.events}`);
  }
});

test("over a line that loses, doubles and mixes segments, all bytes arrive both ways in their order", () => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = new SeededRandom(seed);
    const text = Array.from({ length: 20_000 }, () => String.fromCharCode(97 + random.below(26))).join("");
    const { say, write, connection, time, peer, take } = establishedPeer({ window: 3000, room: 1e9 });
    write(text);
    connection.finish();
    // A peer of the simplest kind: takes what comes in order, and sends from what was acknowledged last.
    let heard = "";
    let hasEnded = false;
    let acknowledged = 0;
    for (let round = 0; peer.events.length < 2; round++) {
      assert.ok(round < 20_000, `seed ${seed}: ${heard.length} and ${peer.heard.length} bytes`);
      const line = take().flatMap((segment) => [[], [segment], [segment], [segment, segment]][random.below(4)] ?? []);
      line.sort(() => random.below(3) - 1);
      for (const { sequence: number, acknowledgment, payload = new Uint8Array(0), flags } of line) {
        const start = sequence(number) - 5001;
        if (start <= heard.length) heard += new TextDecoder().decode(payload).slice(heard.length - start);
        if (flags.fin && start + payload.length === heard.length) hasEnded = true;
        acknowledged = Math.max(acknowledged, sequence(acknowledgment ?? 0) - 1001);
      }
      const at = Math.max(acknowledged + random.below(200) - 100, 0);
      // Once both have ended it is silent, but for acknowledging again what comes again.
      const isDone = hasEnded && acknowledged === text.length + 1;
      if (isDone ? line.some(({ flags }) => flags.fin) : random.below(2)) {
        say({
          sequence: 1 + Math.min(at, text.length + 1),
          acknowledgment: 1 + heard.length + Number(hasEnded),
          text: text.slice(at, at + 100),
          flags: { fin: at + 100 >= text.length && at <= text.length },
        });
      }
      time.advance(random.below(1e8));
    }
    assert.equal(heard, text);
    assert.equal(peer.heard, text);
    assert.ok(hasEnded);
  }
});
