/** A hub: what one station sends, all others get. */
import type { EthernetPort, EthernetStation } from "./link.ts";

export class EthernetHub {
  readonly #stations: EthernetStation[] = [];

  /** Plugs a station in. */
  connect(station: EthernetStation): EthernetPort {
    this.#stations.push(station);
    const others = () => this.#stations.filter((other) => other !== station);
    return {
      transmit: (frame) =>
        others()
          .map((other) => other.receive(frame))
          .every(Boolean),
      roomAgain: () => {
        for (const other of others()) other.roomAgain?.();
      },
    };
  }
}
