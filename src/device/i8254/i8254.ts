/**
 * 8254 programmable interval timer, ports 0x40 to 0x43, and the PC's port 0x61 (NMI status and control),
 * which holds counter 2's gate and shows its output. Counter 0's OUT is IRQ 0, counter 1 was DRAM
 * refresh, counter 2 the speaker's tone.
 *
 * @spec Intel 82C54 datasheet (231244); Intel 82371AB (PIIX4) datasheet (290562), §8.5.1 (port 61h)
 *
 * Not modelled: the low pulse of one clock that modes 2, 4 and 5 give is drawn on counter 0's line as a
 * pulse without width, at its rising edge (read-back of OUT is exact); sound other than counter 2's square
 * wave; NMI sources (SERR#, IOCHK# never come).
 */
import { bits } from "../../bits/fields.ts";
import type { Device, SignalLine, Timer, TimeSource } from "../../machine/device.ts";
import { ByteWidePorts, FLOATING_BYTE } from "../isa-bus/byte-wide.ts";
import { oscillator } from "../oscillator/oscillator.ts";
import {
  type ChannelState,
  type CounterMode,
  latchCount,
  latchStatus,
  NONE,
  nextChange,
  outAt,
  powerOnChannel,
  program,
  readCounter,
  setGate,
  settle,
  writeCounter,
} from "./channel.ts";

export const COUNTER_PORT = 0x40;
export const CONTROL_PORT = 0x43;
export const NMI_STATUS_PORT = 0x61;

/** A third of the 3.579545 MHz colour carrier. */
export const PIT_HERTZ = 1_193_182;
const CLK = oscillator(PIT_HERTZ);

/** Counter 1's period as every BIOS sets it: a refresh every 15.1 µs, on which the refresh bit toggles. */
const REFRESH_CLOCKS = 18;

/** Control word. SC 3 is the read-back command. */
const Control = bits({ bcd: 0, mode: [1, 3], rw: [4, 5], sc: [6, 7] });
/** Read-back command; count and status are active low. */
const ReadBack = bits({ counters: [1, 3], noStatus: 4, noCount: 5 });
const READ_BACK = 3;

/** Port 0x61; bits 4 to 7 are read-only. */
export const NmiStatus = bits({
  timerCounter2Enable: 0,
  speakerDataEnable: 1,
  pciSerrEnable: 2,
  iochkEnable: 3,
  refreshCycleToggle: 4,
  timerCounter2Out: 5,
  iochkNmiSource: 6,
  serrNmiSource: 7,
});
const NMI_STATUS_WRITABLE = 0x0f;

export interface I8254State {
  channels: [ChannelState, ChannelState, ChannelState];
  /** The writable bits of port 0x61. */
  nmiControl: number;
  /** Tick of counter 0's next change, for which the timer is armed, or `NONE`. */
  changeAt: number;
}

export interface I8254Wiring {
  readonly time: TimeSource;
  /** Counter 0's OUT, to IRQ 0. */
  readonly irq0: SignalLine;
  /** The speaker's tone has changed: its frequency in hertz, 0 for silence. */
  readonly speaker?: (hertz: number) => void;
}

const powerOn = (): I8254State => ({
  channels: [powerOnChannel(true), powerOnChannel(true), powerOnChannel(false)],
  nmiControl: 0,
  changeAt: NONE,
});

export class I8254 extends ByteWidePorts implements Device<I8254State> {
  readonly state: I8254State = powerOn();
  readonly #time: TimeSource;
  readonly #timer: Timer;
  readonly #irq0: SignalLine;
  readonly #speaker: ((hertz: number) => void) | undefined;
  /** The tone that was told last. */
  #toldTone = 0;

  /** Drives `irq0` high at once: OUT is high until mode 0 is chosen. */
  constructor({ time, irq0, speaker }: I8254Wiring) {
    super();
    this.#time = time;
    this.#irq0 = irq0;
    this.#speaker = speaker;
    this.#timer = time.createTimer("i8254 counter 0", () => this.#fire());
    this.#drive(this.#tick());
  }

  reset(): void {
    Object.assign(this.state, powerOn());
    this.#drive(this.#tick());
    this.#updateTone();
  }

  restored(): void {
    const { changeAt } = this.state;
    if (changeAt === NONE) this.#timer.cancel();
    else this.#timer.arm(CLK.timeOf(changeAt));
    // A change that fell due before the snapshot is still to come: the level is the one before it.
    this.#irq0.set(this.#level(changeAt === NONE ? this.#tick() : Math.min(this.#tick(), changeAt - 1)));
    this.#updateTone();
  }

  /** The speaker's tone in hertz, 0 for silence. */
  get tone(): number {
    const counter2 = this.state.channels[2];
    const { timerCounter2Enable, speakerDataEnable } = NmiStatus(this.state.nmiControl);
    const written = counter2.loaded || counter2.loadAt !== NONE;
    const audible = timerCounter2Enable && speakerDataEnable && counter2.mode === 3 && written;
    return audible ? PIT_HERTZ / counter2.count : 0;
  }

  protected readByte(port: number): number {
    if (port === NMI_STATUS_PORT) return this.#readNmiStatus();
    const channel = this.state.channels[port - COUNTER_PORT];
    return channel ? readCounter(channel, this.#tick()) : FLOATING_BYTE;
  }

  protected writeByte(port: number, value: number): void {
    if (port === NMI_STATUS_PORT) {
      this.state.nmiControl = value & NMI_STATUS_WRITABLE;
      setGate(this.state.channels[2], this.#tick(), (value & NmiStatus.mask.timerCounter2Enable) !== 0);
    } else if (port === CONTROL_PORT) {
      this.#writeControl(value);
    } else {
      const channel = this.state.channels[port - COUNTER_PORT];
      if (!channel) return;
      if (port === COUNTER_PORT) this.#catchUp();
      const tick = this.#tick();
      writeCounter(channel, tick, value);
      if (port === COUNTER_PORT) this.#drive(tick);
    }
    this.#updateTone();
  }

  #tick(): number {
    return CLK.ticksAt(this.#time.now());
  }

  #writeControl(value: number): void {
    const { sc, rw, mode, bcd } = Control(value);
    const tick = this.#tick();
    if (sc === READ_BACK) {
      const { counters, noCount, noStatus } = ReadBack(value);
      for (const [n, channel] of this.state.channels.entries()) {
        if ((counters & (1 << n)) === 0) continue;
        if (!noCount) latchCount(channel, tick);
        if (!noStatus) latchStatus(channel, tick);
      }
      return;
    }
    const channel = this.state.channels[sc];
    if (!channel) return;
    if (rw === 0) {
      latchCount(channel, tick);
      return;
    }
    if (sc === 0) this.#catchUp();
    // Bit 2 of the mode is not decoded where bit 1 is set: 6 and 7 are 2 and 3.
    program(channel, tick, { mode: (mode > 5 ? mode & 3 : mode) as CounterMode, access: rw as 1 | 2 | 3, bcd });
    if (sc === 0) this.#drive(tick);
  }

  #readNmiStatus(): number {
    const tick = this.#tick();
    const counter2 = this.state.channels[2];
    settle(counter2, tick);
    return NmiStatus.with(this.state.nmiControl, {
      refreshCycleToggle: Math.floor(tick / REFRESH_CLOCKS) % 2 === 1,
      timerCounter2Out: outAt(counter2, tick),
    });
  }

  /** Counter 0's line: OUT, less the low clock of the modes that strobe. */
  #level(tick: number): boolean {
    const channel = this.state.channels[0];
    return channel.mode >= 2 && channel.mode !== 3 ? true : outAt(channel, tick);
  }

  /** Sets counter 0's line and arms the timer for its next change. */
  #drive(tick: number): void {
    const channel = this.state.channels[0];
    settle(channel, tick);
    this.#irq0.set(this.#level(tick));
    this.state.changeAt = nextChange(channel, tick);
    if (this.state.changeAt === NONE) this.#timer.cancel();
    else this.#timer.arm(CLK.timeOf(this.state.changeAt));
  }

  /** Gives the edge that is due, if one is, before a register write changes what follows. */
  #catchUp(): void {
    if (this.state.changeAt !== NONE && this.#tick() >= this.state.changeAt) this.#fire();
  }

  /** Counter 0's change. Changes missed since (the host was late) fall together in this one edge: nobody saw them. */
  #fire(): void {
    const { changeAt, channels } = this.state;
    if (changeAt === NONE) return;
    const tick = Math.max(changeAt, this.#tick());
    settle(channels[0], tick);
    const periodicOrStrobe = channels[0].mode >= 2;
    if (periodicOrStrobe && this.#level(tick)) this.#irq0.set(false);
    this.#drive(tick);
  }

  /** Tells of another tone; a snapshot's or a reset's comes to the same. */
  #updateTone(): void {
    const { tone } = this;
    if (tone === this.#toldTone) return;
    this.#toldTone = tone;
    this.#speaker?.(tone);
  }
}
