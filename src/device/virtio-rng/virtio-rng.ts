/**
 * Virtio entropy device. Source: OASIS virtio 1.2, §5.4 "Entropy Device".
 *
 * One request gets at most `MAX_FILL` bytes: §5.4.6.2 lets a device return fewer than the buffer holds, and
 * the limit keeps a driver's huge buffers from stopping the machine.
 */
import type { GuestMemory, RandomSource } from "../../machine/device.ts";
import { VirtioDevice, type VirtioEvents } from "../virtio/virtio-device.ts";

export interface VirtioRngWiring {
  memory: GuestMemory;
  random: RandomSource;
  events?: VirtioEvents;
}

/** Bytes. Linux asks for 64 at a time. */
export const MAX_FILL = 4096;

const REQUESTQ = 0;

export class VirtioRng extends VirtioDevice<Record<never, never>> {
  readonly #random: RandomSource;
  // Filled first and copied then: a host's random source may refuse shared memory.
  readonly #bytes = new Uint8Array(MAX_FILL);

  constructor({ memory, random, events }: VirtioRngWiring) {
    super(memory, { deviceId: 4, features: [], queueSizes: [64], configLength: 0, initial: {} }, events);
    this.#random = random;
  }

  protected override config(): Uint8Array {
    return new Uint8Array(0);
  }

  protected override serviceQueue(): void {
    const queue = this.queues[REQUESTQ]!;
    for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) {
      if (chain.writableLength === 0) {
        this.fail("an entropy request without a device-writable buffer");
        return;
      }
      const bytes = this.#bytes.subarray(0, Math.min(chain.writableLength, MAX_FILL));
      this.#random.fill(bytes);
      queue.push(chain.head, chain.write(0, bytes));
    }
    this.notifyUsed(REQUESTQ);
  }

  protected override resetDevice(): void {}
}
