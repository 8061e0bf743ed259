/** The index of kept regions finds what a search through all of them does. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { hasPlace, indexOf, NO_PLACE, placeOf, regionsOf } from "./region-index.ts";

test("regions are found by their keys, and places by their bits", () => {
  let seed = 1;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed % below;
  };
  const few = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
  const keys = Uint32Array.from({ length: 3000 }, () => (random(3) ? random(2 ** 32) : (few[random(5)] as number)));
  const places = Uint32Array.from({ length: 3000 }, () =>
    random(10) ? placeOf({ offset: random(4096), first: random(256) }) : NO_PLACE,
  );
  const index = indexOf(keys, places);
  const expected = (key: number) => [...keys.keys()].filter((i) => keys[i] === key && places[i] !== NO_PLACE);
  for (const key of [...few, 2, 0xffff_fffe, ...keys.subarray(0, 500)]) {
    assert.deepEqual(regionsOf(index, key), expected(key), `key ${key}`);
  }
  const known = new Set(places);
  for (let i = 0; i < 20_000; i++) {
    const place = i < 3000 && places[i] !== NO_PLACE ? (places[i] as number) : random(4096 * 256);
    assert.equal(hasPlace(index, place), known.has(place), `place ${place}`);
  }
  assert.deepEqual(regionsOf(indexOf(new Uint32Array(), new Uint32Array()), 7), []);
});
