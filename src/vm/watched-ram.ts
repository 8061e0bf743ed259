/** Guest RAM that tells what devices may write to. */
import type { GuestPhysical } from "../bits/units.ts";
import { GuestRam } from "./guest-ram.ts";

export class WatchedRam extends GuestRam {
  onWrite: (address: number, length: number) => void = () => {};

  override view(address: GuestPhysical, length: number, access: "read" | "write"): Uint8Array | undefined {
    const view = super.view(address, length, access);
    if (view && access === "write") this.onWrite(address, length);
    return view;
  }

  override storage(address: number, length: number, access: "read" | "write" = "read"): Uint8Array {
    const storage = super.storage(address, length, access);
    if (access === "write") this.onWrite(address, length);
    return storage;
  }

  /** The second processor has no video memory of its own: all accesses go to the device, which is asked once. */
  protected override mapVideo(): void {}
}
