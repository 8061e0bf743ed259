/** Local APICs on one bus, driven by their registers. */
import { ApicBus } from "../../../machine/apic-bus.ts";
import { ManualTime, ProbeLine } from "../../../machine/testing/rig.ts";
import { LocalApic } from "../local-apic.ts";
import { fixedRateTsc } from "../tsc.ts";

export const TSC_HZ = 2_500_000_000;

/** Offsets of the xAPIC register page. */
export const Reg = {
  id: 0x20,
  version: 0x30,
  tpr: 0x80,
  ppr: 0xa0,
  eoi: 0xb0,
  ldr: 0xd0,
  dfr: 0xe0,
  svr: 0xf0,
  isr: 0x100,
  tmr: 0x180,
  irr: 0x200,
  esr: 0x280,
  cmci: 0x2f0,
  icrLow: 0x300,
  icrHigh: 0x310,
  timer: 0x320,
  thermal: 0x330,
  performance: 0x340,
  lint0: 0x350,
  lint1: 0x360,
  error: 0x370,
  initialCount: 0x380,
  currentCount: 0x390,
  divide: 0x3e0,
} as const;

export interface ApicUnderTest {
  apic: LocalApic;
  intr: ProbeLine;
  /** What the processor was told: "nmi", "smi", "init", "startup 9f". */
  signals: string[];
  /** Where the register page went. */
  pages: (number | undefined)[];
  read(offset: number): number;
  write(offset: number, value: number): void;
  /** Low and high half, or "#GP". */
  rdmsr(msr: number): [number, number] | "#GP";
  wrmsr(msr: number, low: number, high?: number): true | "#GP";
}

/** `ids` gives an APIC each, the first the boot processor's; software-enabled with spurious vector FFh unless `raw`. */
export function rig({ ids = [0], raw = false }: { ids?: number[]; raw?: boolean } = {}) {
  const time = new ManualTime();
  const bus = new ApicBus();
  const tsc = { offset: 0n };
  const pic = { vector: 0x30, acknowledged: 0 };
  const nsAtTsc = fixedRateTsc({ frequencyHz: TSC_HZ, offset: () => tsc.offset });
  const apics = ids.map((id, index): ApicUnderTest => {
    const intr = new ProbeLine();
    const signals: string[] = [];
    const pages: (number | undefined)[] = [];
    const apic = new LocalApic(
      { id, bootProcessor: index === 0, physicalAddressBits: 40 },
      {
        time,
        bus,
        intr,
        nsAtTsc,
        processor: {
          nmi: () => void signals.push("nmi"),
          smi: () => void signals.push("smi"),
          init: () => void signals.push("init"),
          startUp: (vector) => void signals.push(`startup ${vector.toString(16)}`),
        },
        acknowledgeExtInt: () => {
          pic.acknowledged++;
          return pic.vector;
        },
        pageMoved: (base) => void pages.push(base),
      },
    );
    const halves = new Uint32Array(2);
    const unit: ApicUnderTest = {
      apic,
      intr,
      signals,
      pages,
      read: (offset) => apic.readMemory(offset, 4),
      write: (offset, value) => apic.writeMemory(offset, 4, value >>> 0),
      rdmsr: (msr) => (apic.readMsr(msr, halves) ? [halves[0]!, halves[1]!] : "#GP"),
      wrmsr: (msr, low, high = 0) => (apic.writeMsr(msr, low, high) ? true : "#GP"),
    };
    if (!raw) unit.write(Reg.svr, 0x1ff);
    return unit;
  });
  return { time, bus, tsc, pic, apics, cpu: apics[0]! };
}
