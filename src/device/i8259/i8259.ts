/**
 * The PC's two cascaded 8259A interrupt controllers: the slave's INT is the master's IR2. Ports 0x20 and
 * 0x21 (master), 0xA0 and 0xA1 (slave), 0x4D0 and 0x4D1 (edge/level control registers).
 *
 * @spec Intel 8259A datasheet (231468-003); Intel 82371AB (PIIX4) datasheet (290562), §8.4
 *
 * Not modelled: MCS-80/85 mode (ICW4 µPM is taken as 1), buffered mode, a cascade other than the PC's
 * (ICW3 is accepted and not used). LTIM in ICW1 has no effect, as in PIIX4, where ELCR replaces it.
 */
import type { Device, SignalLine } from "../../machine/device.ts";
import { ByteWidePorts, FLOATING_BYTE } from "../isa-bus/byte-wide.ts";
import { accept, type ChipState, NONE, powerOnChip, request, setInput, writeCommand, writeData } from "./chip.ts";

/** First port of each chip: command at +0, data at +1. */
export const MASTER_PORT = 0x20;
export const SLAVE_PORT = 0xa0;
export const ELCR_PORT = 0x4d0;

/** The master's input that the slave is on. */
const CASCADE = 2;
/** The default level of an acknowledge without a request. */
const SPURIOUS = 7;
/** IRQ 0, 1, 2, 8 and 13 are edge-triggered always (PIIX4 §8.4.3). */
const ELCR_WRITABLE = [0xf8, 0xde] as const;

export interface I8259PairState {
  master: ChipState;
  slave: ChipState;
}

export interface I8259PairWiring {
  /** The master's INT output, to the processor's INTR (or the local APIC's LINT0). */
  readonly intr: SignalLine;
}

export class I8259Pair extends ByteWidePorts implements Device<I8259PairState> {
  readonly state: I8259PairState = { master: powerOnChip(), slave: powerOnChip() };
  readonly #intr: SignalLine;

  constructor({ intr }: I8259PairWiring) {
    super();
    this.#intr = intr;
  }

  reset(): void {
    // The devices still drive the inputs: the levels are theirs.
    for (const chip of [this.state.master, this.state.slave]) Object.assign(chip, powerOnChip(), { ir: chip.ir });
    this.#update();
  }

  restored(): void {
    this.#update();
  }

  /** The interrupt request input `irq`, 0 to 15; input 2 is taken by the cascade and does nothing. */
  line(irq: number): SignalLine {
    return { set: (level) => this.raise(irq, level) };
  }

  /** Sets the level of interrupt request input `irq`, 0 to 15. */
  raise(irq: number, level: boolean): void {
    if (irq === CASCADE) return;
    const { master, slave } = this.state;
    if (irq < 8) setInput(master, irq, level);
    else setInput(slave, irq - 8, level);
    this.#update();
  }

  /** The processor's interrupt acknowledge (both INTA cycles): the vector. Without a request, spurious IRQ 7 or 15. */
  acknowledge(): number {
    const { master, slave } = this.state;
    const level = request(master, CASCADE);
    if (level === NONE) return master.vectorBase | SPURIOUS;
    accept(master, level);
    let vector = master.vectorBase | level;
    if (level === CASCADE) {
      const slaveLevel = this.#acceptSlave();
      vector = slave.vectorBase | (slaveLevel === NONE ? SPURIOUS : slaveLevel);
    }
    this.#update();
    return vector;
  }

  protected readByte(port: number): number {
    switch (port) {
      case MASTER_PORT:
      case MASTER_PORT + 1:
        return this.#read(this.state.master, port & 1);
      case SLAVE_PORT:
      case SLAVE_PORT + 1:
        return this.#read(this.state.slave, port & 1);
      case ELCR_PORT:
        return this.state.master.elcr;
      case ELCR_PORT + 1:
        return this.state.slave.elcr;
      default:
        return FLOATING_BYTE;
    }
  }

  protected writeByte(port: number, value: number): void {
    const { master, slave } = this.state;
    switch (port) {
      case MASTER_PORT:
        writeCommand(master, value);
        break;
      case MASTER_PORT + 1:
        writeData(master, value);
        break;
      case SLAVE_PORT:
        writeCommand(slave, value);
        break;
      case SLAVE_PORT + 1:
        writeData(slave, value);
        break;
      case ELCR_PORT:
        this.#writeElcr(master, value & ELCR_WRITABLE[0]);
        break;
      case ELCR_PORT + 1:
        this.#writeElcr(slave, value & ELCR_WRITABLE[1]);
        break;
      default:
        return;
    }
    this.#update();
  }

  #writeElcr(chip: ChipState, elcr: number): void {
    chip.elcr = elcr;
    chip.irr = (chip.irr & ~elcr) | (chip.ir & elcr);
  }

  #read(chip: ChipState, a0: number): number {
    if (chip.poll) return this.#poll(chip);
    if (a0) return chip.imr;
    return chip.readIsr ? chip.isr : chip.irr;
  }

  /** The poll command: the read is the acknowledge ("Poll Command"). */
  #poll(chip: ChipState): number {
    const { master, slave } = this.state;
    chip.poll = false;
    let level: number;
    if (chip === slave) {
      level = this.#acceptSlave();
    } else {
      level = request(master, CASCADE);
      if (level !== NONE) accept(master, level);
    }
    this.#update();
    return level === NONE ? 0 : 0x80 | level;
  }

  /** The slave's part of an acknowledge. Its INT goes low with it, so that a further request is a new edge for the master. */
  #acceptSlave(): number {
    const { master, slave } = this.state;
    const level = request(slave);
    if (level !== NONE) {
      accept(slave, level);
      setInput(master, CASCADE, false);
    }
    return level;
  }

  #update(): void {
    const { master, slave } = this.state;
    setInput(master, CASCADE, request(slave) !== NONE);
    this.#intr.set(request(master, CASCADE) !== NONE);
  }
}
