/**
 * USB tablet: a pointer that tells places, with five buttons and a wheel. A full-speed HID device with one interrupt
 * endpoint.
 *
 * @spec USB 2.0, §9.1, §9.4; Device Class Definition for HID 1.11, §7.2
 *
 * Not modelled: remote wake-up, idle rates (a report is sent when something has changed, never again by itself; others
 * than that are refused), the boot protocol, feature and output reports.
 */
import type { Device } from "../../machine/device.ts";
import { DEVICE_TO_HOST, Request, type SetupPacket, STALL, type Stall, type UsbDevice } from "../usb/usb-device.ts";
import {
  CONFIGURATION,
  CONFIGURATION_DESCRIPTOR,
  DEVICE as DEVICE_DESCRIPTOR,
  DescriptorType,
  ENDPOINT,
  HID,
  LARGEST,
  REPORT,
  REPORT_SIZE,
  stringDescriptor,
} from "./descriptors.ts";

/** Reports that wait for the guest; beyond that, what comes goes into the last. */
const MOST_REPORTS = 32;
const MOST_NOTCHES = 127;
const ALL_BUTTONS = 0x1f;

/** bmRequestType without the direction: type and recipient. */
const Kind = { device: 0, interface: 1, endpoint: 2, hid: 0x21 } as const;
/** HID requests, §7.2. */
const HidRequest = {
  getReport: 1,
  getIdle: 2,
  getProtocol: 3,
  setIdle: 0x0a,
  setProtocol: 0x0b,
} as const;
const REPORT_PROTOCOL = 1;
const INPUT_REPORT = 1;
const ENDPOINT_HALT = 0;
const HIGHEST_ADDRESS = 127;
const NOTHING = new Uint8Array(0);

/** Where the pointer is, what is pressed, and how far the wheel was turned towards the user. */
export interface TabletReport {
  /** 0 to 32767. */
  x: number;
  y: number;
  /** MouseButtons of ps2-mouse.ts. */
  buttons: number;
  wheel: number;
  /** A button went down or up. */
  isPress: boolean;
}

export interface UsbTabletState {
  address: number;
  configuration: number;
  /** The interrupt endpoint is halted. */
  halted: boolean;
  /** The host asks the interrupt endpoint. */
  asked: boolean;
  /** The last report that was made. */
  present: TabletReport;
  /** Reports that the host was not given yet, the oldest first. */
  reports: TabletReport[];
}

const RESTING: TabletReport = { x: 0, y: 0, buttons: 0, wheel: 0, isPress: false };

const afterReset = () => ({ address: 0, configuration: 0, halted: false, asked: false, reports: [] as TabletReport[] });

const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);

export class UsbTablet implements UsbDevice, Device<UsbTabletState> {
  readonly speed = "full";
  readonly state: UsbTabletState = { ...afterReset(), present: { ...RESTING } };
  #ready: (endpoint: number) => void = () => {};

  attach(ready: (endpoint: number) => void): void {
    this.#ready = ready;
  }

  reset(): void {
    this.busReset();
    this.state.present = { ...RESTING };
  }

  busReset(): void {
    Object.assign(this.state, afterReset());
  }

  /** The guest has configured the tablet, and asks it for reports. */
  get isInUse(): boolean {
    const { configuration, asked, halted } = this.state;
    return configuration !== 0 && asked && !halted;
  }

  /** The pointer is at a place (0 to 32767 from the left and the top); the wheel was turned by notches towards the user. */
  move({ x, y, wheel = 0 }: { x: number; y: number; wheel?: number }): void {
    const { present } = this.state;
    const place = { x: clamp(Math.round(x), 0, LARGEST), y: clamp(Math.round(y), 0, LARGEST) };
    if (place.x === present.x && place.y === present.y && wheel === 0) return;
    this.#report({ ...present, ...place, wheel: Math.trunc(wheel), isPress: false });
  }

  /** The buttons that are down now (MouseButtons). */
  buttons(pressed: number): void {
    const buttons = pressed & ALL_BUTTONS;
    if (buttons !== this.state.present.buttons)
      this.#report({ ...this.state.present, buttons, wheel: 0, isPress: true });
  }

  control(setup: SetupPacket): Uint8Array | Stall {
    const { bmRequestType } = setup;
    const isIn = (bmRequestType & DEVICE_TO_HOST) !== 0;
    switch (bmRequestType & ~DEVICE_TO_HOST) {
      case Kind.device:
        return isIn ? this.#readDevice(setup) : this.#writeDevice(setup);
      case Kind.interface:
        return isIn ? this.#readInterface(setup) : this.#writeInterface(setup);
      case Kind.endpoint:
        return this.#endpoint(setup, isIn);
      case Kind.hid:
        return isIn ? this.#readHid(setup) : this.#writeHid(setup);
      default:
        return STALL;
    }
  }

  interruptIn(endpoint: number): Uint8Array | Stall | undefined {
    const { state } = this;
    if (endpoint !== ENDPOINT || state.configuration === 0 || state.halted) return STALL;
    state.asked = true;
    const report = state.reports.shift();
    return report && encode(report);
  }

  stopAsking(endpoint: number): void {
    if (endpoint !== ENDPOINT) return;
    this.state.asked = false;
    this.state.reports = [];
  }

  #report(report: TabletReport): void {
    const { state } = this;
    state.present = { ...report, wheel: 0, isPress: false };
    if (!this.isInUse) return;
    const last = state.reports.at(-1);
    // Motion adds up; a press or release is seen where it was made.
    const isMotion = last?.isPress === false && !report.isPress;
    if (last && (isMotion || state.reports.length === MOST_REPORTS)) {
      const wheel = clamp(last.wheel + report.wheel, -MOST_NOTCHES, MOST_NOTCHES);
      state.reports[state.reports.length - 1] = { ...report, wheel };
    } else {
      state.reports.push({ ...report, wheel: clamp(report.wheel, -MOST_NOTCHES, MOST_NOTCHES) });
    }
    this.#ready(ENDPOINT);
  }

  #readDevice({ bRequest, wValue }: SetupPacket): Uint8Array | Stall {
    switch (bRequest) {
      case Request.getStatus:
        return Uint8Array.of(0, 0);
      case Request.getConfiguration:
        return Uint8Array.of(this.state.configuration);
      case Request.getDescriptor:
        return this.#descriptor(wValue >>> 8, wValue & 0xff);
      default:
        return STALL;
    }
  }

  #descriptor(type: number, index: number): Uint8Array | Stall {
    if (type === DescriptorType.string) return stringDescriptor(index) ?? STALL;
    if (index !== 0) return STALL;
    if (type === DescriptorType.device) return DEVICE_DESCRIPTOR;
    return type === DescriptorType.configuration ? CONFIGURATION_DESCRIPTOR : STALL;
  }

  #writeDevice({ bRequest, wValue }: SetupPacket): Uint8Array | Stall {
    const { state } = this;
    if (bRequest === Request.setAddress && wValue <= HIGHEST_ADDRESS) {
      state.address = wValue;
      return NOTHING;
    }
    if (bRequest !== Request.setConfiguration || (wValue !== 0 && wValue !== CONFIGURATION)) return STALL;
    const { address } = state;
    Object.assign(state, afterReset(), { address, configuration: wValue });
    return NOTHING;
  }

  #readInterface({ bRequest, wValue, wIndex }: SetupPacket): Uint8Array | Stall {
    if (wIndex !== 0) return STALL;
    if (bRequest === Request.getDescriptor && (wValue & 0xff) === 0) {
      if (wValue >>> 8 === DescriptorType.report) return REPORT;
      return wValue >>> 8 === DescriptorType.hid ? HID : STALL;
    }
    if (this.state.configuration === 0) return STALL;
    if (bRequest === Request.getStatus) return Uint8Array.of(0, 0);
    return bRequest === Request.getInterface ? Uint8Array.of(0) : STALL;
  }

  #writeInterface({ bRequest, wValue, wIndex }: SetupPacket): Uint8Array | Stall {
    const isOnlySetting = wIndex === 0 && wValue === 0 && this.state.configuration !== 0;
    return bRequest === Request.setInterface && isOnlySetting ? NOTHING : STALL;
  }

  #endpoint({ bRequest, wValue, wIndex }: SetupPacket, isIn: boolean): Uint8Array | Stall {
    const { state } = this;
    const number = wIndex & 0xff;
    const isInterrupt = number === (DEVICE_TO_HOST | ENDPOINT) && state.configuration !== 0;
    if (!isInterrupt && (number & ~DEVICE_TO_HOST) !== 0) return STALL;
    if (isIn) return bRequest === Request.getStatus ? Uint8Array.of(isInterrupt && state.halted ? 1 : 0, 0) : STALL;
    const sets = bRequest === Request.setFeature;
    if ((!sets && bRequest !== Request.clearFeature) || wValue !== ENDPOINT_HALT) return STALL;
    if (isInterrupt) state.halted = sets;
    return NOTHING;
  }

  #readHid({ bRequest, wValue, wIndex }: SetupPacket): Uint8Array | Stall {
    if (wIndex !== 0) return STALL;
    switch (bRequest) {
      case HidRequest.getReport:
        return wValue >>> 8 === INPUT_REPORT && (wValue & 0xff) === 0 ? encode(this.state.present) : STALL;
      case HidRequest.getIdle:
        return Uint8Array.of(0);
      case HidRequest.getProtocol:
        return Uint8Array.of(REPORT_PROTOCOL);
      default:
        return STALL;
    }
  }

  #writeHid({ bRequest, wValue, wIndex }: SetupPacket): Uint8Array | Stall {
    if (wIndex !== 0) return STALL;
    // An idle rate of 0: reports only where something has changed.
    if (bRequest === HidRequest.setIdle) return wValue >>> 8 === 0 ? NOTHING : STALL;
    return bRequest === HidRequest.setProtocol && wValue === REPORT_PROTOCOL ? NOTHING : STALL;
  }
}

function encode({ x, y, buttons, wheel }: TabletReport): Uint8Array {
  const bytes = new Uint8Array(REPORT_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, buttons);
  view.setUint16(1, x, true);
  view.setUint16(3, y, true);
  // Positive is away from the user.
  view.setInt8(5, -wheel);
  return bytes;
}
