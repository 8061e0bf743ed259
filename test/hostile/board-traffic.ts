/** SeededRandom traffic on the whole board: ports, configuration space, device memory, and virtqueues of a hostile driver. */
import type { SeededRandom } from "../../src/bits/testing/seeded-random.ts";
import type { AccessSize } from "../../src/machine/device.ts";
import type { Board } from "../../src/vm/board.ts";
import { CARD_BASE, CARD_STRIDE, deviceAddress, FIRST_SLOT, port, value } from "./interesting.ts";

const SIZES = [1, 2, 4] as const;
/** Slots that may have a card. */
const SLOTS = 6;
const COMMAND = 0x04;
const BAR0 = 0x10;
const BAR1 = 0x14;

/** Common configuration structure. @spec virtio 1.2, 4.1.4.3 */
const COMMON = {
  featureSelect: 8,
  feature: 0xc,
  status: 0x14,
  queueSelect: 0x16,
  size: 0x18,
  enable: 0x1c,
  desc: 0x20,
  driver: 0x28,
  device: 0x30,
};
const NOTIFY = 0x3000;
const RINGS = 0x20_0000;
const BUFFERS = 0x28_0000;

export class BoardTraffic {
  readonly #board: Board;
  readonly #ram: DataView;
  readonly #random: SeededRandom;

  constructor(board: Board, ram: Uint8Array, random: SeededRandom) {
    this.#board = board;
    this.#ram = new DataView(ram.buffer, ram.byteOffset, ram.byteLength);
    this.#random = random;
  }

  /** Gives every card addresses and lets it decode them, as a system does at its start. */
  placeCards(): void {
    for (let i = 0; i < SLOTS; i++) {
      const base = CARD_BASE + i * CARD_STRIDE;
      this.#configure(FIRST_SLOT + i, BAR0, base);
      this.#configure(FIRST_SLOT + i, BAR1, base + CARD_STRIDE / 2);
      this.#configure(FIRST_SLOT + i, COMMAND, 7);
    }
  }

  #configure(slot: number, register: number, value: number): void {
    this.#board.ports.write(0xcf8, 4, 0x8000_0000 + slot * 0x800 + register);
    this.#board.ports.write(0xcfc, 4, value);
  }

  /** `count` random accesses. Throws where one gives what no bus can carry. */
  accesses(count: number): void {
    const random = this.#random;
    const { ports, memory } = this.#board;
    const wide = new Uint32Array(2);
    for (let i = 0; i < count; i++) {
      const size = random.pick<AccessSize>(SIZES);
      switch (random.below(8)) {
        case 0:
        case 1:
          ports.write(port(random), size, value(random));
          break;
        case 2:
        case 3:
          check(ports.read(port(random), size), size);
          break;
        case 4:
          memory.write(deviceAddress(random), size, value(random));
          break;
        case 5:
          check(memory.read(deviceAddress(random), size), size);
          break;
        case 6:
          if (random.below(2) === 0) memory.write64(deviceAddress(random), value(random), value(random));
          else memory.read64(deviceAddress(random), wide);
          break;
        default:
          this.#configure(random.below(FIRST_SLOT + SLOTS), 4 * random.below(64), value(random));
      }
    }
  }

  /** Brings a card up with rings of which a share is spoilt, and kicks its queues. */
  drive(): void {
    const random = this.#random;
    const { memory } = this.#board;
    const card = CARD_BASE + random.below(SLOTS) * CARD_STRIDE;
    const hostility = random.pick([0, 20, 200]);
    const set = (offset: number, size: AccessSize, sane: number) => {
      memory.write(card + offset, size, random.below(1000) < hostility ? value(random) : sane);
    };
    for (const status of [0, 1, 3]) set(COMMON.status, 1, status);
    for (const [word, features] of [
      [0, random.next()],
      [1, 1],
    ] as const) {
      set(COMMON.featureSelect, 4, word);
      set(COMMON.feature, 4, features);
    }
    set(COMMON.status, 1, 0xb);
    for (let queue = 0; queue < 4; queue++) {
      set(COMMON.queueSelect, 2, queue);
      const size = 2 ** random.below(7);
      const rings = RINGS + queue * 0x1000;
      set(COMMON.size, 2, size);
      for (const [offset, address] of [
        [COMMON.desc, rings],
        [COMMON.driver, rings + 16 * size],
        [COMMON.device, rings + 24 * size + 16],
      ] as const) {
        set(offset, 4, address);
        set(offset + 4, 4, 0);
      }
      this.#fillRings(rings, size, hostility);
      set(COMMON.enable, 2, 1);
    }
    set(COMMON.status, 1, 0xf);
    for (let kick = 0; kick < 8; kick++) {
      const queue = random.below(4);
      memory.write(card + NOTIFY + 4 * queue, 2, queue);
    }
  }

  #fillRings(at: number, size: number, hostility: number): void {
    const random = this.#random;
    const ram = this.#ram;
    for (let i = 0; i < size; i++) {
      const buffer = BUFFERS + 0x200 * random.below(0x400);
      // What a block device reads as a request: its type and a sector.
      ram.setUint32(buffer, random.pick([0, 1, 4, 8, 11, 13, random.next()]), true);
      ram.setBigUint64(buffer + 8, BigInt(random.below(0x1000)), true);
      const descriptor = at + 16 * i;
      ram.setBigUint64(descriptor, BigInt(buffer), true);
      ram.setUint32(descriptor + 8, random.pick([1, 16, 512, 0x1000, 0x2_0000, random.below(0x10000)]), true);
      ram.setUint16(descriptor + 12, random.below(hostility > 100 ? 8 : 4), true);
      ram.setUint16(descriptor + 14, random.below(size), true);
    }
    const available = at + 16 * size;
    ram.setUint32(available, random.below(2), true);
    ram.setUint16(available + 2, random.below(size + 1), true);
    for (let i = 0; i < size; i++) ram.setUint16(available + 4 + 2 * i, random.below(size), true);
    for (let i = 0; i < (size * 24 * hostility) / 2000; i++) ram.setUint8(at + random.below(0x1000), random.next());
  }
}

function check(found: number, size: AccessSize): void {
  if (!Number.isInteger(found) || found < 0 || found >= 2 ** (8 * size)) {
    throw new Error(`${size} bytes were read as ${found}`);
  }
}
