/** Numbers that a PC gives a meaning to: what a hostile guest pokes at first. */
import type { SeededRandom } from "../../src/bits/testing/seeded-random.ts";

export const MIB = 1024 * 1024;
/** RAM of a hostile guest, in bytes. */
export const RAM = 4 * MIB;

/** Where the harness puts the BARs of the cards in slots 3 and up; a card's windows follow each other. */
export const CARD_BASE = 0xfe00_0000;
export const CARD_STRIDE = 0x2_0000;
export const FIRST_SLOT = 3;

const PORTS = [
  0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x60, 0x61, 0x64, 0x70, 0x71, 0x72, 0x73, 0x92, 0xb2,
  0xb3, 0xf4, 0x2f8, 0x3f8, 0x510, 0x511, 0x514, 0x518, 0xcf8, 0xcf9, 0xcfc, 0xcfd, 0xcfe, 0x600, 0x604, 0x608, 0x60c,
];
/** Bases of device memory: I/O APIC, HPET, local APIC, legacy video, what lies beyond RAM. */
const WINDOWS = [0xfec0_0000, 0xfed0_0000, 0xfee0_0000, 0xa_0000, 0xf_0000, RAM, 0xffff_0000];
const MSRS = [
  0x0, 0x10, 0x17, 0x1b, 0x3a, 0x3b, 0x79, 0x8b, 0xc1, 0xfe, 0x174, 0x175, 0x176, 0x179, 0x17a, 0x1a0, 0x1d9, 0x200,
  0x201, 0x250, 0x277, 0x2ff, 0x6e0, 0x800, 0x802, 0x808, 0x80b, 0x80f, 0x830, 0x832, 0x838, 0x83e, 0x83f, 0xc000_0080,
  0xc000_0081, 0xc000_0082, 0xc000_0083, 0xc000_0084, 0xc000_0100, 0xc000_0101, 0xc000_0102, 0xc000_0103, 0x11, 0x12,
  0x4b56_4d00, 0x4b56_4d01, 0x4b56_4d02, 0x4b56_4d03, 0x4b56_4d04, 0x4000_0000, 0x4000_0001,
];

export function port(random: SeededRandom): number {
  const known = random.pick(PORTS) + (random.below(2) === 0 ? 0 : random.below(16));
  return random.below(8) === 0 ? random.below(0x1_0000) : known;
}

/** A guest-physical address of a device. */
export function deviceAddress(random: SeededRandom): number {
  if (random.below(2) === 0) {
    const card = CARD_BASE + random.below(6) * CARD_STRIDE + random.below(5) * 0x1000;
    return card + random.below(random.below(2) === 0 ? 0x40 : 0x1000);
  }
  const offset = random.below(2) === 0 ? 0x10 * random.below(0x40) : random.below(0x1000);
  return random.pick(WINDOWS) + offset;
}

export function msr(random: SeededRandom): number {
  const known = random.pick(MSRS) + (random.below(3) === 0 ? random.below(8) : 0);
  return random.below(10) === 0 ? random.next() : known;
}

/** An address or a count as a register may hold it: mostly RAM, often the edge of something. */
export function pointer(random: SeededRandom): bigint {
  switch (random.below(12)) {
    case 0:
      return BigInt(deviceAddress(random));
    case 1:
      return BigInt(random.pick([0, 1, 0xfff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_fff8, 0xffff_ffff]));
    case 2:
      return random.pick([0x7fff_ffff_fff8n, 0x8000_0000_0000n, 0xffff_8000_0000_0000n, 0xffff_ffff_ffff_fff0n]);
    case 3:
      return random.bits64();
    case 4:
      return BigInt(RAM - random.below(32));
    case 5:
      return BigInt(random.below(1024) * 4096 - random.below(16)) & 0xffff_ffffn;
    default:
      return BigInt(random.below(random.below(2) === 0 ? MIB : RAM));
  }
}

/** A value as software writes it to a register of a device. */
export function value(random: SeededRandom): number {
  switch (random.below(6)) {
    case 0:
      return random.next();
    case 1:
      return 2 ** random.below(32);
    case 2:
      return random.pick([0, 0xff, 0xffff, 0xffff_ffff, 0x8000_0000, 0x7fff_ffff]);
    default:
      return random.below(256);
  }
}
