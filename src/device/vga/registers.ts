/**
 * Registers of the VGA, named as in IBM's reference: indices, bits, and which bits can be written.
 *
 * @spec IBM PS/2 Hardware Interface Technical Reference, Video Subsystem (S42G-2193), "VGA Registers"
 */
import { bits } from "../../bits/fields.ts";

/** Ports. The CRTC and input status 1 are at 3Bxh where `Miscellaneous.colourPorts` is clear. */
export const Port = {
  attributeIndex: 0x3c0,
  attributeRead: 0x3c1,
  /** Written: miscellaneous output; read: input status 0. */
  miscellaneousWrite: 0x3c2,
  /** Not in IBM's VGA; here as a place to store bit 0. */
  videoEnable: 0x3c3,
  sequencerIndex: 0x3c4,
  sequencerData: 0x3c5,
  dacMask: 0x3c6,
  /** Written: index for reading; read: the DAC's state. */
  dacReadIndex: 0x3c7,
  dacWriteIndex: 0x3c8,
  dacData: 0x3c9,
  featureRead: 0x3ca,
  miscellaneousRead: 0x3cc,
  graphicsIndex: 0x3ce,
  graphicsData: 0x3cf,
  crtcIndexMono: 0x3b4,
  crtcDataMono: 0x3b5,
  statusMono: 0x3ba,
  crtcIndex: 0x3d4,
  crtcData: 0x3d5,
  status: 0x3da,
} as const;

export const Miscellaneous = bits({ colourPorts: 0, enableRam: 1, clock: [2, 3], oddEvenPage: 5, hsync: 6, vsync: 7 });
export const InputStatus1 = bits({ displayDisabled: 0, verticalRetrace: 3 });

export const Sequencer = { reset: 0, clockingMode: 1, mapMask: 2, characterMapSelect: 3, memoryMode: 4 } as const;
export const SEQUENCER_WRITABLE = [0x03, 0x3d, 0x0f, 0x3f, 0x0e] as const;
export const ClockingMode = bits({ eightDots: 0, dotClockHalved: 3, screenOff: 5 });
export const MemoryMode = bits({ extendedMemory: 1, sequential: 2, chain4: 3 });

export const Graphics = {
  setReset: 0,
  enableSetReset: 1,
  colourCompare: 2,
  dataRotate: 3,
  readMapSelect: 4,
  mode: 5,
  miscellaneous: 6,
  colourDontCare: 7,
  bitMask: 8,
} as const;
export const GRAPHICS_WRITABLE = [0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff] as const;
export const GraphicsMode = bits({ writeMode: [0, 1], readCompare: 3, oddEven: 4, shift: [5, 6] });
export const GraphicsMiscellaneous = bits({ graphics: 0, chainOddEven: 1, memoryMap: [2, 3] });

export const Crtc = {
  horizontalTotal: 0x00,
  horizontalDisplayEnd: 0x01,
  verticalTotal: 0x06,
  overflow: 0x07,
  presetRowScan: 0x08,
  maximumScanLine: 0x09,
  cursorStart: 0x0a,
  cursorEnd: 0x0b,
  startHigh: 0x0c,
  startLow: 0x0d,
  cursorHigh: 0x0e,
  cursorLow: 0x0f,
  verticalRetraceStart: 0x10,
  verticalRetraceEnd: 0x11,
  verticalDisplayEnd: 0x12,
  offset: 0x13,
  underline: 0x14,
  mode: 0x17,
  lineCompare: 0x18,
} as const;
export const CRTC_COUNT = 0x19;
export const MaximumScanLine = bits({ maximum: [0, 4], lineCompare9: 6, doubleScan: 7 });
export const PresetRowScan = bits({ row: [0, 4], bytePanning: [5, 6] });
export const CursorStart = bits({ start: [0, 4], off: 5 });
export const VerticalRetraceEnd = bits({ end: [0, 3], protect: 7 });
export const Underline = bits({ row: [0, 4], doubleWord: 6 });
export const CrtcMode = bits({ noCgaRow: 0, noHerculesRow: 1, addressWrap: 5, byteMode: 6, run: 7 });

export const Attribute = {
  mode: 0x10,
  overscan: 0x11,
  planeEnable: 0x12,
  pelPanning: 0x13,
  colourSelect: 0x14,
} as const;
export const ATTRIBUTE_COUNT = 0x15;
export const ATTRIBUTE_WRITABLE = [...new Array<number>(16).fill(0x3f), 0xef, 0xff, 0x3f, 0x0f, 0x0f] as const;
export const AttributeMode = bits({
  graphics: 0,
  monochrome: 1,
  lineGraphics: 2,
  blink: 3,
  pelPanningCompatible: 5,
  pelClockHalved: 6,
  colourSelectEnabled: 7,
});
/** In the index register: the palette is the display's rather than the processor's. */
export const PALETTE_ADDRESS_SOURCE = 0x20;
