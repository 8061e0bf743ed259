/** A USB controller and its tablet, loaded together. */
export { UsbTablet } from "../device/usb-tablet/usb-tablet.ts";
export { Xhci } from "../device/xhci/xhci.ts";
