import assert from "node:assert/strict";
import { test } from "node:test";
import { EthernetHub } from "./hub.ts";
import type { EthernetStation } from "./link.ts";

class Listener implements EthernetStation {
  readonly heard: number[] = [];
  told = 0;
  hasRoom = true;
  receive(frame: Uint8Array): boolean {
    if (this.hasRoom) this.heard.push(frame[0] as number);
    return this.hasRoom;
  }
  roomAgain(): void {
    this.told++;
  }
}

function rig() {
  const hub = new EthernetHub();
  const stations = [new Listener(), new Listener(), new Listener()] as const;
  return { stations, ports: stations.map((station) => hub.connect(station)) };
}

test("a frame reaches all stations but its sender", () => {
  const { stations, ports } = rig();
  assert.equal(ports[1]?.transmit(Uint8Array.of(7)), true);
  assert.deepEqual(
    stations.map(({ heard }) => heard),
    [[7], [], [7]],
  );
});

test("a sender learns that one station had no room, which the others do not miss the frame for", () => {
  const { stations, ports } = rig();
  stations[0].hasRoom = false;
  assert.equal(ports[1]?.transmit(Uint8Array.of(7)), false);
  assert.deepEqual(stations[2].heard, [7]);
  ports[0]?.roomAgain();
  assert.deepEqual(
    stations.map(({ told }) => told),
    [0, 1, 1],
  );
});
