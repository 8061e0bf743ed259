/** What a virtio device asks of the bus that carries it (virtio 1.2 §2.3, "Notifications"). */
export interface VirtioTransport {
  /** Whether the device may reach memory now; on PCI, the bus master bit. */
  readonly dmaAllowed: boolean;
  /** The device used buffers of queue `index` and the driver did not ask to be left alone. */
  notifyQueue(index: number): void;
  /** The device configuration changed, or the device needs a reset. */
  configChanged(): void;
}
