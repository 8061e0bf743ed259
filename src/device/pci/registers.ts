/**
 * The header of a PCI function's configuration space.
 * @spec PCI Local Bus Specification 3.0, §6.1 to 6.7.
 */
import { bits } from "../../bits/fields.ts";
import { bytes, struct, u8, u16, u32 } from "../../bits/struct.ts";

export const CONFIG_SPACE_SIZE = 256;

/** Type 0 header. */
export const Header = struct("LE", {
  vendor: u16,
  device: u16,
  command: u16,
  status: u16,
  revision: u8,
  programmingInterface: u8,
  subclass: u8,
  baseClass: u8,
  cacheLineSize: u8,
  latencyTimer: u8,
  headerType: u8,
  selfTest: u8,
  bars: bytes(24),
  cardbus: u32,
  subsystemVendor: u16,
  subsystem: u16,
  expansionRom: u32,
  capabilities: u8,
  reserved: bytes(7),
  interruptLine: u8,
  interruptPin: u8,
  minimumGrant: u8,
  maximumLatency: u8,
});

export const Command = bits({
  ioSpace: 0,
  memorySpace: 1,
  busMaster: 2,
  parity: 6,
  systemError: 8,
  interruptDisable: 10,
});

export const Status = bits({
  interrupt: 3,
  capabilityList: 4,
  fastBackToBack: 7,
  masterParity: 8,
  deviceSelect: [9, 10],
  signalledTargetAbort: 11,
  receivedTargetAbort: 12,
  receivedMasterAbort: 13,
  signalledSystemError: 14,
  parity: 15,
});

/** The bits of the status register that software clears by writing one. */
export const STATUS_WRITE_ONE_TO_CLEAR = 0xf900;

export const MULTIFUNCTION = 0x80;

export const CapabilityId = { powerManagement: 0x01, msi: 0x05, vendor: 0x09, msix: 0x11 } as const;

/** Where the first capability is put. */
export const FIRST_CAPABILITY = 0x40;
