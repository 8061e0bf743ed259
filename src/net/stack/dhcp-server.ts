/**
 * Gives the hosts of a network their addresses, and tells them what to boot.
 *
 * @spec RFC 2131 §4.3; RFC 1534 (BOOTP clients); RFC 6842 (client identifiers are sent back); Intel, "Preboot Execution
 *   Environment (PXE) Specification 2.1" §2.2, §2.4
 *
 * A client is known by its Ethernet address: a loader and the system it loads get the same address, whatever identifiers they
 * send. The server knows of no other on its network: a client that comes with an address which is free gets it, as it may be
 * from an earlier run.
 *
 * Not modelled: messages passed on by relays, which are ignored; looking whether an address is in use before it is offered;
 * PXE boot servers (port 4011), as clients are told to ask for none.
 */
import {
  BROADCAST_IPV4,
  formatIpv4Address,
  formatMacAddress,
  type Ipv4Address,
  isGroupMac,
  UNSPECIFIED_IPV4,
} from "../wire/addresses.ts";
import {
  DHCP_CLIENT_PORT,
  DHCP_SERVER_PORT,
  DHCP_TYPE,
  type DhcpFields,
  type DhcpMessage,
  dhcpType,
  makeDhcp,
  parseDhcp,
} from "../wire/dhcp.ts";
import {
  addressIn,
  addressOption,
  DHCP_OPTION,
  type DhcpOptions,
  isPxe,
  makeDhcpOptions,
  numberOption,
  PXE_BOOT_FILE_ONLY,
  PXE_CLIENT,
  PXE_OPTION,
  textOption,
} from "../wire/dhcp-options.ts";
import type { Leases } from "./leases.ts";
import type { Subnet } from "./subnet.ts";
import type { UdpDestination, UdpPorts, UdpSocket } from "./udp-ports.ts";

export interface DhcpServerConfig {
  readonly address: Ipv4Address;
  readonly subnet: Subnet;
  /** Hosts that lead out of the network; none are told of if absent. */
  readonly routers?: readonly Ipv4Address[];
  readonly nameServers?: readonly Ipv4Address[];
  /** The hosts' domain. */
  readonly domain?: string;
  /** A path at this host's TFTP server. */
  readonly bootFile?: string;
}

/** Seconds. */
export const LEASE_TIME = 24 * 60 * 60;
const SECOND = 1e9;
/** Clients of BOOTP do not know that addresses run out: a hundred years, in seconds. */
const BOOTP_LEASE_TIME = 100 * 365 * LEASE_TIME;

/** Bytes of the longest option that is sent back as it came. */
const LONGEST_SENT_BACK = 255;

type Options = [code: number, value: Uint8Array][];

export class DhcpServer {
  readonly #config: DhcpServerConfig;
  readonly #leases: Leases;
  readonly #socket: UdpSocket;

  constructor(config: DhcpServerConfig, { udp, leases }: { udp: UdpPorts; leases: Leases }) {
    this.#config = config;
    this.#leases = leases;
    this.#socket = udp.listen(DHCP_SERVER_PORT, ({ payload }) => this.#receive(payload));
  }

  #receive(payload: Uint8Array): void {
    const message = parseDhcp(payload);
    if (message === undefined || message.operation !== "request" || isGroupMac(message.clientMac)) return;
    if (message.relayAddress !== UNSPECIFIED_IPV4) return;
    const client = formatMacAddress(message.clientMac);
    const type = dhcpType(message);
    if (type === undefined) this.#bootp(message, client);
    else if (type === DHCP_TYPE.discover) this.#discover(message, client);
    else if (type === DHCP_TYPE.inform) this.#inform(message);
    else if (type === DHCP_TYPE.request) this.#request(message, client);
    else if (type === DHCP_TYPE.release && this.#isForUs(message)) this.#leases.release(client);
    else if (type === DHCP_TYPE.decline && this.#isForUs(message)) this.#leases.decline(client);
  }

  #discover(message: DhcpMessage, client: string): void {
    const address = this.#leases.offer(client, addressIn(message.options.get(DHCP_OPTION.requestedAddress)));
    if (address !== undefined) this.#give(message, DHCP_TYPE.offer, address);
  }

  #request(message: DhcpMessage, client: string): void {
    if (!this.#isForUs(message)) {
      this.#leases.release(client);
      return;
    }
    // A client that has an address tells it in the header, one that only wants it in an option (RFC 2131 §4.3.2).
    const wanted = message.clientAddress || addressIn(message.options.get(DHCP_OPTION.requestedAddress));
    if (wanted === undefined) return;
    if (this.#leases.grant(client, wanted, LEASE_TIME * SECOND)) this.#give(message, DHCP_TYPE.ack, wanted);
    else this.#refuse(message);
  }

  #inform(message: DhcpMessage): void {
    if (message.clientAddress === UNSPECIFIED_IPV4) return;
    this.#reply(message, UNSPECIFIED_IPV4, [
      this.#type(DHCP_TYPE.ack),
      this.#identifier(),
      ...this.#networkOptions(),
      ...this.#bootOptions(message),
    ]);
  }

  #bootp(message: DhcpMessage, client: string): void {
    // A client may want one server, by its name, which this one has not; nor is a message of unknown type one of BOOTP.
    if (message.serverName !== "" || message.options.has(DHCP_OPTION.messageType)) return;
    const wanted = message.clientAddress === UNSPECIFIED_IPV4 ? undefined : message.clientAddress;
    const address = this.#leases.offer(client, wanted);
    if (address === undefined) return;
    this.#leases.grant(client, address, BOOTP_LEASE_TIME * SECOND);
    this.#reply(message, address, this.#networkOptions());
  }

  /** Whether the message is for this server, or for all. */
  #isForUs({ options }: DhcpMessage): boolean {
    const server = addressIn(options.get(DHCP_OPTION.serverIdentifier));
    return server === undefined || server === this.#config.address;
  }

  #give(message: DhcpMessage, type: number, address: Ipv4Address): void {
    this.#reply(message, address, [
      this.#type(type),
      this.#identifier(),
      [DHCP_OPTION.leaseTime, numberOption(LEASE_TIME, 4)],
      [DHCP_OPTION.renewalTime, numberOption(LEASE_TIME / 2, 4)],
      [DHCP_OPTION.rebindingTime, numberOption((LEASE_TIME * 7) / 8, 4)],
      ...this.#networkOptions(),
      ...this.#bootOptions(message),
    ]);
  }

  #type(type: number): Options[number] {
    return [DHCP_OPTION.messageType, numberOption(type, 1)];
  }

  #identifier(): Options[number] {
    return [DHCP_OPTION.serverIdentifier, addressOption(this.#config.address)];
  }

  #networkOptions(): Options {
    const { subnet, routers = [], nameServers = [], domain } = this.#config;
    const options: Options = [
      [DHCP_OPTION.subnetMask, addressOption(subnet.mask)],
      [DHCP_OPTION.broadcastAddress, addressOption(subnet.broadcast)],
    ];
    if (routers.length > 0) options.push([DHCP_OPTION.routers, addressOption(...routers)]);
    if (nameServers.length > 0) options.push([DHCP_OPTION.nameServers, addressOption(...nameServers)]);
    if (domain !== undefined) options.push([DHCP_OPTION.domainName, textOption(domain)]);
    return options;
  }

  #bootOptions({ options: asked }: DhcpMessage): Options {
    const { address, bootFile } = this.#config;
    if (bootFile === undefined) return [];
    const isFromPxe = isPxe(asked);
    const list = asked.get(DHCP_OPTION.parameterRequestList);
    const options: Options = [];
    const add = (code: number, text: string) => {
      if (isFromPxe || list?.includes(code)) options.push([code, textOption(text)]);
    };
    // As an address: there may be no server that knows names.
    add(DHCP_OPTION.serverName, formatIpv4Address(address));
    add(DHCP_OPTION.bootFile, bootFile);
    if (!isFromPxe) return options;
    const control = new Map([[PXE_OPTION.discoveryControl, Uint8Array.of(PXE_BOOT_FILE_ONLY)]]);
    options.push([DHCP_OPTION.vendorClass, textOption(PXE_CLIENT)]);
    options.push([DHCP_OPTION.vendorSpecific, makeDhcpOptions(control)]);
    return [...options, ...sentBack(asked, DHCP_OPTION.clientMachine)];
  }

  #reply(message: DhcpMessage, yourAddress: Ipv4Address, options: Options): void {
    const { address, bootFile = "" } = this.#config;
    const reply = makeDhcp({
      ...this.#replyFields(message, options),
      clientAddress: message.clientAddress,
      yourAddress,
      serverAddress: address,
      bootFile,
    });
    this.#socket.send(destinationOf(message, yourAddress), reply);
  }

  #refuse(message: DhcpMessage): void {
    const fields = this.#replyFields(message, [this.#type(DHCP_TYPE.nak), this.#identifier()]);
    this.#socket.send(TO_ALL, makeDhcp(fields));
  }

  #replyFields({ transaction, broadcast, clientMac, options: asked }: DhcpMessage, options: Options): DhcpFields {
    const all = new Map([...options, ...sentBack(asked, DHCP_OPTION.clientIdentifier)]);
    return { operation: "reply", transaction, broadcast, clientMac, options: all };
  }
}

/** An option that the server repeats, unless it is longer than a client has reason to make it: an answer must fit a frame. */
function sentBack(asked: DhcpOptions, code: number): Options {
  const value = asked.get(code);
  return value === undefined || value.length > LONGEST_SENT_BACK ? [] : [[code, value]];
}

const TO_ALL: UdpDestination = { address: BROADCAST_IPV4, port: DHCP_CLIENT_PORT };

/** Where the answer to a message goes. @spec RFC 2131 §4.1 */
function destinationOf(message: DhcpMessage, yourAddress: Ipv4Address): UdpDestination {
  const { clientAddress, clientMac: mac } = message;
  const port = DHCP_CLIENT_PORT;
  if (clientAddress !== UNSPECIFIED_IPV4) return { address: clientAddress, port, mac };
  return message.broadcast ? TO_ALL : { address: yourAddress, port, mac };
}
