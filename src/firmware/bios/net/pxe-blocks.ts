/**
 * PXE's functions: their numbers, what their parameter blocks look like, and the numbers that they end with. Blocks begin
 * with a status, are packed, and little-endian but for IP addresses and ports, which stand as on the network.
 *
 * @spec Preboot Execution Environment (PXE) Specification 2.1, §3.3 (base code), §4 (UNDI), appendix A (status codes)
 */
import { bytes, type FieldType, struct, u8, u16, u32 } from "../../../bits/struct.ts";
import { type Ipv4Address, ipv4Address } from "../../../net/wire/addresses.ts";

export const PXE_STATUS = {
  success: 0x00,
  failure: 0x01,
  unsupported: 0x03,
  outOfResources: 0x06,
  arpTimeout: 0x11,
  udpClosed: 0x18,
  udpOpen: 0x19,
  tftpClosed: 0x1a,
  tftpOpen: 0x1b,
  mcopyProblem: 0x20,
  tftpCannotArpAddress: 0x30,
  tftpOpenTimeout: 0x32,
  tftpUnknownOpcode: 0x33,
  tftpReadTimeout: 0x35,
  tftpErrorOpcode: 0x36,
  tftpFileNotFound: 0x3b,
  tftpAccessViolation: 0x3c,
  tftpNoFilesize: 0x3e,
  tftpInvalidPacketSize: 0x3f,
  undiInvalidState: 0x6a,
  undiInvalidParameter: 0x6c,
} as const;

export const PXE = {
  startUndi: 0x00,
  undiStartup: 0x01,
  undiCleanup: 0x02,
  undiInitialize: 0x03,
  undiResetAdapter: 0x04,
  undiShutdown: 0x05,
  undiOpen: 0x06,
  undiClose: 0x07,
  undiTransmit: 0x08,
  undiSetMcastAddress: 0x09,
  undiSetStationAddress: 0x0a,
  undiSetPacketFilter: 0x0b,
  undiGetInformation: 0x0c,
  undiGetStatistics: 0x0d,
  undiClearStatistics: 0x0e,
  undiGetMcastAddress: 0x11,
  undiGetNicType: 0x12,
  undiGetIfaceInfo: 0x13,
  undiIsr: 0x14,
  /** UNDI_GET_STATE has the same number. */
  stopUndi: 0x15,
  tftpOpen: 0x20,
  tftpClose: 0x21,
  tftpRead: 0x22,
  tftpReadFile: 0x23,
  tftpGetFsize: 0x25,
  udpOpen: 0x30,
  udpClose: 0x31,
  udpRead: 0x32,
  udpWrite: 0x33,
  unloadStack: 0x70,
  getCachedInfo: 0x71,
  restartTftp: 0x73,
  startBase: 0x75,
  stopBase: 0x76,
} as const;

/** An IPv4 address in the network's order. */
const ip: FieldType<Ipv4Address> = {
  size: 4,
  get: (view, at) => ipv4Address(view.getUint32(at)),
  set: (view, at, value) => view.setUint32(at, value),
};
/** A port in the network's order. */
const port: FieldType<number> = {
  size: 2,
  get: (view, at) => view.getUint16(at),
  set: (view, at, value) => view.setUint16(at, value),
};
/** A real-mode pointer, offset first, as a linear address; what is set is a segment times 10000h plus an offset. */
const pointer: FieldType<number> = {
  size: 4,
  get: (view, at) => view.getUint16(at + 2, true) * 16 + view.getUint16(at, true),
  set: (view, at, value) => view.setUint32(at, value, true),
};

/** Bytes of a station's address in blocks; what is behind those of Ethernet's is zero. */
const ADDRESS = 16;
const MOST_GROUPS = 8;

const status = u16;
const groups = { groupCount: u16, groups: bytes(MOST_GROUPS * ADDRESS) };
const fileName = bytes(128);

export const Block = {
  status: struct("LE", { status }),
  getCachedInfo: struct("LE", {
    status,
    packetType: u16,
    bufferSize: u16,
    buffer: pointer,
    bufferLimit: u16,
  }),
  udpOpen: struct("LE", { status, source: ip }),
  udpRead: struct("LE", {
    status,
    source: ip,
    destination: ip,
    sourcePort: port,
    destinationPort: port,
    bufferSize: u16,
    buffer: pointer,
  }),
  udpWrite: struct("LE", {
    status,
    destination: ip,
    gateway: ip,
    sourcePort: port,
    destinationPort: port,
    bufferSize: u16,
    buffer: pointer,
  }),
  tftpOpen: struct("LE", { status, server: ip, gateway: ip, fileName, port, packetSize: u16 }),
  tftpRead: struct("LE", { status, packetNumber: u16, bufferSize: u16, buffer: pointer }),
  tftpReadFile: struct("LE", {
    status,
    fileName,
    bufferSize: u32,
    /** A physical address. */
    buffer: u32,
    server: ip,
    gateway: ip,
    multicast: ip,
    clientPort: port,
    serverPort: port,
    openTimeout: u16,
    reopenDelay: u16,
  }),
  tftpGetFsize: struct("LE", { status, server: ip, gateway: ip, fileName, fileSize: u32 }),
  undiReset: struct("LE", { status, ...groups }),
  undiOpen: struct("LE", { status, openFlag: u16, filter: u16, ...groups }),
  undiTransmit: struct("LE", {
    status,
    protocol: u8,
    flag: u8,
    destination: pointer,
    descriptor: pointer,
    reserved: bytes(8),
  }),
  undiStationAddress: struct("LE", { status, address: bytes(ADDRESS) }),
  undiPacketFilter: struct("LE", { status, filter: u8 }),
  undiGetInformation: struct("LE", {
    status,
    baseIo: u16,
    interrupt: u16,
    largestUnit: u16,
    hardwareType: u16,
    addressLength: u16,
    address: bytes(ADDRESS),
    permanentAddress: bytes(ADDRESS),
    romAddress: u16,
    receiveBuffers: u16,
    transmitBuffers: u16,
  }),
  undiGetStatistics: struct("LE", { status, sent: u32, received: u32, badChecksums: u32, lost: u32 }),
  undiGetMcastAddress: struct("LE", { status, group: ip, address: bytes(ADDRESS) }),
  undiGetNicType: struct("LE", {
    status,
    type: u8,
    vendor: u16,
    device: u16,
    baseClass: u8,
    subClass: u8,
    interface: u8,
    revision: u8,
    busDeviceFunction: u16,
    subsystemVendor: u16,
    subsystemDevice: u16,
  }),
  undiGetIfaceInfo: struct("LE", {
    status,
    type: bytes(16),
    bitsPerSecond: u32,
    services: u32,
    reserved: bytes(16),
  }),
  undiIsr: struct("LE", {
    status,
    function: u16,
    bufferLength: u16,
    frameLength: u16,
    headerLength: u16,
    frame: pointer,
    protocol: u8,
    packetType: u8,
  }),
} as const;

/** What UNDI_TRANSMIT's block points at: bytes to send at once, and up to eight pieces behind them. */
export const TransmitDescriptor = struct("LE", { length: u16, at: pointer, pieces: u16 });
export const TransmitPiece = struct("LE", { pointerType: u8, reserved: u8, length: u16, at: u32 });
export const MOST_PIECES = 8;

/** The groups of a block, as addresses of Ethernet. */
export function groupsOf(block: { readonly groupCount: number; readonly groups: Uint8Array }): Uint8Array[] {
  const count = Math.min(block.groupCount, MOST_GROUPS);
  return Array.from({ length: count }, (_, i) => block.groups.slice(i * ADDRESS, i * ADDRESS + 6));
}

/** A name in a field, which ends with a zero where it does not fill it. */
export function nameOf(field: Uint8Array): string {
  const end = field.indexOf(0);
  return String.fromCharCode(...(end < 0 ? field : field.subarray(0, end)));
}
