/** The tablet of machines that have one, on a USB controller of its own. */
import type { PciFunction } from "../device/pci/function.ts";
import { UsbTablet } from "../device/usb-tablet/usb-tablet.ts";
import { Xhci, type XhciWiring } from "../device/xhci/xhci.ts";
import type { Device } from "../machine/device.ts";

/** `add` makes a device part of the board; the PCI function is to be put on its bus. */
export function makeUsbTablet(
  wiring: Omit<XhciWiring, "devices">,
  add: <D extends Device<object>>(name: string, device: D) => D,
): { tablet: UsbTablet; pci: PciFunction } {
  const tablet = add("usb-tablet", new UsbTablet());
  const { pci } = add("xhci", new Xhci({ ...wiring, devices: [tablet] }));
  return { tablet, pci };
}
