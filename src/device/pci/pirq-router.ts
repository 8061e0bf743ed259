/**
 * From the interrupt pins of PCI functions to ISA interrupt requests: the board's wiring of INTA# to INTD# to
 * PIRQA# to PIRQD#, and the south bridge's routing of each PIRQ# to an IRQ of the 8259s, which is also the
 * I/O APIC's input of that number.
 * @spec Intel 82371SB (PIIX3) datasheet (290550), §2.2.8 "PIRQRC[A:D]"; the wiring is that of QEMU's i440FX
 * board, which its firmware's tables describe: PIRQ = (pin + slot - 1) mod 4 with INTA# as 0.
 */
import type { Device, SignalLine } from "../../machine/device.ts";
import { devfn } from "./pci-bus.ts";

export interface PirqRouterState {
  /** By device and function: 0, or 1 to 4 for the PIRQ# that the function asserts. */
  asserted: Uint8Array;
  /** PIRQRC of PIRQA# to PIRQD#. */
  routes: Uint8Array;
}

export interface PirqRouterWiring {
  /** One line for each IRQ 0 to 15, to the 8259s and the I/O APIC's pin of the same number. */
  isaIrqs: readonly SignalLine[];
}

const PIRQ_COUNT = 4;
const DISABLED = 0x80;
/** IRQ 0, 1, 2, 8 and 13 belong to the board; routing to them is reserved. */
const ROUTABLE_IRQS = 0xdef8;

export class PirqRouter implements Device<PirqRouterState> {
  readonly state: PirqRouterState = {
    asserted: new Uint8Array(256),
    routes: new Uint8Array(PIRQ_COUNT).fill(DISABLED),
  };
  readonly #isaIrqs: readonly SignalLine[];

  constructor({ isaIrqs }: PirqRouterWiring) {
    this.#isaIrqs = isaIrqs;
  }

  /** The interrupt pin (INTA# to INTD# are 1 to 4) of the function at `slot` and `fn`. */
  pin(slot: number, fn: number, pin: 1 | 2 | 3 | 4): SignalLine {
    const place = devfn(slot, fn);
    const pirq = (pin - 1 + slot + 3) % PIRQ_COUNT;
    return {
      set: (level) => {
        const asserted = level ? pirq + 1 : 0;
        if (this.state.asserted[place] === asserted) return;
        this.state.asserted[place] = asserted;
        this.#drive();
      },
    };
  }

  /** PIRQRC of PIRQA# to PIRQD# (0 to 3): an IRQ in bits 0 to 3, bit 7 disables. */
  route(pirq: number, control: number): void {
    if (this.state.routes[pirq] === control) return;
    this.state.routes[pirq] = control;
    this.#drive();
  }

  reset(): void {
    // The functions still drive their pins: the levels are theirs.
    this.state.routes.fill(DISABLED);
    this.#drive();
  }

  restored(): void {
    this.#drive();
  }

  #drive(): void {
    let levels = 0;
    for (let pirq = 0; pirq < PIRQ_COUNT; pirq++) {
      const control = this.state.routes[pirq]!;
      if ((control & DISABLED) === 0 && this.state.asserted.includes(pirq + 1)) levels |= 1 << (control & 0xf);
    }
    levels &= ROUTABLE_IRQS;
    for (const [irq, line] of this.#isaIrqs.entries()) {
      if ((ROUTABLE_IRQS & (1 << irq)) !== 0) line.set((levels & (1 << irq)) !== 0);
    }
  }
}
