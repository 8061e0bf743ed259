/**
 * Ethernet as what is plugged into it sees it: frames without preamble and frame check sequence, from the destination
 * address on (IEEE 802.3 §3.2), 14 to 1514 bytes. Frames need not be padded to 60 bytes.
 */

/** Bytes of a frame's header: two addresses and the EtherType. */
export const ETHERNET_HEADER = 14;
/** Most bytes of a frame, without the frame check sequence. */
export const LARGEST_FRAME = 1514;

/** What is plugged in: a card, a host's protocol stack. */
export interface EthernetStation {
  /**
   * A frame that another station sent, whoever it is addressed to; its bytes may change after the call. Returns false where
   * the station has no room for it now: it is lost, and the sender may send it again once it is told of room. Whoever does
   * not listen at all returns true. A station sends nothing from within this call.
   */
  receive(frame: Uint8Array): boolean;
  /** A station that had no room has some again. */
  roomAgain?(): void;
}

/** A station's end of the cable. */
export interface EthernetPort {
  /** Sends a frame to all other stations, which copy what they keep of it. Returns false where one had no room for it. */
  transmit(frame: Uint8Array): boolean;
  /** Tells the others that this station, whose `receive` returned false, has room again. */
  roomAgain(): void;
}
