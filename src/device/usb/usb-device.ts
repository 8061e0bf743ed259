/**
 * What a host controller knows of a USB device: requests on endpoint 0 and packets of interrupt endpoints.
 * @spec USB 2.0, §5.7, §8.5.3, §9.3, §9.4
 */
import { struct, u8, u16 } from "../../bits/struct.ts";

/** "Format of Setup Data", table 9-2. */
export const Setup = struct("LE", { bmRequestType: u8, bRequest: u8, wValue: u16, wIndex: u16, wLength: u16 });

export interface SetupPacket {
  readonly bmRequestType: number;
  readonly bRequest: number;
  readonly wValue: number;
  readonly wIndex: number;
  readonly wLength: number;
}

/** Bit of bmRequestType: data goes to the host. */
export const DEVICE_TO_HOST = 0x80;

/** Standard requests, table 9-4. */
export const Request = {
  getStatus: 0,
  clearFeature: 1,
  setFeature: 3,
  setAddress: 5,
  getDescriptor: 6,
  setDescriptor: 7,
  getConfiguration: 8,
  setConfiguration: 9,
  getInterface: 10,
  setInterface: 11,
  synchFrame: 12,
} as const;

/** The device refuses: a STALL handshake. */
export const STALL = "stall";
export type Stall = typeof STALL;

export interface UsbDevice {
  readonly speed: "low" | "full" | "high";
  /** `ready` is to be called when interrupt endpoint `endpoint` has a packet after it had none. */
  attach(ready: (endpoint: number) => void): void;
  /** The bus was reset: address 0, not configured. */
  busReset(): void;
  /** A control transfer. `data` is what the host sent; what is returned goes to the host, `wLength` bytes of it at the most. */
  control(setup: SetupPacket, data: Uint8Array): Uint8Array | Stall;
  /** The host asks an interrupt IN endpoint: its next packet, or undefined for none yet (NAK). It goes on asking until `stopAsking`. */
  interruptIn(endpoint: number): Uint8Array | Stall | undefined;
  /** The host asks the endpoint no more. */
  stopAsking(endpoint: number): void;
}
