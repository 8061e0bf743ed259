/**
 * A channel of the ISA bus's DMA controller, as the device behind it sees it: the device raises its request, and the
 * controller fetches or brings bytes whenever the guest's settings let it.
 */
import type { SignalLine } from "./device.ts";

/** Bytes that the controller moves at one moment of guest time. */
export interface DmaCycle {
  /**
   * "to-memory" fills `bytes` from the device, "from-memory" hands it `bytes`. "verify" acknowledges as many cycles as
   * `bytes` is long, in which the device goes on as if it moved them in whichever direction it wants to.
   */
  readonly direction: "to-memory" | "from-memory" | "verify";
  /** Not to be kept. */
  readonly bytes: Uint8Array;
  /** TC comes with the last of `bytes`, where the device moves them all. */
  readonly terminalCount: boolean;
}

export interface DmaDevice {
  /**
   * DACK: moves up to as many bytes as `cycle` has and returns how many. Returning none leaves the channel until the
   * request line is set again, so a device that stops for a while lowers its request.
   */
  acknowledge(cycle: DmaCycle): number;
}

export interface DmaChannel {
  /** DREQ. Setting it high may have `acknowledge` called at once. */
  readonly request: SignalLine;
  /** Puts the device on the channel, whose only one it is. */
  connect(device: DmaDevice): void;
}
