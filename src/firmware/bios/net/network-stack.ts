/** The BIOS's protocols on the machine's network, put together. */
import type { TimeSource } from "../../../machine/device.ts";
import type { BiosCall, Outcome } from "../call.ts";
import { Ipv4Client } from "./ipv4-client.ts";
import { type Operation, Operations } from "./operation.ts";
import { type BiosNetwork, NetworkStation } from "./station.ts";
import { UdpClient } from "./udp-client.ts";

export class NetworkStack {
  readonly time: TimeSource;
  readonly operations: Operations;
  readonly station: NetworkStation;
  readonly ip: Ipv4Client;
  readonly udp: UdpClient;

  constructor(network: BiosNetwork, time: TimeSource) {
    this.time = time;
    this.operations = new Operations(time);
    this.station = new NetworkStation(network, {
      time,
      isWaiting: () => this.operations.isBusy,
      received: (frame) => {
        this.ip.receive(frame);
        this.operations.wake();
      },
    });
    this.ip = new Ipv4Client({ station: this.station, clock: time, received: (packet) => this.udp.receive(packet) });
    this.udp = new UdpClient(this.ip, time);
  }

  get network(): BiosNetwork {
    return this.station.network;
  }

  get state() {
    return { station: this.station.state, ip: this.ip.state, udp: this.udp.state };
  }

  /** Does an operation for a service that ends as `ended` says, with the processor held while it waits. */
  serve<T>(call: BiosCall, operation: Operation<T>, ended: (result: T) => Outcome): Outcome {
    let finish: ((outcome: Outcome) => void) | undefined;
    let atOnce: { readonly outcome: Outcome } | undefined;
    this.operations.run(operation, (result) => {
      const outcome = ended(result);
      if (finish) finish(outcome);
      else atOnce = { outcome };
    });
    if (atOnce) return atOnce.outcome;
    finish = call.holdInTime();
    return undefined;
  }

  reset(): void {
    for (const part of [this.operations, this.station, this.ip, this.udp]) part.reset();
  }

  restored(): void {
    this.station.restored();
  }
}
