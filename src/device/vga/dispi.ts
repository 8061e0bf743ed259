/**
 * The DISPI registers of Bochs's and QEMU's displays: linear modes without the VGA's timing registers.
 *
 * @spec Bochs bios/VBE-display-api.txt; QEMU docs/specs/standard-vga.rst
 */
import { bits } from "../../bits/fields.ts";
import { Crtc, Graphics, Sequencer } from "./registers.ts";
import type { VgaState } from "./state.ts";

export const Dispi = {
  id: 0x0,
  xres: 0x1,
  yres: 0x2,
  bpp: 0x3,
  enable: 0x4,
  bank: 0x5,
  virtualWidth: 0x6,
  virtualHeight: 0x7,
  xOffset: 0x8,
  yOffset: 0x9,
  videoMemory64K: 0xa,
} as const;
const REGISTERS = 0xb;
export const DispiEnable = bits({ enabled: 0, getCapabilities: 1, eightBitDac: 5, linear: 6, noClear: 7 });

const ID_FIRST = 0xb0c0;
export const DISPI_ID = 0xb0c5;
export const MAX_WIDTH = 2560;
export const MAX_HEIGHT = 1600;
const MAX_BPP = 32;
const BANK = 0x10000;

export interface DispiState {
  index: number;
  /** 16-bit registers. */
  registers: Uint16Array;
}

export function powerOnDispi(videoMemory: number): DispiState {
  const registers = new Uint16Array(REGISTERS);
  registers[Dispi.id] = DISPI_ID;
  registers[Dispi.videoMemory64K] = videoMemory / BANK;
  return { index: 0, registers };
}

export function dispiEnabled({ registers }: DispiState): boolean {
  return (registers[Dispi.enable]! & DispiEnable.mask.enabled) !== 0;
}

/** Bytes from one line to the next; with 4 bits a pixel, words of four planes' bytes. */
export function dispiPitch({ registers }: DispiState): number {
  const width = registers[Dispi.virtualWidth]!;
  const bpp = registers[Dispi.bpp]!;
  return bpp === 4 ? width / 8 : width * Math.ceil(bpp / 8);
}

export function readDispi({ registers }: DispiState, index: number): number {
  if (registers[Dispi.enable]! & DispiEnable.mask.getCapabilities) {
    if (index === Dispi.xres) return MAX_WIDTH;
    if (index === Dispi.yres) return MAX_HEIGHT;
    if (index === Dispi.bpp) return MAX_BPP;
  }
  return registers[index] ?? 0;
}

/** Writes register `index`; enabling a mode clears what it shows of `videoMemory` and sets the VGA's registers to match. */
export function writeDispi(state: VgaState, videoMemory: Uint8Array, index: number, value: number): void {
  const { registers } = state.dispi;
  switch (index) {
    case Dispi.id:
      if (value >= ID_FIRST && value <= DISPI_ID) registers[index] = value;
      break;
    case Dispi.xres:
    case Dispi.yres:
    case Dispi.bpp:
    case Dispi.virtualWidth:
    case Dispi.xOffset:
    case Dispi.yOffset:
      registers[index] = value;
      if (dispiEnabled(state.dispi)) fit(registers, videoMemory.length);
      break;
    case Dispi.bank: {
      const banks = videoMemory.length / BANK / (registers[Dispi.bpp] === 4 ? 4 : 1);
      registers[index] = value & (banks - 1);
      break;
    }
    case Dispi.enable:
      enable(state, videoMemory, value);
      break;
  }
}

function enable(state: VgaState, videoMemory: Uint8Array, value: number): void {
  const { registers } = state.dispi;
  const was = dispiEnabled(state.dispi);
  const { enabled, noClear, eightBitDac } = DispiEnable(value);
  registers[Dispi.enable] = value;
  state.dac.eightBits = eightBitDac;
  if (!enabled) registers[Dispi.bank] = 0;
  if (!enabled || was) return;
  registers[Dispi.virtualWidth] = 0;
  registers[Dispi.xOffset] = 0;
  registers[Dispi.yOffset] = 0;
  fit(registers, videoMemory.length);
  if (!noClear) videoMemory.fill(0, 0, shownBytes(registers));
  setVgaRegisters(state);
}

function shownBytes(registers: Uint16Array): number {
  const pitch = dispiPitch({ index: 0, registers }) * (registers[Dispi.bpp] === 4 ? 4 : 1);
  return pitch * registers[Dispi.yres]!;
}

/** Brings the registers to the nearest that can be: there is no way to tell a guest of a mistake. */
function fit(registers: Uint16Array, length: number): void {
  const bpp = registers[Dispi.bpp]!;
  if (![4, 8, 15, 16, 24, 32].includes(bpp)) registers[Dispi.bpp] = 8;
  const eights = (value: number) => Math.min(value & ~7, MAX_WIDTH);
  registers[Dispi.xres] = eights(registers[Dispi.xres]!) || 8;
  registers[Dispi.virtualWidth] = Math.max(eights(registers[Dispi.virtualWidth]!), registers[Dispi.xres]!);
  const pitch = dispiPitch({ index: 0, registers }) * (registers[Dispi.bpp] === 4 ? 4 : 1);
  const lines = Math.floor(length / pitch);
  registers[Dispi.yres] = Math.min(Math.max(registers[Dispi.yres]!, 1), MAX_HEIGHT, lines);
  registers[Dispi.virtualHeight] = Math.min(lines, 0xffff);
  // The picture must lie in video memory from its first to its last pixel.
  const spareColumns = registers[Dispi.virtualWidth]! - registers[Dispi.xres]!;
  if (registers[Dispi.xOffset]! > spareColumns) registers[Dispi.xOffset] = spareColumns;
  if (registers[Dispi.yOffset]! + registers[Dispi.yres]! > lines) registers[Dispi.yOffset] = 0;
}

/** What a VGA BIOS relies on: memory at A0000h as the mode has it, and the CRTC's size. */
function setVgaRegisters({ dispi: { registers }, graphics, crtc, sequencer }: VgaState): void {
  const last = registers[Dispi.yres]! - 1;
  const planar = registers[Dispi.bpp] === 4;
  graphics[Graphics.miscellaneous] = 0x05;
  graphics[Graphics.mode] = (graphics[Graphics.mode]! & ~0x60) | (planar ? 0 : 0x40);
  crtc[Crtc.mode]! |= 0x03;
  crtc[Crtc.offset] = (registers[Dispi.virtualWidth]! >> 3) & 0xff;
  crtc[Crtc.horizontalDisplayEnd] = (registers[Dispi.xres]! >> 3) - 1;
  crtc[Crtc.verticalDisplayEnd] = last & 0xff;
  crtc[Crtc.overflow] = (crtc[Crtc.overflow]! & ~0x42) | ((last >> 7) & 0x02) | ((last >> 3) & 0x40) | 0x10;
  crtc[Crtc.lineCompare] = 0xff;
  crtc[Crtc.maximumScanLine] = (crtc[Crtc.maximumScanLine]! & ~0x9f) | 0x40;
  sequencer[Sequencer.clockingMode]! &= ~0x08;
  if (planar) sequencer[Sequencer.memoryMode]! = (sequencer[Sequencer.memoryMode]! & ~0x08) | 0x04;
  else {
    sequencer[Sequencer.memoryMode]! |= 0x08;
    sequencer[Sequencer.mapMask] = 0x0f;
  }
}
