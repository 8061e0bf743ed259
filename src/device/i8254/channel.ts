/**
 * One counter of an 8254, evaluated on demand: instead of stepping with each CLK pulse it keeps the tick at
 * which its counting element was loaded, and gives count and OUT for any later tick.
 *
 * A count written at tick T is loaded into the counting element at the next CLK pulse, T + 1.
 *
 * @spec Intel 82C54 datasheet (231244), "Mode Definitions" and "Operation Common to All Modes"
 */
export type CounterMode = 0 | 1 | 2 | 3 | 4 | 5;

/** Nothing pending: no tick, no latched value. */
export const NONE = -1;

export interface ChannelState {
  mode: CounterMode;
  bcd: boolean;
  /** RW1 and RW0 of the control word: 1 least significant byte only, 2 most significant only, 3 both. */
  access: 1 | 2 | 3;
  gate: boolean;
  /** The count register CR in clocks, 1 to 65536; a control word clears it, which counts as full. */
  count: number;
  /** A count was written that the counting element does not have yet (NULL COUNT). */
  nullCount: boolean;
  /** When CR goes to the counting element, `NONE` where that needs a trigger or a count first. */
  loadAt: number;
  /** That load begins the low half of mode 3. */
  loadLow: boolean;
  /** The counting element was loaded since the control word. */
  loaded: boolean;
  counting: boolean;
  /** Mode 0 between the bytes of a new count: OUT low, not counting. */
  halted: boolean;
  /** Tick at which the counting element held `element` while counting; in mode 3, where its high half begins. */
  start: number;
  /** The counting element at `start`, or where it stopped; below zero after as many clocks beyond terminal count. */
  element: number;
  /** Tick of terminal count in modes 0, 1, 4 and 5, passed or to come; `NONE` before it is known. */
  terminalAt: number;
  /** Clocks of the period in modes 2 and 3. */
  period: number;
  /** The low byte of a count whose high byte is still to come, or `NONE`. */
  writeLow: number;
  /** The next unlatched read gives the high byte. */
  readHigh: boolean;
  /** The latched count, 16 bits, or `NONE`. */
  latchedCount: number;
  /** The next read of the latched count gives the high byte. */
  latchedHigh: boolean;
  latchedStatus: number;
}

export const powerOnChannel = (gate: boolean): ChannelState => ({
  mode: 3,
  bcd: false,
  access: 3,
  gate,
  count: 0x10000,
  nullCount: true,
  loadAt: NONE,
  loadLow: false,
  loaded: false,
  counting: false,
  halted: false,
  start: 0,
  element: 0,
  terminalAt: NONE,
  period: 0x10000,
  writeLow: NONE,
  readHigh: false,
  latchedCount: NONE,
  latchedHigh: false,
  latchedStatus: NONE,
});

const isPeriodic = (channel: ChannelState): boolean => channel.mode === 2 || channel.mode === 3;

/** Modes 1 and 5 count whatever the gate's level; a rising gate starts them. */
const isTriggered = (channel: ChannelState): boolean => channel.mode === 1 || channel.mode === 5;

/** Clocks that OUT is high in a period of mode 3: the longer half where the count is odd. */
const highHalf = (period: number): number => (period + 1) >>> 1;

/** The counting element at `tick`: clocks left to terminal count, at or below zero beyond it. Not for mode 3. */
function elementAt(channel: ChannelState, tick: number): number {
  if (!channel.counting) return channel.element;
  const elapsed = tick - channel.start;
  return channel.mode === 2 ? channel.period - (elapsed % channel.period) : channel.element - elapsed;
}

/** Where in its period mode 3 is; 0 begins the high half. */
const phaseAt = (channel: ChannelState, tick: number): number => (tick - channel.start) % channel.period;

/** The first tick after `tick` at which mode 2 or 3 reloads: the end of a period, or of a half in mode 3. */
function nextReload(channel: ChannelState, tick: number): number {
  const { start, period } = channel;
  const periodStart = start + Math.floor((tick - start) / period) * period;
  if (channel.mode === 3 && phaseAt(channel, tick) < highHalf(period)) return periodStart + highHalf(period);
  return periodStart + period;
}

/** Does the load that falls due by `tick`. To be called before anything else is asked or changed. */
export function settle(channel: ChannelState, tick: number): void {
  if (channel.loadAt === NONE || tick < channel.loadAt) return;
  const { count, loadAt, loadLow } = channel;
  channel.period = count;
  channel.element = channel.mode === 3 ? count - (count & 1) : count;
  channel.start = loadLow ? loadAt - highHalf(count) : loadAt;
  channel.loaded = true;
  channel.halted = false;
  channel.nullCount = false;
  channel.counting = isTriggered(channel) || channel.gate;
  channel.terminalAt = channel.counting ? loadAt + count : NONE;
  channel.loadAt = NONE;
  channel.loadLow = false;
}

/** The level of OUT at `tick`, settled. */
export function outAt(channel: ChannelState, tick: number): boolean {
  if (!channel.loaded || channel.halted) return channel.mode !== 0;
  switch (channel.mode) {
    case 0:
    case 1:
      return channel.terminalAt !== NONE && tick >= channel.terminalAt;
    case 2:
      return !channel.counting || elementAt(channel, tick) !== 1;
    case 3:
      return !channel.counting || phaseAt(channel, tick) < highHalf(channel.period);
    case 4:
    case 5:
      return tick !== channel.terminalAt;
  }
}

/** The next tick after `tick` (settled) at which OUT can change level, reckoned with a constant gate; `NONE` where it cannot. */
export function nextChange(channel: ChannelState, tick: number): number {
  const { mode, counting, loadAt, terminalAt, count } = channel;
  if (isPeriodic(channel)) {
    if (counting) return nextReload(channel, tick);
    if (loadAt === NONE || !channel.gate) return NONE;
    return loadAt + (mode === 3 ? highHalf(count) : count);
  }
  // Modes 4 and 5 give a strobe of one clock after terminal count: what counts is its end.
  const tail = mode === 4 || mode === 5 ? 1 : 0;
  const terminal = terminalAt === NONE ? NONE : terminalAt + tail;
  if (loadAt === NONE) return terminal > tick ? terminal : NONE;
  if (terminal > tick && terminal <= loadAt) return terminal;
  return tail === 0 ? loadAt : loadAt + count + tail;
}

/** Decimal digits of a BCD number; a digit above 9 counts for what it is worth. */
const fromBcd = (value: number): number =>
  (value >>> 12) * 1000 + ((value >>> 8) & 15) * 100 + ((value >>> 4) & 15) * 10 + (value & 15);

const toBcd = (value: number): number =>
  (Math.floor(value / 1000) << 12) |
  ((Math.floor(value / 100) % 10) << 8) |
  ((Math.floor(value / 10) % 10) << 4) |
  (value % 10);

/** The number in the counting element at `tick`, in any mode: mode 3 counts down by two, from an even number. */
function countAt(channel: ChannelState, tick: number): number {
  if (channel.mode !== 3 || !channel.counting) return elementAt(channel, tick);
  const phase = phaseAt(channel, tick);
  const high = highHalf(channel.period);
  return channel.period - (channel.period & 1) - 2 * (phase < high ? phase : phase - high);
}

/** The 16 bits that the output latch shows at `tick`, settled. */
function readout(channel: ChannelState, tick: number): number {
  let value = countAt(channel, tick);
  const modulus = channel.bcd ? 10_000 : 0x10000;
  value = ((value % modulus) + modulus) % modulus;
  return channel.bcd ? toBcd(value) : value;
}

function stop(channel: ChannelState, tick: number): void {
  if (!channel.counting) return;
  channel.element = countAt(channel, tick);
  channel.counting = false;
  if (channel.terminalAt > tick) channel.terminalAt = NONE;
}

/** A control word: mode, access and format; the count that follows starts it. */
export function program(
  channel: ChannelState,
  tick: number,
  control: Pick<ChannelState, "mode" | "access" | "bcd">,
): void {
  settle(channel, tick);
  stop(channel, tick);
  const { gate, element } = channel;
  Object.assign(channel, powerOnChannel(gate), control, { element, count: control.bcd ? 10_000 : 0x10000 });
}

/** A whole count was written, 16 bits in the channel's format. */
function setCount(channel: ChannelState, tick: number, value: number): void {
  const full = channel.bcd ? 10_000 : 0x10000;
  const count = (channel.bcd ? fromBcd(value) : value) || full;
  // A count of 1 is illegal in modes 2 and 3 and taken as 2.
  channel.count = isPeriodic(channel) ? Math.max(count, 2) : count;
  channel.nullCount = true;
  if (channel.loadAt !== NONE) return;
  if (isTriggered(channel)) return;
  if (!isPeriodic(channel) || !channel.loaded) {
    channel.loadAt = tick + 1;
  } else if (channel.counting) {
    // The present period (half of a period in mode 3) is not disturbed.
    channel.loadAt = nextReload(channel, tick);
    channel.loadLow = channel.mode === 3 && phaseAt(channel, tick) < highHalf(channel.period);
  }
}

/** A byte written to the counter. */
export function writeCounter(channel: ChannelState, tick: number, value: number): void {
  settle(channel, tick);
  if (channel.access === 1) {
    setCount(channel, tick, value);
  } else if (channel.access === 2) {
    setCount(channel, tick, value << 8);
  } else if (channel.writeLow === NONE) {
    channel.writeLow = value;
    if (channel.mode === 0) {
      stop(channel, tick);
      channel.halted = true;
      channel.loadAt = NONE;
    }
  } else {
    const low = channel.writeLow;
    channel.writeLow = NONE;
    setCount(channel, tick, (value << 8) | low);
  }
}

/** The counter latch command; without effect until an earlier latched count is read. */
export function latchCount(channel: ChannelState, tick: number): void {
  if (channel.latchedCount !== NONE) return;
  settle(channel, tick);
  channel.latchedCount = readout(channel, tick);
  channel.latchedHigh = channel.access === 2;
}

/** The status part of the read-back command: OUT, NULL COUNT, RW, mode, BCD. */
export function latchStatus(channel: ChannelState, tick: number): void {
  if (channel.latchedStatus !== NONE) return;
  settle(channel, tick);
  channel.latchedStatus =
    (outAt(channel, tick) ? 0x80 : 0) |
    (channel.nullCount ? 0x40 : 0) |
    (channel.access << 4) |
    (channel.mode << 1) |
    (channel.bcd ? 1 : 0);
}

/** A byte read from the counter: latched status, then latched count, then the count as it runs. */
export function readCounter(channel: ChannelState, tick: number): number {
  if (channel.latchedStatus !== NONE) {
    const status = channel.latchedStatus;
    channel.latchedStatus = NONE;
    return status;
  }
  if (channel.latchedCount !== NONE) {
    const value = channel.latchedCount;
    const high = channel.latchedHigh;
    if (channel.access === 3 && !high) channel.latchedHigh = true;
    else channel.latchedCount = NONE;
    return high ? value >>> 8 : value & 0xff;
  }
  settle(channel, tick);
  const value = readout(channel, tick);
  const high = channel.access === 2 || (channel.access === 3 && channel.readHigh);
  if (channel.access === 3) channel.readHigh = !channel.readHigh;
  return high ? value >>> 8 : value & 0xff;
}

/** The GATE input. */
export function setGate(channel: ChannelState, tick: number, gate: boolean): void {
  settle(channel, tick);
  if (gate === channel.gate) return;
  channel.gate = gate;
  if (isTriggered(channel)) {
    if (gate) channel.loadAt = tick + 1;
  } else if (isPeriodic(channel)) {
    if (gate) {
      if (channel.loaded) channel.loadAt = tick + 1;
    } else {
      stop(channel, tick);
      if (channel.loaded) channel.loadAt = NONE;
      channel.loadLow = false;
    }
  } else if (!gate) {
    stop(channel, tick);
  } else if (channel.loaded && !channel.halted) {
    channel.start = tick;
    channel.counting = true;
    if (channel.element > 0) channel.terminalAt = tick + channel.element;
  }
}
