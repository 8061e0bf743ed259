/**
 * PS/2 mouse with the IntelliMouse extensions: a wheel (device ID 3), five buttons (device ID 4).
 *
 * @spec IBM Personal System/2 Hardware Interface Technical Reference, "Auxiliary Device"; Microsoft
 * "IntelliMouse" device ID and packet extensions
 *
 * Not modelled: the pace of the sample rate (a report goes out when the host has taken the one before), the
 * scale of the resolution (counts are the host's), the overflow bits (what does not fit waits for the next
 * report), the time that a byte takes on the wire and that the self test takes.
 */
import { bits } from "../../bits/fields.ts";
import type { Device } from "../../machine/device.ts";
import type { Ps2Device } from "./ps2-keyboard.ts";

export const MouseButtons = bits({ left: 0, right: 1, middle: 2, fourth: 3, fifth: 4 });

/** First byte of a report. */
const Report = bits({ left: 0, right: 1, middle: 2, always1: 3, xSign: 4, ySign: 5 });
/** First byte of the answer to Status Request. */
const Status = bits({ right: 0, middle: 1, left: 2, scaling21: 4, enabled: 5, remote: 6 });

const Command = {
  setScaling11: 0xe6,
  setScaling21: 0xe7,
  setResolution: 0xe8,
  statusRequest: 0xe9,
  setStreamMode: 0xea,
  readData: 0xeb,
  resetWrapMode: 0xec,
  setWrapMode: 0xee,
  setRemoteMode: 0xf0,
  readDeviceType: 0xf2,
  setSampleRate: 0xf3,
  enable: 0xf4,
  disable: 0xf5,
  setDefault: 0xf6,
  resend: 0xfe,
  reset: 0xff,
} as const;

const ACK = 0xfa;
const ERROR = 0xfe;
const BAT_OK = 0xaa;

const ID_STANDARD = 0;
const ID_WHEEL = 3;
const ID_FIVE_BUTTONS = 4;
/** Sample rates set in a row that turn the extensions on. */
const KNOCK_WHEEL = [200, 100, 80];
const KNOCK_FIVE_BUTTONS = [200, 200, 80];

/** Bytes of reports that wait for the host; beyond that, motion adds up and buttons show their last state. */
export const QUEUE_LIMIT = 64;
/** Motion not reported yet is kept to this many counts. */
const MOTION_LIMIT = 0x7fff;
/** Stream mode with scaling 2:1 reports these for 0 to 5 counts, and twice the counts beyond. */
const SCALED = [0, 1, 1, 3, 6, 9];

export interface Ps2MouseState {
  /** Data reporting in stream mode. */
  enabled: boolean;
  remote: boolean;
  wrap: boolean;
  scaling21: boolean;
  resolution: number;
  sampleRate: number;
  deviceId: number;
  /** The last three sample rates. */
  rates: number[];
  /** The command whose parameter comes next, 0 for none. */
  awaiting: number;
  replies: number[];
  reports: number[];
  /** The last answer or report, for Resend. */
  last: number[];
  /** MouseButtons */
  buttons: number;
  /** Motion not reported yet, to the right, upwards, and of the wheel towards the user. */
  x: number;
  y: number;
  z: number;
  /** The buttons have changed since the last report that had room. */
  buttonsPending: boolean;
}

const powerOn = (): Ps2MouseState => ({
  enabled: false,
  remote: false,
  wrap: false,
  scaling21: false,
  resolution: 2,
  sampleRate: 100,
  deviceId: ID_STANDARD,
  rates: [],
  awaiting: 0,
  replies: [],
  reports: [],
  last: [],
  buttons: 0,
  x: 0,
  y: 0,
  z: 0,
  buttonsPending: false,
});

const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);

const sameRates = (a: number[], b: number[]): boolean => a.every((rate, i) => rate === b[i]) && a.length === b.length;

export class Ps2Mouse implements Ps2Device, Device<Ps2MouseState> {
  readonly state: Ps2MouseState = powerOn();
  #dataReady: () => void = () => {};

  attach(dataReady: () => void): void {
    this.#dataReady = dataReady;
  }

  reset(): void {
    const { buttons } = this.state;
    Object.assign(this.state, powerOn(), { buttons });
  }

  /** The mouse moved, in whole counts: `dx` to the right, `dy` down the screen, `wheel` notches towards the user. */
  move({ dx = 0, dy = 0, wheel = 0 }: { dx?: number; dy?: number; wheel?: number }): void {
    const { state } = this;
    const add = (sum: number, delta: number) => clamp(sum + Math.trunc(delta), -MOTION_LIMIT, MOTION_LIMIT);
    state.x = add(state.x, dx);
    state.y = add(state.y, -dy);
    state.z = add(state.z, wheel);
    this.#stream();
  }

  /** The buttons that are down now (MouseButtons). */
  buttons(pressed: number): void {
    const { state } = this;
    if (state.buttons === (pressed & 0x1f)) return;
    state.buttons = pressed & 0x1f;
    state.buttonsPending = true;
    // A click gets a report of its own at once, so that it is seen where it was made, also when the host is slow.
    if (this.#streaming && state.reports.length > 0 && state.reports.length <= QUEUE_LIMIT - 4) {
      state.reports.push(...this.#report());
    } else {
      this.#stream();
    }
  }

  take(): number | undefined {
    const { state } = this;
    if (state.replies.length > 0) return state.replies.shift();
    if (state.reports.length === 0 && this.#streaming && this.#pending) state.reports.push(...this.#report());
    return state.reports.shift();
  }

  send(byte: number): void {
    const { state } = this;
    state.replies = [];
    const awaiting = state.awaiting;
    state.awaiting = 0;
    if (state.wrap && byte !== Command.reset && byte !== Command.resetWrapMode) this.#reply(byte);
    else if (awaiting !== 0) this.#parameter(awaiting, byte);
    else this.#command(byte);
    this.#dataReady();
  }

  get #streaming(): boolean {
    const { enabled, remote, wrap } = this.state;
    return enabled && !remote && !wrap;
  }

  get #pending(): boolean {
    const { x, y, z, buttonsPending, deviceId } = this.state;
    return x !== 0 || y !== 0 || buttonsPending || (z !== 0 && deviceId !== ID_STANDARD);
  }

  #stream(): void {
    const { state } = this;
    if (!this.#streaming) this.#dropMotion();
    else if (state.reports.length === 0 && this.#pending) {
      state.reports.push(...this.#report());
      this.#dataReady();
    }
  }

  /** Counters run only where reports are asked for. */
  #dropMotion(): void {
    const { state } = this;
    if (state.remote) return;
    state.x = state.y = state.z = 0;
    state.buttonsPending = false;
  }

  /** A report of the motion so far, as much as fits. */
  #report(): number[] {
    const { state } = this;
    const dx = clamp(state.x, -255, 255);
    const dy = clamp(state.y, -255, 255);
    state.x -= dx;
    state.y -= dy;
    state.buttonsPending = false;
    const x = this.#scale(dx);
    const y = this.#scale(dy);
    const { left, right, middle, fourth, fifth } = MouseButtons(state.buttons);
    const report = [
      Report.pack({ left, right, middle, always1: true, xSign: x < 0, ySign: y < 0 }),
      x & 0xff,
      y & 0xff,
    ];
    if (state.deviceId === ID_STANDARD) {
      state.z = 0;
    } else {
      const z = clamp(state.z, -8, 7);
      state.z -= z;
      const extra = (fourth ? 0x10 : 0) | (fifth ? 0x20 : 0);
      report.push(state.deviceId === ID_WHEEL ? z & 0xff : (z & 0x0f) | extra);
    }
    state.last = report;
    return report;
  }

  #scale(delta: number): number {
    if (!this.state.scaling21 || this.state.remote) return delta;
    const size = Math.abs(delta);
    return Math.sign(delta) * Math.min(SCALED[size] ?? 2 * size, 255);
  }

  #reply(...bytes: number[]): void {
    this.state.replies = bytes;
    this.state.last = bytes;
  }

  #setDefault(): void {
    const { state } = this;
    state.enabled = false;
    state.remote = false;
    state.scaling21 = false;
    state.resolution = 2;
    state.sampleRate = 100;
    state.reports = [];
    this.#dropMotion();
  }

  #command(byte: number): void {
    const { state } = this;
    switch (byte) {
      case Command.setScaling11:
      case Command.setScaling21:
        state.scaling21 = byte === Command.setScaling21;
        this.#reply(ACK);
        break;
      case Command.setResolution:
      case Command.setSampleRate:
        state.awaiting = byte;
        this.#reply(ACK);
        break;
      case Command.statusRequest:
        this.#reply(ACK, this.#status(), state.resolution, state.sampleRate);
        break;
      case Command.setStreamMode:
      case Command.setRemoteMode:
        state.remote = byte === Command.setRemoteMode;
        state.reports = [];
        state.x = state.y = state.z = 0;
        this.#reply(ACK);
        break;
      case Command.readData:
        this.#reply(ACK, ...this.#report());
        break;
      case Command.setWrapMode:
      case Command.resetWrapMode:
        state.wrap = byte === Command.setWrapMode;
        state.reports = [];
        this.#reply(ACK);
        break;
      case Command.readDeviceType:
        this.#reply(ACK, state.deviceId);
        break;
      case Command.enable:
        state.enabled = true;
        state.reports = [];
        state.x = state.y = state.z = 0;
        this.#reply(ACK);
        break;
      case Command.disable:
        state.enabled = false;
        state.reports = [];
        this.#reply(ACK);
        break;
      case Command.setDefault:
        this.#setDefault();
        this.#reply(ACK);
        break;
      case Command.resend:
        this.#reply(...state.last);
        break;
      case Command.reset:
        this.reset();
        this.#reply(ACK, BAT_OK, ID_STANDARD);
        break;
      default:
        this.#reply(ERROR);
    }
  }

  #status(): number {
    const { enabled, remote, scaling21 } = this.state;
    const { left, right, middle } = MouseButtons(this.state.buttons);
    return Status.pack({ left, right, middle, enabled, remote, scaling21 });
  }

  #parameter(command: number, byte: number): void {
    const { state } = this;
    if (command === Command.setResolution) {
      state.resolution = byte & 3;
    } else {
      state.sampleRate = byte;
      state.rates = [...state.rates, byte].slice(-3);
      if (sameRates(state.rates, KNOCK_WHEEL) && state.deviceId === ID_STANDARD) state.deviceId = ID_WHEEL;
      else if (sameRates(state.rates, KNOCK_FIVE_BUTTONS)) state.deviceId = ID_FIVE_BUTTONS;
    }
    this.#reply(ACK);
  }
}
