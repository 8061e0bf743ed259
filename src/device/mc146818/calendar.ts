/**
 * The time registers of an MC146818: seconds since 1970 to register bytes and back, in the four formats
 * that register B chooses.
 *
 * @spec Motorola MC146818A datasheet (ADI-1017), "Time, Calendar, and Alarm Locations"
 */

/** Addresses of the time bytes. The century is where PC firmware keeps it (ACPI FADT field CENTURY). */
export const TimeRegister = {
  seconds: 0x00,
  secondsAlarm: 0x01,
  minutes: 0x02,
  minutesAlarm: 0x03,
  hours: 0x04,
  hoursAlarm: 0x05,
  dayOfWeek: 0x06,
  dayOfMonth: 0x07,
  month: 0x08,
  year: 0x09,
  century: 0x32,
} as const;

export const SECONDS_PER_DAY = 86_400;

/** Register B's DM and 24/12 bits. */
export interface TimeFormat {
  /** Binary bytes; BCD otherwise. */
  readonly binary: boolean;
  /** Hours 0 to 23; otherwise 1 to 12 with bit 7 for PM. */
  readonly hours24: boolean;
}

const PM = 0x80;
/** An alarm byte of 11xxxxxx matches always. */
const DONT_CARE = 0xc0;

const encode = (value: number, binary: boolean): number =>
  binary ? value : (Math.floor(value / 10) << 4) | (value % 10);
const decode = (value: number, binary: boolean): number => (binary ? value : (value >>> 4) * 10 + (value & 15));

function encodeHours(hours: number, { binary, hours24 }: TimeFormat): number {
  if (hours24) return encode(hours, binary);
  return encode(hours % 12 || 12, binary) | (hours >= 12 ? PM : 0);
}

function decodeHours(value: number, { binary, hours24 }: TimeFormat): number {
  if (hours24) return decode(value, binary);
  return (decode(value & ~PM, binary) % 12) + (value & PM ? 12 : 0);
}

const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);

/** Days in a month, month 1 to 12, Gregorian. */
function daysInMonth(year: number, month: number): number {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
}

/** Days since 1970-01-01 of a Gregorian date. */
function daysFromDate(year: number, month: number, day: number): number {
  // Years that begin in March put the leap day last: then a date is whole years plus days from March 1st.
  const shifted = month > 2 ? year : year - 1;
  const fromMarch = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5);
  const leapDays = Math.floor(shifted / 4) - Math.floor(shifted / 100) + Math.floor(shifted / 400);
  return shifted * 365 + leapDays + fromMarch + day - 1 - 719_468;
}

/** Year, month 1 to 12 and day 1 to 31 of a count of days since 1970-01-01. */
function dateFromDays(days: number): { year: number; month: number; day: number } {
  let year = 1970 + Math.floor(days / 365.2425);
  if (daysFromDate(year, 1, 1) > days) year--;
  else if (daysFromDate(year + 1, 1, 1) <= days) year++;
  let day = days - daysFromDate(year, 1, 1) + 1;
  let month = 1;
  for (; day > daysInMonth(year, month); month++) day -= daysInMonth(year, month);
  return { year, month, day };
}

/** Day of the week, 0 for Sunday, of a count of days since 1970-01-01. */
const weekday = (days: number): number => (((days + 4) % 7) + 7) % 7;

/**
 * Writes the time bytes for `unixSeconds`. `weekdayShift` is how far the guest has set its day of the week
 * from the calendar's (the chip counts it apart from the date).
 */
export function writeTime(cmos: Uint8Array, unixSeconds: number, format: TimeFormat, weekdayShift: number): void {
  const days = Math.floor(unixSeconds / SECONDS_PER_DAY);
  const second = unixSeconds - days * SECONDS_PER_DAY;
  const { year, month, day } = dateFromDays(days);
  const { binary } = format;
  cmos[TimeRegister.seconds] = encode(second % 60, binary);
  cmos[TimeRegister.minutes] = encode(Math.floor(second / 60) % 60, binary);
  cmos[TimeRegister.hours] = encodeHours(Math.floor(second / 3600), format);
  cmos[TimeRegister.dayOfWeek] = encode(((weekday(days) + weekdayShift) % 7) + 1, binary);
  cmos[TimeRegister.dayOfMonth] = encode(day, binary);
  cmos[TimeRegister.month] = encode(month, binary);
  cmos[TimeRegister.year] = encode(year % 100, binary);
  cmos[TimeRegister.century] = encode(Math.floor(year / 100) % 100, binary);
}

/** The time that the bytes show, seconds since 1970; a byte out of its range counts as the nearest in range. */
export function readTime(cmos: Uint8Array, format: TimeFormat): { unixSeconds: number; weekdayShift: number } {
  const byte = (register: number) => cmos[register] ?? 0;
  const number = (register: number, low: number, high: number) =>
    clamp(decode(byte(register), format.binary), low, high);
  const year = number(TimeRegister.century, 0, 99) * 100 + number(TimeRegister.year, 0, 99);
  const month = number(TimeRegister.month, 1, 12);
  const day = number(TimeRegister.dayOfMonth, 1, daysInMonth(year, month));
  const days = daysFromDate(year, month, day);
  const hours = clamp(decodeHours(byte(TimeRegister.hours), format), 0, 23);
  const second = hours * 3600 + number(TimeRegister.minutes, 0, 59) * 60 + number(TimeRegister.seconds, 0, 59);
  const shown = number(TimeRegister.dayOfWeek, 1, 7) - 1;
  return { unixSeconds: days * SECONDS_PER_DAY + second, weekdayShift: (shown - weekday(days) + 7) % 7 };
}

/** The first second after `unixSeconds` at which the alarm bytes match; undefined where they never do. */
export function nextAlarm(cmos: Uint8Array, unixSeconds: number, format: TimeFormat): number | undefined {
  const byte = (register: number) => cmos[register] ?? 0;
  const field = (register: number, value: (raw: number) => number, limit: number): number[] => {
    const raw = byte(register);
    if (raw >= DONT_CARE) return Array.from({ length: limit }, (_, i) => i);
    const wanted = value(raw);
    return wanted < limit ? [wanted] : [];
  };
  const plain = (raw: number) => decode(raw, format.binary);
  const hours = field(TimeRegister.hoursAlarm, (raw) => decodeHours(raw, format), 24);
  const minutes = field(TimeRegister.minutesAlarm, plain, 60);
  const seconds = field(TimeRegister.secondsAlarm, plain, 60);
  const midnight = Math.floor(unixSeconds / SECONDS_PER_DAY) * SECONDS_PER_DAY;
  for (const day of [midnight, midnight + SECONDS_PER_DAY]) {
    for (const hour of hours) {
      if (day + hour * 3600 + 3599 <= unixSeconds) continue;
      for (const minute of minutes) {
        const from = day + hour * 3600 + minute * 60;
        if (from + 59 <= unixSeconds) continue;
        const second = seconds.find((value) => from + value > unixSeconds);
        if (second !== undefined) return from + second;
      }
    }
  }
  return undefined;
}
