import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { Damage, TILE } from "./damage.ts";
import { Frame } from "./frame.ts";
import { TestDisplay } from "./testing/test-display.ts";

test("all that was marked is taken out once, within the picture, however it is asked for", () => {
  const random = new SeededRandom(64);
  for (let round = 0; round < 200; round++) {
    const width = 1 + random.below(400);
    const height = 1 + random.below(400);
    const damage = new Damage(width, height);
    const due = new Uint8Array(width * height);
    const any = () => ({
      x: random.below(500),
      y: random.below(500),
      width: random.below(300),
      height: random.below(300),
    });
    const cover = (part: ReturnType<typeof any>, value: number) => {
      for (let y = part.y; y < Math.min(part.y + part.height, height); y++) {
        for (let x = part.x; x < Math.min(part.x + part.width, width); x++) due[y * width + x] = value;
      }
    };
    for (let i = 0; i < 5; i++) {
      const part = any();
      damage.mark(part);
      cover(part, 1);
    }
    for (let i = 0; i < 3; i++) {
      for (const part of damage.take(any(), 1 + random.below(50_000))) {
        assert.ok(part.width > 0 && part.height > 0 && part.x + part.width <= width && part.y + part.height <= height);
        cover(part, 0);
      }
    }
    const whole = { x: 0, y: 0, width, height };
    for (const part of damage.take(whole, Number.POSITIVE_INFINITY)) cover(part, 0);
    assert.ok(!due.includes(1));
    assert.equal(damage.has(whole), false);
    assert.deepEqual(damage.take(whole, 1), []);
  }
});

test("a frame tells of what is different, not of what was drawn again", () => {
  const display = new TestDisplay(300, 200);
  const frame = new Frame(display);
  const parts: unknown[] = [];
  frame.watch({ resized: () => parts.push("resized"), changed: (part) => parts.push(part) });
  frame.refresh();
  display.exaggerates = true;
  frame.refresh();
  assert.deepEqual(parts, []);
  display.paint({ x: 130, y: 70, width: 2, height: 2 }, () => 1);
  frame.refresh();
  assert.deepEqual(parts, [{ x: 2 * TILE, y: TILE, width: TILE, height: TILE }]);
  assert.equal(frame.picture.pixels[70 * 300 + 130], 1);
  display.resize(0, 0);
  frame.refresh();
  display.resize(10, 10);
  frame.refresh();
  assert.deepEqual(parts.slice(1), ["resized", "resized"]);
});
