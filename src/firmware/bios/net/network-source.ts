/**
 * Booting from the network: an address by DHCP, the boot file by TFTP, and PXE's functions for it.
 *
 * @spec Preboot Execution Environment (PXE) Specification 2.1, §2.2 (protocol), §3.1 (how a boot program is entered)
 *
 * Not modelled: menus of boot servers; boot files by other protocols; a boot program's credentials (BIS).
 */
import { formatIpv4Address, formatMacAddress, UNSPECIFIED_IPV4 } from "../../../net/wire/addresses.ts";
import { TFTP_ERROR } from "../../../net/wire/tftp.ts";
import { BOOT_AT, type BootSource, type Found } from "../boot-source.ts";
import type { BiosCall } from "../call.ts";
import { Bda } from "../data-area.ts";
import { askForAddress, type Lease } from "./dhcp-client.ts";
import type { NetworkStack } from "./network-stack.ts";
import type { Operation } from "./operation.ts";
import { PxeMemory } from "./pxe-memory.ts";
import type { PxeService } from "./pxe-service.ts";
import { readFile, type TftpFailure } from "./tftp-client.ts";

const LONGEST_TEXT = 100;

export interface NetworkSourceParts {
  readonly stack: NetworkStack;
  readonly pxe: PxeService;
  /** Writes to the screen. */
  print(call: BiosCall, text: string): void;
}

export function networkSource(parts: NetworkSourceParts): BootSource {
  const { stack, pxe } = parts;
  return {
    kind: "net",
    name: "network",
    title: `network (${formatMacAddress(stack.network.address)})`,
    isReady: () => true,
    find(call, found) {
      stack.reset();
      stack.station.state.listens = true;
      return stack.serve(call, load(parts, call), (result) => {
        if (!("reason" in result)) return found(programOf(pxe, result));
        stack.reset();
        return found(result);
      });
    },
    left: (call) => pxe.leave(call),
  };
}

type Loaded = { readonly lease: Lease; readonly bytes: Uint8Array } | { readonly reason: string };

function programOf(pxe: PxeService, { lease, bytes }: { lease: Lease; bytes: Uint8Array }): Found {
  return {
    bytes,
    segment: BOOT_AT >> 4,
    prepare(call) {
      pxe.load(call, lease);
      return pxe.registers();
    },
  };
}

function* load({ stack, print }: NetworkSourceParts, call: BiosCall): Operation<Loaded> {
  print(call, `Network ${formatMacAddress(stack.network.address)}: DHCP`);
  const lease = yield* askForAddress(stack, () => print(call, "."));
  print(call, "\r\n");
  if (lease === undefined) return { reason: "no DHCP server answered" };
  const { address, mask, gateway, bootFile, bootServer } = lease;
  stack.ip.configure(address, mask, gateway);
  const way = gateway === UNSPECIFIED_IPV4 ? "no gateway" : `gateway ${formatIpv4Address(gateway)}`;
  print(call, `Address ${formatIpv4Address(address)}/${bitsOf(mask)}, ${way}\r\n`);
  if (bootFile === "") {
    return { reason: `the DHCP server at ${formatIpv4Address(lease.server)} names no boot file` };
  }
  const name = printable(bootFile);
  const server = formatIpv4Address(bootServer);
  print(call, `${name} from ${server}`);
  const room = call.u16(Bda.memoryKib) * 1024 - PxeMemory.size - BOOT_AT;
  const bytes = new Uint8Array(Math.max(room, 0));
  const size = yield* readFile(stack, { server: bootServer, name: bootFile }, (block, at) => {
    if (at + block.length > bytes.length) return false;
    bytes.set(block, at);
    return true;
  });
  print(call, typeof size === "number" ? `: ${size} bytes\r\n` : "\r\n");
  if (size === "no-room") return { reason: `${name} is too large (more than ${Math.floor(room / 1024)} KiB)` };
  if (typeof size === "object") return { reason: reasonOf(size, name, server) };
  if (size === 0) return { reason: `${name} is empty` };
  return { lease, bytes: bytes.subarray(0, size) };
}

function reasonOf(failure: TftpFailure, name: string, server: string): string {
  switch (failure.kind) {
    case "no-way":
      return `nobody on the network is ${server}, which has the boot file`;
    case "no-answer":
      return `${server} does not answer by TFTP`;
    case "nonsense":
      return `what ${server} answers is not TFTP`;
    case "refused":
      if (failure.code === TFTP_ERROR.fileNotFound) return `${server} has no file ${name}`;
      return `${server} refuses to send ${name}: ${printable(failure.message)}`;
  }
}

/** Bits that are set in a mask. */
const bitsOf = (mask: number) => [...(mask >>> 0).toString(2)].filter((digit) => digit === "1").length;

/** A server's text as the screen can show it. */
const printable = (text: string) => text.slice(0, LONGEST_TEXT).replaceAll(/[^\x20-\x7e]/g, "?");
