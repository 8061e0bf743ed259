/** Registers, contexts, TRBs and codes of xHCI. @spec eXtensible Host Controller Interface 1.2, §5, §6, §7 */
import { bits } from "../../bits/fields.ts";

/** Offsets in the controller's memory; those of §5.3 are fixed, the others are what the registers there tell. */
export const Area = {
  operational: 0x20,
  ports: 0x420,
  extendedCapabilities: 0x800,
  runtime: 0x1000,
  interrupter0: 0x1020,
  doorbells: 0x2000,
  msixTable: 0x3000,
  msixPending: 0x3800,
} as const;
export const BAR_SIZE = 0x4000;

export const SLOTS = 8;
export const USB2_PORTS = 2;
export const USB3_PORTS = 2;
export const PORTS = USB2_PORTS + USB3_PORTS;
export const PORT_REGISTERS = 0x10;

const VERSION_1_2 = 0x0120;

/** §5.3, by dword: one interrupter, an event ring of one segment, no scratchpad, 64-bit addresses, contexts of 32 bytes. */
export const CAPABILITY_REGISTERS: readonly number[] = [
  Area.operational | (VERSION_1_2 << 16),
  SLOTS | (1 << 8) | (PORTS * 2 ** 24),
  0,
  0,
  1 | ((Area.extendedCapabilities / 4) << 16),
  Area.doorbells,
  Area.runtime,
  0,
];

const NAME = 0x2042_5355; // "USB "
const SUPPORTED_PROTOCOL = 2;
const protocol = (major: number, next: number, first: number, count: number) => [
  SUPPORTED_PROTOCOL | (next << 8) | (major << 24),
  NAME,
  first | (count << 8),
  0,
];
/** §7.2, by dword: which ports are USB 2.0 and which 3.0. */
export const EXTENDED_CAPABILITIES: readonly number[] = [
  ...protocol(2, 4, 1, USB2_PORTS),
  ...protocol(3, 0, 1 + USB2_PORTS, USB3_PORTS),
];

/** Operational registers, §5.4. */
export const Operational = {
  usbcmd: 0x00,
  usbsts: 0x04,
  pagesize: 0x08,
  dnctrl: 0x14,
  crcrLow: 0x18,
  crcrHigh: 0x1c,
  dcbaapLow: 0x30,
  dcbaapHigh: 0x34,
  config: 0x38,
} as const;

export const Usbcmd = bits({ rs: 0, hcrst: 1, inte: 2, hsee: 3, css: 8, crs: 9, ewe: 10 });
export const USBCMD_STORED = Usbcmd.mask.rs | Usbcmd.mask.inte | Usbcmd.mask.hsee | Usbcmd.mask.ewe;
export const Usbsts = bits({ hch: 0, hse: 2, eint: 3, pcd: 4, sre: 10, hce: 12 });
export const USBSTS_WRITE_ONE_TO_CLEAR = Usbsts.mask.hse | Usbsts.mask.eint | Usbsts.mask.pcd | Usbsts.mask.sre;
export const Crcr = bits({ rcs: 0, cs: 1, ca: 2, crr: 3 });

/** Registers of an interrupter, §5.5.2. */
export const Interrupter = {
  iman: 0x00,
  imod: 0x04,
  erstsz: 0x08,
  erstbaLow: 0x10,
  erstbaHigh: 0x14,
  erdpLow: 0x18,
  erdpHigh: 0x1c,
} as const;
export const Iman = bits({ ip: 0, ie: 1 });
export const ERDP_EHB = 8;
/** What IMOD holds after a reset: 1 ms. */
export const IMOD_RESET = 4000;

/** §5.4.8 */
export const Portsc = bits({
  ccs: 0,
  ped: 1,
  pr: 4,
  pls: [5, 8],
  pp: 9,
  speed: [10, 13],
  lws: 16,
  csc: 17,
  pec: 18,
  wrc: 19,
  occ: 20,
  prc: 21,
  plc: 22,
  cec: 23,
  wce: 25,
  wde: 26,
  woe: 27,
  wpr: 31,
});
export const PORTSC_CHANGES = 0x00fe_0000;
export const PORTSC_WAKE = Portsc.mask.wce | Portsc.mask.wde | Portsc.mask.woe;
export const LinkState = { u0: 0, u3: 3, rxDetect: 5, polling: 7, resume: 15 } as const;
/** Default speed IDs, §7.2.2.1.1. */
export const SpeedId = { full: 1, low: 2, high: 3 } as const;

/** §6.4.6 */
export const TrbType = {
  normal: 1,
  setupStage: 2,
  dataStage: 3,
  statusStage: 4,
  link: 6,
  eventData: 7,
  noOp: 8,
  enableSlot: 9,
  disableSlot: 10,
  addressDevice: 11,
  configureEndpoint: 12,
  evaluateContext: 13,
  resetEndpoint: 14,
  stopEndpoint: 15,
  setTrDequeuePointer: 16,
  resetDevice: 17,
  noOpCommand: 23,
  transferEvent: 32,
  commandCompletionEvent: 33,
  portStatusChangeEvent: 34,
  hostControllerEvent: 37,
} as const;

export const TRB_SIZE = 16;
/** The control dword, as far as TRBs have it in the same places; `toggleCycle` is that of Link TRBs, `bei` of Normal ones. */
export const TrbControl = bits({
  cycle: 0,
  toggleCycle: 1,
  isp: 2,
  chain: 4,
  ioc: 5,
  idt: 6,
  bei: 9,
  type: [10, 15],
  directionIn: 16,
});
/** The control dword of command TRBs. */
export const CommandControl = bits({ bsrOrDc: 9, type: [10, 15], endpoint: [16, 20], slot: [24, 31] });
/** The status dword of transfer TRBs. */
export const TRANSFER_LENGTH = 0x1_ffff;

/** §6.4.5 */
export const CompletionCode = {
  success: 1,
  babbleDetected: 3,
  usbTransactionError: 4,
  trbError: 5,
  stallError: 6,
  resourceError: 7,
  noSlotsAvailable: 9,
  slotNotEnabled: 11,
  endpointNotEnabled: 12,
  shortPacket: 13,
  parameterError: 17,
  contextStateError: 19,
  eventRingFull: 21,
  commandRingStopped: 24,
  stopped: 26,
} as const;

export const CONTEXT_SIZE = 32;
/** Contexts of a device: of the slot, of endpoint 0, and of 30 more. */
export const CONTEXTS = 32;

/** Slot context, §6.2.2, by dword. */
export const Slot0 = bits({ routeString: [0, 19], speed: [20, 23], contextEntries: [27, 31] });
export const Slot1 = bits({ maxExitLatency: [0, 15], rootHubPort: [16, 23] });
export const Slot2 = bits({ interrupterTarget: [22, 31] });
export const Slot3 = bits({ address: [0, 7], state: [27, 31] });
export const SlotCode = { enabled: 0, default: 1, addressed: 2, configured: 3 } as const;

/** Endpoint context, §6.2.3, by dword. */
export const Endpoint0 = bits({ state: [0, 2], maxPStreams: [10, 14] });
export const Endpoint1 = bits({ type: [3, 5], maxPacketSize: [16, 31] });
export const EndpointCode = { disabled: 0, running: 1, halted: 2, stopped: 3, error: 4 } as const;
export const EndpointType = { control: 4, interruptIn: 7 } as const;
