/** Figures of bench/disks.ts and the tables that they are told in. */
import { type Bus, FORMATS, type Format, type WHOSE } from "./disk-machines.ts";
import { median } from "./figures.ts";
import { figure, markdownTable } from "./table.ts";

export interface Rates {
  /** By the guest's clock. */
  readonly clock: number;
  /** A second of processor time of all the machine's threads: what a busy host leaves unchanged. */
  readonly processor: number;
}
type Measure = keyof Rates;

export interface Workload {
  readonly name: string;
  readonly action: "read" | "write";
  readonly bytes: number;
  readonly order: "sequential" | "random";
  readonly unit: string;
  /** The least ratio to QEMU's. */
  readonly target: number;
}

const MIB = 1024 * 1024;
const sequential = { bytes: MIB, order: "sequential", unit: "MiB/s", target: 1 } as const;
const random = { bytes: 4096, order: "random", unit: "requests/s", target: 0.7 } as const;
export const WORKLOADS: readonly Workload[] = [
  { name: "sequential reads, 1 MiB", action: "read", ...sequential },
  { name: "sequential writes, 1 MiB", action: "write", ...sequential },
  { name: "random reads, 4 KiB", action: "read", ...random },
  { name: "random writes, 4 KiB", action: "write", ...random },
];
/** Part of a raw image's rate that a qcow2 image's must come to. */
const FORMAT_TARGET = 0.85;

type Whose = (typeof WHOSE)[number];

export class DiskFigures {
  readonly #rates = new Map<string, (Rates | undefined)[]>();

  /** Adds those of a round; undefined where the machine stood still. */
  add(bus: Bus, workload: string, whose: Whose, format: Format, rates: Rates | undefined): void {
    const key = [bus, workload, whose, format].join();
    this.#rates.set(key, [...this.of(bus, workload, whose, format), rates]);
  }

  /** One for each round. */
  of(bus: Bus, workload: string, whose: Whose, format: Format): readonly (Rates | undefined)[] {
    return this.#rates.get([bus, workload, whose, format].join()) ?? [];
  }

  median(bus: Bus, workload: string, whose: Whose, format: Format, measure: Measure): number | undefined {
    return median(this.of(bus, workload, whose, format).flatMap((rates) => (rates ? [rates[measure]] : [])));
  }

  /** The median of the rounds' ratios, as load that comes and goes is in both of a round's figures. */
  ratio(
    one: readonly (Rates | undefined)[],
    other: readonly (Rates | undefined)[],
    measure: Measure,
  ): number | undefined {
    return median(
      one.flatMap((rates, round) => {
        const reference = other[round]?.[measure];
        return rates && reference ? [rates[measure] / reference] : [];
      }),
    );
  }
}

interface Row {
  readonly bus: Bus;
  readonly workload: Workload;
  readonly format: Format;
}

function rowsOf(figures: DiskFigures, buses: readonly Bus[]): Row[] {
  const all = WORKLOADS.flatMap((workload) =>
    buses.flatMap((bus) => FORMATS.map((format) => ({ bus, workload, format }))),
  );
  return all.filter(({ bus, workload, format }) => figures.of(bus, workload.name, "ours", format).length > 0);
}

const met = (value: number | undefined, target: number) => (value === undefined ? "-" : value >= target ? "yes" : "no");

/** Every workload, bus and format: both machines' rates, their ratios, and whether the ratio is what it must be. */
export function machinesTable(figures: DiskFigures, buses: readonly Bus[]): string {
  const lines = rowsOf(figures, buses).map(({ bus, workload, format }) => {
    const { name, unit, target } = workload;
    const [ours, qemu] = [figures.of(bus, name, "ours", format), figures.of(bus, name, "qemu", format)];
    const rate = (whose: Whose) => figure(figures.median(bus, name, whose, format, "clock"));
    const ratio = (measure: Measure) => figures.ratio(ours, qemu, measure);
    const clock = ratio("clock");
    const ratios = [figure(clock), figure(ratio("processor"))];
    return [name, bus, format, unit, rate("ours"), rate("qemu"), ...ratios, String(target), met(clock, target)];
  });
  const head = ["workload", "bus", "format", "unit", "ours", "QEMU", "by clock", "by processor time", "wanted", "met"];
  return markdownTable([head, ...lines], 4);
}

/** Rates of qcow2 images in parts of those of raw ones. */
export function formatsTable(figures: DiskFigures, buses: readonly Bus[]): string {
  const lines = rowsOf(figures, buses).flatMap(({ bus, workload: { name }, format }) => {
    if (format !== "qcow2") return [];
    const ratio = (whose: Whose, measure: Measure) =>
      figures.ratio(figures.of(bus, name, whose, "qcow2"), figures.of(bus, name, whose, "raw"), measure);
    const clock = ratio("ours", "clock");
    const ratios = [clock, ratio("ours", "processor"), ratio("qemu", "clock"), ratio("qemu", "processor")];
    return [[name, bus, ...ratios.map(figure), String(FORMAT_TARGET), met(clock, FORMAT_TARGET)]];
  });
  const ratios = ["ours, by clock", "ours, by processor time", "QEMU, by clock", "QEMU, by processor time"];
  return markdownTable([["workload", "bus", ...ratios, "wanted", "met"], ...lines], 2);
}
