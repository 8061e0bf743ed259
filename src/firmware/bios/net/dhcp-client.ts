/**
 * Asks for an address and a boot file, as PXE's clients do.
 *
 * @spec RFC 2131 §3.1, §4.1, §4.4; RFC 4578; Preboot Execution Environment (PXE) Specification 2.1, §2.2 (options, time-outs)
 *
 * Not modelled: ProxyDHCP and boot servers' menus (what answers at port 4011, option 43), BOOTP without DHCP; renewing a
 * lease, as none is so short that a boot loader outlives it; probing whether the address is in use.
 */
import { BROADCAST_IPV4, type Ipv4Address, parseIpv4Address, UNSPECIFIED_IPV4 } from "../../../net/wire/addresses.ts";
import {
  DHCP_CLIENT_PORT,
  DHCP_SERVER_PORT,
  DHCP_TYPE,
  type DhcpMessage,
  dhcpType,
  makeDhcp,
  parseDhcp,
} from "../../../net/wire/dhcp.ts";
import {
  addressIn,
  addressOption,
  DHCP_OPTION,
  numberOption,
  PXE_CLIENT,
  textIn,
  textOption,
} from "../../../net/wire/dhcp-options.ts";
import { IPV4_HEADER } from "../../../net/wire/ipv4.ts";
import { UDP_HEADER } from "../../../net/wire/udp.ts";
import type { NetworkStack } from "./network-stack.ts";
import { type Operation, SECOND } from "./operation.ts";

export interface Lease {
  readonly address: Ipv4Address;
  readonly mask: Ipv4Address;
  /** 0.0.0.0 for none. */
  readonly gateway: Ipv4Address;
  /** Who gave it. */
  readonly server: Ipv4Address;
  /** Where the boot file is; empty where the server names none. */
  readonly bootServer: Ipv4Address;
  readonly bootFile: string;
  /** The messages, as programs may ask for them. */
  readonly discover: Uint8Array;
  readonly acknowledgment: Uint8Array;
  /** The one that named the boot file. */
  readonly reply: Uint8Array;
}

/** Seconds for which answers are waited for, after each time that was asked: a minute in all. */
const WAITS = [4, 8, 16, 32];
/** Longest message that is taken. */
const LONGEST = 1500 - IPV4_HEADER - UDP_HEADER;
const VENDOR_CLASS = `${PXE_CLIENT}:Arch:00000:UNDI:002001`;
/** What servers are asked to tell: an address's needs, names, and all of PXE's. */
const WANTED = [1, 2, 3, 4, 5, 6, 12, 13, 15, 17, 18, 22, 23, 28, 40, 41, 42, 43, 50, 51, 54, 58, 59, 60, 66, 67, 97];
const PXE_PRIVATE = [128, 129, 130, 131, 132, 133, 134, 135];
const SLASH_24 = 0xffff_ff00;

/** Undefined where no server answered. */
export function* askForAddress(stack: NetworkStack, progress: () => void): Operation<Lease | undefined> {
  const { udp } = stack;
  udp.open(DHCP_CLIENT_PORT);
  const lease = yield* converse(stack, progress);
  udp.close(DHCP_CLIENT_PORT);
  return lease;
}

interface Reply {
  readonly message: DhcpMessage;
  readonly bytes: Uint8Array;
}

function* converse(stack: NetworkStack, progress: () => void): Operation<Lease | undefined> {
  const { network } = stack;
  const now = () => stack.time.now();
  const start = now();
  const [, , a = 0, b = 0, c = 0, d = 0] = network.address;
  // What tells this machine's questions from others' on the network.
  const transaction = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
  const question = (type: number, more: readonly (readonly [number, Uint8Array])[] = []) =>
    makeDhcp({
      operation: "request",
      transaction,
      seconds: Math.floor((now() - start) / SECOND),
      broadcast: true,
      clientMac: network.address,
      options: new Map([[DHCP_OPTION.messageType, numberOption(type, 1)], ...more, ...clientOptions(network.uuid)]),
    });
  const discover = question(DHCP_TYPE.discover);

  function* answer(end: number, types: readonly number[]): Operation<Reply | undefined> {
    const read = (payload: Uint8Array) => {
      const message = parseDhcp(payload);
      const isOurs = message?.operation === "reply" && message.transaction === transaction;
      return isOurs && types.includes(dhcpType(message) ?? 0) ? message : undefined;
    };
    const accept = ({ payload }: { payload: Uint8Array }) => read(payload) !== undefined;
    const datagram = yield* stack.udp.receiveFrom(DHCP_CLIENT_PORT, end, accept);
    const message = datagram && read(datagram.payload);
    return message && { message, bytes: datagram.payload };
  }

  /** The first offer with a boot file, or, where there is none in time, the first of all. */
  function* offerUntil(end: number): Operation<Reply | undefined> {
    let first: Reply | undefined;
    for (;;) {
      const offer = yield* answer(end, [DHCP_TYPE.offer]);
      if (offer === undefined) return first;
      if (offer.message.yourAddress === UNSPECIFIED_IPV4) continue;
      if (bootFileOf(offer.message) !== "") return offer;
      first ??= offer;
    }
  }

  let offer: Reply | undefined;
  for (const wait of WAITS) {
    progress();
    if (offer === undefined) {
      yield* broadcast(stack, discover);
      offer = yield* offerUntil(now() + wait * SECOND);
      if (offer === undefined) continue;
    }
    const { message } = offer;
    const server = serverOf(message);
    const request = question(DHCP_TYPE.request, [
      [DHCP_OPTION.requestedAddress, addressOption(message.yourAddress)],
      [DHCP_OPTION.serverIdentifier, addressOption(server)],
    ]);
    yield* broadcast(stack, request);
    const reply = yield* answer(now() + wait * SECOND, [DHCP_TYPE.ack, DHCP_TYPE.nak]);
    if (reply && dhcpType(reply.message) === DHCP_TYPE.ack) return leaseOf(offer, reply, discover);
    // Refused: the offer does not hold any more.
    if (reply) offer = undefined;
  }
  return undefined;
}

function* broadcast({ udp }: NetworkStack, payload: Uint8Array): Operation<void> {
  const ports = { sourcePort: DHCP_CLIENT_PORT, destinationPort: DHCP_SERVER_PORT };
  yield* udp.send({ destination: BROADCAST_IPV4, ...ports, payload });
}

function clientOptions(uuid: Uint8Array | undefined): [number, Uint8Array][] {
  return [
    [DHCP_OPTION.parameterRequestList, Uint8Array.from([...WANTED, ...PXE_PRIVATE])],
    [DHCP_OPTION.maximumMessageSize, numberOption(LONGEST + IPV4_HEADER + UDP_HEADER, 2)],
    [DHCP_OPTION.vendorClass, textOption(VENDOR_CLASS)],
    // A PC with a BIOS.
    [DHCP_OPTION.clientArchitecture, numberOption(0, 2)],
    // UNDI 2.1.
    [DHCP_OPTION.clientInterface, Uint8Array.of(1, 2, 1)],
    ...(uuid ? [[DHCP_OPTION.clientMachine, Uint8Array.of(0, ...uuid)] as [number, Uint8Array]] : []),
  ];
}

const serverOf = ({ options, serverAddress }: DhcpMessage) =>
  addressIn(options.get(DHCP_OPTION.serverIdentifier)) ?? serverAddress;

const bootFileOf = ({ bootFile, options }: DhcpMessage) => bootFile || textIn(options.get(DHCP_OPTION.bootFile)) || "";

/** Who has the boot file: the field for it, an address in the option for its name, or who answers. */
function bootServerOf(message: DhcpMessage): Ipv4Address {
  if (message.serverAddress !== UNSPECIFIED_IPV4) return message.serverAddress;
  const named = parseIpv4Address(textIn(message.options.get(DHCP_OPTION.serverName)) || message.serverName);
  return named ?? serverOf(message);
}

function leaseOf(offer: Reply, acknowledgment: Reply, discover: Uint8Array): Lease {
  const { message } = acknowledgment;
  const { options } = message;
  const told = bootFileOf(message) === "" ? offer : acknowledgment;
  return {
    address: message.yourAddress,
    mask: addressIn(options.get(DHCP_OPTION.subnetMask)) ?? (SLASH_24 as Ipv4Address),
    gateway: addressIn(options.get(DHCP_OPTION.routers)) ?? UNSPECIFIED_IPV4,
    server: serverOf(message),
    bootServer: bootServerOf(told.message),
    bootFile: bootFileOf(told.message),
    discover,
    acknowledgment: acknowledgment.bytes,
    reply: told.bytes,
  };
}
