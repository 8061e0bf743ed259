/**
 * Registers of the I/O APIC.
 * @spec Intel 82093AA datasheet (290566), §3; the EOI register is that of version 20h, as in the Intel ICH2
 * datasheet (290687), "I/O APIC (D31:F0)".
 */
import { bits } from "../../bits/fields.ts";

export const PIN_COUNT = 24;

/** Memory offsets. */
export const Window = { index: 0x00, data: 0x10, eoi: 0x40 } as const;

/** Values of the index register; entry `n` of the redirection table is at `redirection + 2n` (low half) and the next. */
export const Register = { id: 0x00, version: 0x01, arbitration: 0x02, redirection: 0x10 } as const;

/** Version 20h, and the number of the last pin. */
export const VERSION = 0x20 | ((PIN_COUNT - 1) << 16);

/** The low half of a redirection entry; the high half is the destination in bits 24 to 31. */
export const Redirection = bits({
  vector: [0, 7],
  deliveryMode: [8, 10],
  logical: 11,
  deliveryPending: 12,
  activeLow: 13,
  remoteIrr: 14,
  levelTriggered: 15,
  masked: 16,
});

export const REDIRECTION_WRITABLE_LOW = 0x1afff;
export const REDIRECTION_WRITABLE_HIGH = 0xff000000;
export const ID_WRITABLE = 0x0f000000;
