/**
 * A network of its own for guests: an IPv4 subnet with one host besides them, which gives them addresses and files to boot.
 * With an `outside` that host is the router that leads there, and there is a name server beside it. Without one nothing leads
 * out, and guests are told of no router and no name server, so that no system waits for one.
 *
 * Addresses are those of QEMU's user network: 10.0.2.2 for the host, with the Ethernet address 52:55:0a:00:02:02, 10.0.2.3
 * for the name server, and 10.0.2.15 for the first guest.
 *
 * A snapshot keeps the leases alone. Frames under way are lost, as frames may be, files under way begin anew, and connections
 * to the outside end.
 *
 * Not modelled: IPv6, which guests do without.
 */
import { encodeUtf8 } from "../../bits/utf8.ts";
import type { AsyncWork, Device, TimeSource } from "../../machine/device.ts";
import type { FileTree } from "../file-tree.ts";
import type { EthernetPort, EthernetStation } from "../link.ts";
import type { Outside } from "../outside.ts";
import { type Ipv4Address, ipv4Address, type MacAddress } from "../wire/addresses.ts";
import { LONGEST_BOOT_FILE } from "../wire/dhcp.ts";
import { DhcpServer } from "./dhcp-server.ts";
import { answerEchoRequests } from "./echo.ts";
import { Gateway } from "./gateway.ts";
import { Ipv4Host } from "./ipv4-host.ts";
import { type AddressPool, type LeaseState, Leases } from "./leases.ts";
import { Outbox } from "./outbox.ts";
import { parseSubnet, type Subnet } from "./subnet.ts";
import { refuseConnections } from "./tcp-refusal.ts";
import { TftpServer } from "./tftp-server.ts";
import { UdpPorts } from "./udp-ports.ts";

/** The network unless another is asked for. */
export const DEFAULT_SUBNET = "10.0.2.0/24";

/** Where hosts lie in the subnet. */
const HOST = 2;
const NAME_SERVER = 3;
const FIRST_GUEST = 15;
const FEW = 32;
/** Most addresses that are given to guests. */
const MOST_GUESTS = 256;
const LONGEST_DOMAIN = 63;

export interface VirtualNetworkConfig {
  /** As `parseSubnet` takes it; DEFAULT_SUBNET if absent. */
  readonly subnet?: string;
  /** What guests boot that do so from the network: a path in `files`, of 127 bytes of UTF-8 at the most. */
  readonly bootFile?: string;
  /** What the TFTP server offers; there is none if absent. */
  readonly files?: FileTree;
  /** The guests' domain, of 63 letters at the most. */
  readonly domain?: string;
}

export interface VirtualNetworkWiring {
  readonly time: TimeSource;
  readonly work: AsyncWork;
  /** What the network's own host is plugged into. */
  readonly hub: { connect(station: EthernetStation): EthernetPort };
  /** Where the network leads; nowhere if absent. */
  readonly outside?: Outside;
}

export class VirtualNetwork implements EthernetStation, Device<LeaseState> {
  readonly state: LeaseState = { leases: [] };
  /** The network's own host. */
  readonly address: Ipv4Address;
  readonly mac: MacAddress;
  readonly #outbox: Outbox;
  /** The network's own host, and the name server. */
  readonly #hosts: readonly Ipv4Host[];
  readonly #gateway: Gateway | undefined;
  readonly #tftp: TftpServer | undefined;

  /** Throws RangeError where the configuration has what it cannot be. */
  constructor(config: VirtualNetworkConfig, { time, work, hub, outside }: VirtualNetworkWiring) {
    const { files, ...network } = config;
    const subnet = checkedSubnet(config);
    this.address = ipv4Address(subnet.network + HOST);
    this.mac = macOf(this.address);
    this.#outbox = new Outbox(hub.connect(this), time);
    const hostAt = (address: Ipv4Address): Ipv4Host => {
      const host = new Ipv4Host({ mac: macOf(address), address, subnet }, (frame) => this.#outbox.send(frame));
      answerEchoRequests(host);
      return host;
    };
    const host = hostAt(this.address);
    refuseConnections(host);
    const udp = new UdpPorts(host);
    const leases = new Leases(this.state, poolOf(subnet, outside === undefined ? HOST : NAME_SERVER), time);
    const dhcp = { ...network, address: this.address, subnet };
    if (outside === undefined) {
      this.#hosts = [host];
      new DhcpServer(dhcp, { udp, leases });
    } else {
      const nameServer = hostAt(ipv4Address(subnet.network + NAME_SERVER));
      this.#hosts = [host, nameServer];
      this.#gateway = new Gateway({ time, outside, host, nameServer });
      new DhcpServer({ ...dhcp, routers: [this.address], nameServers: [nameServer.address] }, { udp, leases });
    }
    if (files !== undefined) this.#tftp = new TftpServer({ udp, files, time, work });
  }

  receive(frame: Uint8Array): boolean {
    for (const host of this.#hosts) host.receive(frame);
    return true;
  }

  roomAgain(): void {
    this.#outbox.roomAgain();
  }

  /** Connections of guests to the outside. */
  get connections(): number {
    return this.#gateway?.connections ?? 0;
  }

  /** The machine was reset, and its host operations dropped: what is under way ends. Leases stay, as on any network. */
  reset(): void {
    void this.close();
  }

  /** Ends what is under way. Resolves once its files are closed. */
  async close(): Promise<void> {
    this.#gateway?.close();
    this.#outbox.clear();
    await this.#tftp?.end();
  }
}

function checkedSubnet({ subnet: text = DEFAULT_SUBNET, bootFile, domain }: VirtualNetworkConfig): Subnet {
  const subnet = parseSubnet(text);
  if (subnet === undefined) {
    throw new RangeError(`"${text}" is no network: it must be like ${DEFAULT_SUBNET}, with a prefix of 8 to 29 bits`);
  }
  if (bootFile !== undefined && encodeUtf8(bootFile).length > LONGEST_BOOT_FILE) {
    throw new RangeError(`the boot file's path has more than ${LONGEST_BOOT_FILE} bytes`);
  }
  if (domain !== undefined && !new RegExp(`^[\\w.-]{1,${LONGEST_DOMAIN}}$`).test(domain)) {
    throw new RangeError(`"${domain}" is no domain of ${LONGEST_DOMAIN} letters, digits, dots and hyphens at the most`);
  }
  return subnet;
}

/** In networks too small for the usual place, guests follow the network's own hosts. */
function poolOf({ network, broadcast }: Subnet, lastHost: number): AddressPool {
  const first = network + (broadcast - network < FEW ? lastHost + 1 : FIRST_GUEST);
  return { first: ipv4Address(first), last: ipv4Address(Math.min(first + MOST_GUESTS, broadcast) - 1) };
}

/** 52:55 and the host's IPv4 address, as on QEMU's user network. */
function macOf(address: Ipv4Address): MacAddress {
  return Uint8Array.of(0x52, 0x55, address >>> 24, address >>> 16, address >>> 8, address);
}
