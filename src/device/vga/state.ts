/** All that the adapter keeps besides video memory. */
import type { DacState } from "./dac.ts";
import { powerOnDac } from "./dac.ts";
import { type DispiState, powerOnDispi } from "./dispi.ts";
import { ATTRIBUTE_COUNT, Attribute, CRTC_COUNT } from "./registers.ts";

export interface VgaState {
  miscellaneous: number;
  featureControl: number;
  videoEnable: number;
  sequencerIndex: number;
  sequencer: Uint8Array;
  crtcIndex: number;
  crtc: Uint8Array;
  graphicsIndex: number;
  graphics: Uint8Array;
  /** With the palette address source in bit 5. */
  attributeIndex: number;
  /** The next write to 3C0h is data for the register that the one before named. */
  attributeData: boolean;
  attribute: Uint8Array;
  /** The four planes' bytes that were read last, plane 0 in the lowest. */
  latch: number;
  dac: DacState;
  dispi: DispiState;
}

export function powerOnState(videoMemory: number): VgaState {
  return {
    miscellaneous: 0,
    featureControl: 0,
    videoEnable: 1,
    sequencerIndex: 0,
    sequencer: new Uint8Array(5),
    crtcIndex: 0,
    crtc: new Uint8Array(CRTC_COUNT),
    graphicsIndex: 0,
    graphics: new Uint8Array(9),
    attributeIndex: 0,
    attributeData: false,
    attribute: new Uint8Array(ATTRIBUTE_COUNT).fill(0x0f, Attribute.planeEnable, Attribute.planeEnable + 1),
    latch: 0,
    dac: powerOnDac(),
    dispi: powerOnDispi(videoMemory),
  };
}
