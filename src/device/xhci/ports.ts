/**
 * Ports of the root hub: the first ones are USB 2.0 ports, with devices that stay, the others empty USB 3.0 ones.
 *
 * @spec xHCI 1.2, §4.15 "Suspend-Resume", §4.19 "Root Hub", §5.4.8 "PORTSC"
 *
 * Not modelled: plugging at run time, remote wake-up, power switches (ports always have power), link power management,
 * test modes.
 */
import type { UsbDevice } from "../usb/usb-device.ts";
import { LinkState, PORTSC_CHANGES, PORTSC_WAKE, Portsc, SpeedId } from "./layout.ts";
import type { XhciState } from "./state.ts";

export class Ports {
  readonly #state: XhciState;
  readonly #devices: readonly UsbDevice[];
  readonly #changed: (port: number) => void;

  /** `devices` are on the ports from 1 on; `changed` is told of a port that has a change to tell. */
  constructor(state: XhciState, devices: readonly UsbDevice[], changed: (port: number) => void) {
    this.#state = state;
    this.#devices = devices;
    this.#changed = changed;
  }

  /** Power has come: devices are there, and no port is enabled. */
  reset(): void {
    for (const port of this.#state.portsc.keys()) {
      const device = this.#devices[port];
      device?.busReset();
      this.#state.portsc[port] = device
        ? Portsc.pack({ ccs: true, csc: true, pp: true, pls: LinkState.polling, speed: SpeedId[device.speed] })
        : Portsc.pack({ pp: true, pls: LinkState.rxDetect });
    }
  }

  /** Tells of changes that came while the controller stood still. */
  tellChanges(): void {
    for (const [index, portsc] of this.#state.portsc.entries()) {
      if ((portsc & PORTSC_CHANGES) !== 0) this.#changed(index + 1);
    }
  }

  /** The device on a port, from 1, which answers: the port is enabled and not suspended. */
  device(port: number): UsbDevice | undefined {
    const { ped, pls } = Portsc(this.#state.portsc[port - 1] ?? 0);
    return ped && pls === LinkState.u0 ? this.#devices[port - 1] : undefined;
  }

  isConnected(port: number): boolean {
    return this.#devices[port - 1] !== undefined;
  }

  write(port: number, value: number): void {
    const index = port - 1;
    const before = this.#state.portsc[index]!;
    let portsc = ((before & ~PORTSC_WAKE) | (value & PORTSC_WAKE)) & ~(value & PORTSC_CHANGES);
    const { pr, ped, lws, pls } = Portsc(value);
    // Writing one to "enabled" disables.
    if (ped && Portsc(portsc).ped) portsc = Portsc.with(portsc, { ped: false, pls: LinkState.polling });
    if (lws) portsc = withLinkState(portsc, pls);
    const device = this.#devices[index];
    if (pr && device) {
      device.busReset();
      portsc = Portsc.with(portsc, { ped: true, pls: LinkState.u0, prc: true });
    }
    this.#state.portsc[index] = portsc >>> 0;
    if ((portsc & ~before & PORTSC_CHANGES) !== 0) this.#changed(port);
  }
}

/** Suspends and resumes, as far as the guest may ask for it (§4.15.1, §4.15.2). */
function withLinkState(portsc: number, asked: number): number {
  const { ped, pls } = Portsc(portsc);
  if (!ped) return portsc;
  if (asked === LinkState.u3 && pls === LinkState.u0) return Portsc.with(portsc, { pls: asked });
  if (asked === LinkState.resume && pls === LinkState.u3) return Portsc.with(portsc, { pls: asked });
  const resumes = pls === LinkState.u3 || pls === LinkState.resume;
  if (asked === LinkState.u0 && resumes) return Portsc.with(portsc, { pls: asked, plc: true });
  return portsc;
}
