/** What the controller remembers, apart from its PCI function. */
import { type MicrowireState, microwireAfterReset } from "./eeprom.ts";
import type { OffloadContext } from "./offload.ts";
import { type PhyState, phyPowerOn } from "./phy.ts";
import { registersAfterReset } from "./registers.ts";

export interface InterruptState {
  /** ICR and IMS. */
  causes: number;
  mask: number;
  /** Guest time before which the interrupt does not rise again. */
  throttledUntil: number;
}

export interface TransmitState {
  /** What the last context descriptors of the two kinds said: for checksums alone, and for segmentation. */
  checksums: OffloadContext | undefined;
  segmentation: OffloadContext | undefined;
  /** Frames of the packet at the ring's head that were sent. */
  framesSent: number;
  /** Until when the ring stands still: another station has no room, or the ring had its turn. */
  waiting: "room" | "turn" | undefined;
  resumeAt: number;
  /** Nobody waits for the stations that have no room, until one says that it has. */
  isImpatient: boolean;
}

export interface ReceiveState {
  /** A frame was refused, and whoever sent it does not know yet of room. */
  refused: boolean;
}

export interface E1000Registers {
  /** By offset in words: those that are stored, and statistics. */
  registers: Uint32Array;
  /** STATUS.LU. */
  linkUp: boolean;
  /** IOADDR. */
  ioAddress: number;
  microwire: MicrowireState;
  /** What EERD and MDIC read. */
  eerd: number;
  mdic: number;
  interrupts: InterruptState;
  transmit: TransmitState;
  receive: ReceiveState;
  phy: PhyState;
}

/** What a global reset brings about: all but the transceiver, and PBA, which software sets before it. */
export const afterReset = (address: Uint8Array): Omit<E1000Registers, "phy" | "linkUp" | "ioAddress"> => ({
  registers: registersAfterReset(address),
  microwire: microwireAfterReset(),
  eerd: 0,
  mdic: 0,
  interrupts: { causes: 0, mask: 0, throttledUntil: 0 },
  transmit: {
    checksums: undefined,
    segmentation: undefined,
    framesSent: 0,
    waiting: undefined,
    resumeAt: 0,
    isImpatient: false,
  },
  receive: { refused: false },
});

export const powerOn = (address: Uint8Array, cable: boolean): E1000Registers => ({
  ...afterReset(address),
  phy: phyPowerOn(cable),
  linkUp: cable,
  ioAddress: 0,
});
