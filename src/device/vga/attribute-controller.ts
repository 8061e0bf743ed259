/**
 * The attribute controller: its one port for index and data, and the colours that it makes of a pixel's 4 or 8 bits.
 *
 * @spec IBM PS/2 Hardware Interface Technical Reference, Video Subsystem, "Attribute Controller Registers"
 */
import { dacColour } from "./dac.ts";
import { ATTRIBUTE_COUNT, ATTRIBUTE_WRITABLE, Attribute, AttributeMode, PALETTE_ADDRESS_SOURCE } from "./registers.ts";
import type { VgaState } from "./state.ts";

export function writeAttribute(state: VgaState, value: number): void {
  if (!state.attributeData) state.attributeIndex = value & 0x3f;
  else {
    const index = state.attributeIndex & 0x1f;
    // IBM's takes colours of the palette only while that is the processor's; later chips, and some programs, do not care.
    if (index < ATTRIBUTE_COUNT) state.attribute[index] = value & ATTRIBUTE_WRITABLE[index]!;
  }
  state.attributeData = !state.attributeData;
}

export function readAttribute(state: VgaState): number {
  return state.attribute[state.attributeIndex & 0x1f] ?? 0;
}

/** Fills `colours` with what the 16 values of four planes look like, as 0x00RRGGBB. */
export function planarColours(state: VgaState, colours: Uint32Array): void {
  const { attribute, dac } = state;
  const select = attribute[Attribute.colourSelect]!;
  const fromSelect = (attribute[Attribute.mode]! & AttributeMode.mask.colourSelectEnabled) !== 0;
  const enabled = attribute[Attribute.planeEnable]! & 0x0f;
  for (let value = 0; value < 16; value++) {
    const entry = attribute[value & enabled]!;
    const index = fromSelect ? ((select & 0xf) << 4) | (entry & 0xf) : ((select & 0xc) << 4) | entry;
    colours[value] = dacColour(dac, index);
  }
}

/** Fills `colours` with what the 256 values of a byte look like. */
export function packedColours(state: VgaState, colours: Uint32Array): void {
  for (let value = 0; value < 256; value++) colours[value] = dacColour(state.dac, value);
}

/** Whether anything is shown. */
export function displayOn(state: VgaState): boolean {
  return (state.attributeIndex & PALETTE_ADDRESS_SOURCE) !== 0;
}
