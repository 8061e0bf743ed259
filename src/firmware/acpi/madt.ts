/**
 * The multiple APIC description table: local APICs, the I/O APIC and how ISA interrupts reach it.
 *
 * @spec ACPI 6.5 section 5.2.12
 */
import { bits } from "../../bits/fields.ts";
import { struct, u8, u16, u32 } from "../../bits/struct.ts";
import { concat } from "../concat.ts";
import type { AcpiBoard } from "./board.ts";

const Madt = struct("LE", { localApicAddress: u32, flags: u32 });
const PCAT_COMPAT = 1;

const LocalApic = struct("LE", { type: u8, length: u8, processorUid: u8, apicId: u8, flags: u32 });
const LOCAL_APIC = 0;
const ENABLED = 1;

const IoApic = struct("LE", { type: u8, length: u8, id: u8, reserved: u8, address: u32, gsiBase: u32 });
const IO_APIC = 1;

const SourceOverride = struct("LE", { type: u8, length: u8, bus: u8, source: u8, gsi: u32, flags: u16 });
const SOURCE_OVERRIDE = 2;
/** Both zero: as usual on the ISA bus. @spec table 5.26 (MPS INTI flags) */
const Inti = bits({ polarity: [0, 1], trigger: [2, 3] });
const ACTIVE_HIGH = 1;
const LEVEL = 3;

const LocalNmi = struct("LE", { type: u8, length: u8, processorUid: u8, flagsLow: u8, flagsHigh: u8, lint: u8 });
const LOCAL_NMI = 4;
const ALL_PROCESSORS = 0xff;

export const MADT_REVISION = 1;

/** The table's bytes after its header. */
export function madtBody(board: AcpiBoard): Uint8Array {
  const override = (source: number, gsi: number, flags: number) =>
    SourceOverride.make({ type: SOURCE_OVERRIDE, length: SourceOverride.size, source, gsi, flags });
  const level = Inti.pack({ polarity: ACTIVE_HIGH, trigger: LEVEL });
  const levelIrqs = [...new Set([board.power.sciIrq, ...board.pciIrqs])].sort((a, b) => a - b);
  return concat(
    Madt.make({ localApicAddress: board.localApic, flags: PCAT_COMPAT }),
    ...Array.from({ length: board.vcpus }, (_, id) =>
      LocalApic.make({ type: LOCAL_APIC, length: LocalApic.size, processorUid: id, apicId: id, flags: ENABLED }),
    ),
    IoApic.make({ type: IO_APIC, length: IoApic.size, id: board.ioApic.id, address: board.ioApic.address }),
    // The timer takes pin 2, which the cascade of the two 8259s leaves free.
    override(0, 2, 0),
    ...levelIrqs.map((irq) => override(irq, irq, level)),
    LocalNmi.make({ type: LOCAL_NMI, length: LocalNmi.size, processorUid: ALL_PROCESSORS, lint: 1 }),
  );
}
