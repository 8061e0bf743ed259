/** Layouts and numbers of the virtio network device. Source: OASIS virtio 1.2, §5.1. */
import { bytes, struct, u8, u16 } from "../../bits/struct.ts";

/** Feature bits (§5.1.3) that the device offers. */
export const NetFeature = {
  csum: 0,
  mtu: 3,
  mac: 5,
  mrgRxbuf: 15,
  status: 16,
  ctrlVq: 17,
  ctrlRx: 18,
  ctrlRxExtra: 20,
  ctrlMacAddr: 23,
} as const;

/** Device configuration (§5.1.4), up to the last field of a feature that is offered. */
export const NetConfig = struct("LE", { mac: bytes(6), status: u16, maxVirtqueuePairs: u16, mtu: u16 });
export const STATUS_LINK_UP = 1;

/** struct virtio_net_hdr (§5.1.6), which stands in front of every frame. */
export const NetHeader = struct("LE", {
  flags: u8,
  gsoType: u8,
  hdrLen: u16,
  gsoSize: u16,
  csumStart: u16,
  csumOffset: u16,
  numBuffers: u16,
});
export const HEADER_NEEDS_CSUM = 1;
export const GSO_NONE = 0;

/** What a command begins with (§5.1.6.5); its data follow, and in a device-writable byte the answer. */
export const ControlHeader = struct("LE", { class: u8, command: u8 });
export const ControlClass = { rx: 0, mac: 1 } as const;
/** Commands of the class `rx` (§5.1.6.5.1). */
export const RxCommand = { promisc: 0, allmulti: 1, alluni: 2, nomulti: 3, nouni: 4, nobcast: 5 } as const;
/** Commands of the class `mac` (§5.1.6.5.2). */
export const MacCommand = { tableSet: 0, addrSet: 1 } as const;
export const ControlAck = { ok: 0, error: 1 } as const;

/** Bytes of an Ethernet address. */
export const ADDRESS_LENGTH = 6;
