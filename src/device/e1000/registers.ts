/**
 * Registers of the 82540EM: where they are, their fields, and which bits of them are plain storage.
 *
 * @spec PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual (317453), §13.4
 */
import { bits } from "../../bits/fields.ts";

export const Register = {
  ctrl: 0x0000,
  ctrlDuplicate: 0x0004,
  status: 0x0008,
  eecd: 0x0010,
  eerd: 0x0014,
  ctrlExt: 0x0018,
  mdic: 0x0020,
  fcal: 0x0028,
  fcah: 0x002c,
  fct: 0x0030,
  vet: 0x0038,
  icr: 0x00c0,
  itr: 0x00c4,
  ics: 0x00c8,
  ims: 0x00d0,
  imc: 0x00d8,
  rctl: 0x0100,
  fcttv: 0x0170,
  txcw: 0x0178,
  tctl: 0x0400,
  tipg: 0x0410,
  ait: 0x0458,
  ledctl: 0x0e00,
  pba: 0x1000,
  fcrtl: 0x2160,
  fcrth: 0x2168,
  rdbal: 0x2800,
  rdbah: 0x2804,
  rdlen: 0x2808,
  rdh: 0x2810,
  rdt: 0x2818,
  rdtr: 0x2820,
  rxdctl: 0x2828,
  radv: 0x282c,
  rsrpd: 0x2c00,
  tdbal: 0x3800,
  tdbah: 0x3804,
  tdlen: 0x3808,
  tdh: 0x3810,
  tdt: 0x3818,
  tidv: 0x3820,
  txdctl: 0x3828,
  tadv: 0x382c,
  tspmt: 0x3830,
  rxcsum: 0x5000,
  mta: 0x5200,
  ral: 0x5400,
  rah: 0x5404,
  vfta: 0x5600,
  wuc: 0x5800,
  wufc: 0x5808,
  manc: 0x5820,
  ipav: 0x5838,
  ip4at: 0x5840,
  ip6at: 0x5880,
} as const;

/** Statistics, §13.7, apart from those of what never happens here. */
export const Statistic = {
  mpc: 0x4010,
  prc64: 0x405c,
  gprc: 0x4074,
  bprc: 0x4078,
  mprc: 0x407c,
  gptc: 0x4080,
  gorcl: 0x4088,
  gotcl: 0x4090,
  rnbc: 0x40a0,
  roc: 0x40ac,
  torl: 0x40c0,
  totl: 0x40c8,
  tpr: 0x40d0,
  tpt: 0x40d4,
  ptc64: 0x40d8,
  mptc: 0x40f0,
  bptc: 0x40f4,
  tsctc: 0x40f8,
} as const;
export const FIRST_STATISTIC = 0x4000;
export const LAST_STATISTIC = 0x40fc;

export const MEMORY_BAR_SIZE = 0x2_0000;
export const IO_BAR_SIZE = 0x40;
/** In the I/O BAR, §13.2.2. */
export const IO_ADDRESS = 0;
export const IO_DATA = 4;
/** Bytes up to the last register that keeps anything. */
export const REGISTERS_SIZE = 0x5c00;

export const Ctrl = bits({ slu: 6, speed: [8, 9], rst: 26, vme: 30, phyRst: 31 });
export const Eecd = bits({ sk: 0, cs: 1, di: 2, dataOut: 3, fwe: [4, 5], req: 6, gnt: 7, pres: 8 });
export const Eerd = bits({ start: 0, done: 4, addr: [8, 15], data: [16, 31] });
export const Mdic = bits({
  data: [0, 15],
  regadd: [16, 20],
  phyadd: [21, 25],
  op: [26, 27],
  r: 28,
  i: 29,
  e: 30,
});
export const MDIC_WRITE = 1;
export const MDIC_READ = 2;

export const Icr = bits({ txdw: 0, txqe: 1, lsc: 2, rxdmt0: 4, rxo: 6, rxt0: 7, mdac: 9 }).mask;
/** Every interrupt cause, with the reserved ones among them, which drivers' tests set too. */
export const CAUSES = 0x0001_ffff;

export const Rctl = bits({
  en: 1,
  upe: 3,
  mpe: 4,
  rdmts: [8, 9],
  mo: [12, 13],
  bam: 15,
  bsize: [16, 17],
  vfe: 18,
  bsex: 25,
  secrc: 26,
});
export const Tctl = bits({ en: 1, psp: 3 });
export const Rxcsum = bits({ pcss: [0, 7], ipofl: 8, tuofl: 9 });
export const Rah = bits({ address: [0, 15], asel: [16, 17], av: 31 });

/** Receive address registers, in pairs. */
export const RECEIVE_ADDRESSES = 16;
/** Words of the multicast table and of the VLAN filter table. */
export const TABLE_WORDS = 128;

/** STATUS with a copper link of 1000 Mb/s, full duplex: FD, SPEED, ASDV, and MTXCKOK, which has no bit in the manual. */
export const STATUS = 0x0781;
export const STATUS_LU = 2;

/** Internal packet buffer, in KiB: what RXA leaves is TXA's. */
const PACKET_BUFFER = 64;
const DEFAULT_RXA = 48;
export const packetBufferAllocation = (rxa: number): number => (((PACKET_BUFFER - rxa) & 0xffff) << 16) | rxa;

const ALL = 0xffff_ffff;
const STORED: readonly (readonly [register: number, mask: number, words?: number])[] = [
  [Register.ctrlExt, ALL & ~(1 << 13)],
  [Register.fcal, ALL],
  [Register.fcah, 0xffff],
  [Register.fct, 0xffff],
  [Register.vet, 0xffff],
  [Register.itr, 0xffff],
  [Register.rctl, 0x07ff_fffe],
  [Register.fcttv, 0xffff],
  [Register.txcw, ALL],
  [Register.tctl, 0x03ff_fffe],
  [Register.tipg, 0x3fff_ffff],
  [Register.ait, 0xffff],
  [Register.ledctl, ALL],
  [Register.fcrtl, 0x8000_fff8],
  [Register.fcrth, 0x0000_fff8],
  [Register.rdbal, 0xffff_fff0],
  [Register.rdbah, ALL],
  [Register.rdlen, 0x000f_ff80],
  [Register.rdh, 0xffff],
  [Register.rdt, 0xffff],
  [Register.rdtr, 0xffff],
  [Register.rxdctl, 0x013f_3f3f],
  [Register.radv, 0xffff],
  [Register.rsrpd, 0x0fff],
  [Register.tdbal, 0xffff_fff0],
  [Register.tdbah, ALL],
  [Register.tdlen, 0x000f_ff80],
  [Register.tdh, 0xffff],
  [Register.tdt, 0xffff],
  [Register.tidv, 0xffff],
  [Register.txdctl, 0xff3f_3f3f],
  [Register.tadv, 0xffff],
  [Register.tspmt, ALL],
  [Register.rxcsum, 0x0000_07ff],
  [Register.mta, ALL, TABLE_WORDS],
  [Register.vfta, ALL, TABLE_WORDS],
  [Register.wuc, 0x0000_000f],
  [Register.wufc, 0x000f_ffff],
  [Register.manc, ALL],
  [Register.ipav, 0x0001_000f],
  [Register.ip4at, ALL, 8],
  [Register.ip6at, ALL, 4],
];

/** Of each register, by its offset in words, the bits that software can write and that do nothing when written. */
export const WRITABLE: Uint32Array = (() => {
  const masks = new Uint32Array(REGISTERS_SIZE / 4);
  for (const [register, mask, words = 1] of STORED) masks.fill(mask, register / 4, register / 4 + words);
  for (let i = 0; i < RECEIVE_ADDRESSES; i++) {
    masks[Register.ral / 4 + 2 * i] = ALL;
    masks[Register.rah / 4 + 2 * i] = Rah.mask.address | Rah.mask.asel | Rah.mask.av;
  }
  return masks;
})();

/** CTRL's bits that stay as they were written. */
export const CTRL_STORED = ALL & ~(Ctrl.mask.rst | Ctrl.mask.phyRst);

/** The registers as a global reset leaves them; `address` is the station's, from the EEPROM. */
export function registersAfterReset(address: Uint8Array): Uint32Array {
  const registers = new Uint32Array(REGISTERS_SIZE / 4);
  registers[Register.ctrl / 4] = Ctrl.pack({ slu: true, speed: 2 }) | 1;
  registers[Register.vet / 4] = 0x8100;
  registers[Register.ledctl / 4] = 0x0706_8302;
  registers[Register.pba / 4] = packetBufferAllocation(DEFAULT_RXA);
  registers[Register.rxdctl / 4] = 0x0101_0000;
  const view = new DataView(address.buffer, address.byteOffset, address.length);
  registers[Register.ral / 4] = view.getUint32(0, true);
  registers[Register.rah / 4] = Rah.pack({ address: view.getUint16(4, true), av: true });
  return registers;
}
