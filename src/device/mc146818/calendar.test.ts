import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../machine/testing/rig.ts";
import { nextAlarm, readTime, type TimeFormat, TimeRegister, writeTime } from "./calendar.ts";

const FORMATS: TimeFormat[] = [
  { binary: false, hours24: true },
  { binary: false, hours24: false },
  { binary: true, hours24: true },
  { binary: true, hours24: false },
];

test("every format shows and takes back the date that JavaScript's calendar gives, years 1 to 9999", () => {
  const random = new SeededRandom(1);
  const cmos = new Uint8Array(128);
  for (let i = 0; i < 5000; i++) {
    const unixSeconds = -62_135_596_800 + Math.floor((random.next() / 2 ** 32) * 315_537_897_600);
    const date = new Date(unixSeconds * 1000);
    writeTime(cmos, unixSeconds, FORMATS[2]!, 0);
    assert.deepEqual(
      [...cmos.subarray(6, 10), cmos[4], cmos[2], cmos[0], cmos[0x32]],
      [
        date.getUTCDay() + 1,
        date.getUTCDate(),
        date.getUTCMonth() + 1,
        date.getUTCFullYear() % 100,
        date.getUTCHours(),
        date.getUTCMinutes(),
        date.getUTCSeconds(),
        Math.floor(date.getUTCFullYear() / 100),
      ],
    );
    for (const format of FORMATS) {
      const shift = random.below(7);
      writeTime(cmos, unixSeconds, format, shift);
      assert.deepEqual(readTime(cmos, format), { unixSeconds, weekdayShift: shift });
    }
  }
});

test("12-hour bytes count 12, 1 to 11 with bit 7 for PM", () => {
  const cmos = new Uint8Array(128);
  const hours = (hour: number) => {
    writeTime(cmos, hour * 3600, FORMATS[1]!, 0);
    return cmos[TimeRegister.hours];
  };
  assert.deepEqual([0, 1, 11, 12, 13, 23].map(hours), [0x12, 0x01, 0x11, 0x92, 0x81, 0x91]);
});

test("bytes out of range count as the nearest in range", () => {
  const cmos = new Uint8Array(128).fill(0xff);
  const { unixSeconds } = readTime(cmos, FORMATS[2]!);
  assert.equal(new Date(unixSeconds * 1000).toISOString(), "9999-12-31T23:59:59.000Z");
  cmos.fill(0);
  assert.ok(Number.isFinite(readTime(cmos, FORMATS[0]!).unixSeconds));
});

test("the next alarm is the first second that a search second by second finds", () => {
  const random = new SeededRandom(2);
  const cmos = new Uint8Array(128);
  const any = () => random.below(3) === 0;
  for (let i = 0; i < 60; i++) {
    const format = FORMATS[i % 4]!;
    const wanted = { hour: random.below(24), minute: random.below(60), second: random.below(60) };
    writeTime(cmos, wanted.hour * 3600 + wanted.minute * 60 + wanted.second, format, 0);
    const anyHour = any();
    const anyMinute = any();
    const anySecond = any();
    cmos[TimeRegister.hoursAlarm] = anyHour ? 0xc0 : cmos[TimeRegister.hours]!;
    cmos[TimeRegister.minutesAlarm] = anyMinute ? 0xff : cmos[TimeRegister.minutes]!;
    cmos[TimeRegister.secondsAlarm] = anySecond ? 0xd5 : cmos[TimeRegister.seconds]!;
    const from = 1_700_000_000 + random.below(10_000_000);
    let expected = from + 1;
    for (; ; expected++) {
      const date = new Date(expected * 1000);
      if (
        (anyHour || date.getUTCHours() === wanted.hour) &&
        (anyMinute || date.getUTCMinutes() === wanted.minute) &&
        (anySecond || date.getUTCSeconds() === wanted.second)
      )
        break;
    }
    assert.equal(nextAlarm(cmos, from, format), expected);
  }
});

test("an alarm that cannot be is never due", () => {
  const cmos = new Uint8Array(128);
  cmos[TimeRegister.minutesAlarm] = 0x77;
  assert.equal(nextAlarm(cmos, 0, FORMATS[0]!), undefined);
});
