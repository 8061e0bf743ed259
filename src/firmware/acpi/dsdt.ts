/**
 * The differentiated definition block: what the guest cannot find by probing the i440FX board, in AML.
 *
 * PCI interrupts go through the PIIX's four PIRQ registers to ISA interrupts, in APIC mode too: the I/O APIC
 * takes each ISA interrupt at the pin of its number.
 *
 * Not described: sleep states other than soft off, hot plug, thermal zones, the floppy's drives. The power
 * button is the fixed one of the PM1 registers.
 *
 * @spec ACPI 6.5 chapters 5 to 7; Intel 82371AB (PIIX4) datasheet (290562) 4.1.10 (PIRQRC)
 */
import { concat } from "../concat.ts";
import {
  type Aml,
  and,
  argument,
  byteFields,
  device,
  dwordField,
  eisaId,
  iff,
  integer,
  method,
  name,
  not,
  operationRegion,
  orInto,
  PCI_CONFIG,
  packageOf,
  path,
  processor,
  returns,
  scope,
  serializedMethod,
  store,
} from "./aml.ts";
import { type AcpiBoard, pirqOf } from "./board.ts";
import {
  busWindow,
  dma,
  fixedMemory,
  INTERRUPT_NUMBER_AT,
  interrupts,
  io,
  ioWindow,
  irq,
  memoryWindow,
  resourceTemplate,
} from "./resources.ts";

/** The terms of the DSDT, without the table header. */
export function dsdtTerms(board: AcpiBoard): Aml {
  const soft = integer(board.power.softOff);
  return concat(
    scope("\\_PR", ...Array.from({ length: board.vcpus }, (_, id) => processor(processorName(id), id))),
    name("\\_S5", packageOf(soft, soft, integer(0), integer(0))),
    scope(
      "\\_SB",
      device(
        "PCI0",
        name("_HID", eisaId("PNP0A03")),
        name("_UID", integer(0)),
        name("_BBN", integer(0)),
        name("_CRS", hostBridgeWindows(board)),
        isaBridge(board),
      ),
      ...LINKS.map((link, index) => interruptLink(board, link, index)),
      scope("PCI0", name("_PRT", interruptRouting())),
      motherboard(board),
      ...(board.hpet === undefined ? [] : [hpet(board.hpet.address)]),
    ),
  );
}

function processorName(id: number): string {
  return `C${id.toString(16).toUpperCase().padStart(3, "0")}`;
}

function hostBridgeWindows({ pciMemory }: AcpiBoard): Aml {
  return resourceTemplate(
    busWindow(0, 0xff),
    // The configuration ports lie between the two port windows.
    io(0xcf8, 8),
    ioWindow(0x0000, 0x0cf7),
    ioWindow(0x0d00, 0xffff),
    memoryWindow(0xa_0000, 0xb_ffff, true),
    memoryWindow(pciMemory.start, pciMemory.end - 1, false),
  );
}

const LINKS = ["LNKA", "LNKB", "LNKC", "LNKD"] as const;
const ROUTES = ["PRQ0", "PRQ1", "PRQ2", "PRQ3"] as const;
/** PIRQRC[A:D] in the PIIX function 0's configuration space; bit 7 set leaves the line unrouted. */
const PIRQRC = 0x60;
const UNROUTED = 0x80;

const PRESENT_DISABLED = 0x09;
const PRESENT_ENABLED = 0x0b;

/** A PIRQ line whose ISA interrupt the guest chooses. @spec 6.2.13 */
function interruptLink(board: AcpiBoard, link: string, index: number): Aml {
  const route = path(`\\_SB.PCI0.ISA.${ROUTES[index]}`);
  const unrouted = and(route, integer(UNROUTED));
  return device(
    link,
    name("_HID", eisaId("PNP0C0F")),
    name("_UID", integer(index + 1)),
    name("_PRS", resourceTemplate(interrupts(...board.pciIrqs))),
    method("_STA", 0, iff(unrouted, returns(integer(PRESENT_DISABLED))), returns(integer(PRESENT_ENABLED))),
    method("_DIS", 0, orInto(route, integer(UNROUTED), route)),
    name("BUF", resourceTemplate(interrupts(0))),
    serializedMethod(
      "_CRS",
      0,
      dwordField(path("BUF"), INTERRUPT_NUMBER_AT, "IRQ"),
      store(integer(0), path("IRQ")),
      iff(not(unrouted), store(route, path("IRQ"))),
      returns(path("BUF")),
    ),
    serializedMethod("_SRS", 1, dwordField(argument(0), INTERRUPT_NUMBER_AT, "IRQ"), store(path("IRQ"), route)),
  );
}

/** Every slot's four pins. Device 0 is the host bridge, which has none. @spec 6.2.13 */
function interruptRouting(): Aml {
  const entries: Aml[] = [];
  for (let slot = 1; slot < 32; slot++) {
    for (let pin = 0; pin < 4; pin++) {
      const link = LINKS[pirqOf(slot, pin)] as string;
      entries.push(packageOf(integer(slot * 0x1_0000 + 0xffff), integer(pin), path(link), integer(0)));
    }
  }
  return packageOf(...entries);
}

/** A device that is recognised by its Plug and Play identifier and has fixed resources. */
function isaDevice(target: string, id: string, ...resources: readonly Aml[]): Aml {
  return device(target, name("_HID", eisaId(id)), name("_CRS", resourceTemplate(...resources)));
}

function isaBridge(board: AcpiBoard): Aml {
  return device(
    "ISA",
    name("_ADR", integer(0x0001_0000)),
    operationRegion("PIRQ", PCI_CONFIG, PIRQRC, ROUTES.length),
    byteFields("PIRQ", ...ROUTES),
    isaDevice("PIC", "PNP0000", io(0x20, 2), io(0xa0, 2), io(0x4d0, 2), irq(2)),
    isaDevice("TIMR", "PNP0100", io(0x40, 4), irq(0)),
    isaDevice("DMAC", "PNP0200", io(0x00, 16), io(0x81, 15), io(0xc0, 32), dma(4)),
    isaDevice("RTC", "PNP0B00", io(0x70, 2), irq(8)),
    isaDevice("SPKR", "PNP0800", io(0x61, 1)),
    isaDevice("FPU", "PNP0C04", io(0xf0, 16), irq(13)),
    isaDevice("KBD", "PNP0303", io(0x60, 1), io(0x64, 1), irq(1)),
    isaDevice("MOU", "PNP0F13", irq(12)),
    ...board.serialPorts.map(({ port, irq: line }, index) =>
      device(
        `COM${index + 1}`,
        name("_HID", eisaId("PNP0501")),
        name("_UID", integer(index + 1)),
        name("_CRS", resourceTemplate(io(port, 8), irq(line))),
      ),
    ),
    ...(board.floppy ? [isaDevice("FDC", "PNP0700", io(0x3f2, 4), io(0x3f7, 1), irq(6), dma(2))] : []),
  );
}

/** Ports that belong to the chipset, so that the guest gives them to nobody else. */
function motherboard({ power }: AcpiBoard): Aml {
  return device(
    "MBRD",
    name("_HID", eisaId("PNP0C02")),
    name("_CRS", resourceTemplate(io(power.base, 64), io(power.smiCommand.port, 2), io(0x92, 1))),
  );
}

function hpet(address: number): Aml {
  return device(
    "HPET",
    name("_HID", eisaId("PNP0103")),
    name("_UID", integer(0)),
    name("_CRS", resourceTemplate(fixedMemory(address, 1024))),
  );
}
