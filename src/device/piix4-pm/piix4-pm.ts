/**
 * ACPI power management of the PIIX4: the 64-byte I/O block that PMBASE places (offsets here are relative
 * to it) and the APM ports 0xB2 and 0xB3, by which an operating system takes ACPI over from the firmware.
 *
 * The fixed registers for a FADT: PM1a_EVT_BLK at +0x00, PM1a_CNT_BLK at +0x04, PM_TMR_BLK at +0x08, GPE0_BLK
 * at +0x0C (two bytes of status, two of enable), SMI_CMD 0xB2 with `ACPI_ENABLE` and `ACPI_DISABLE`; \_S5 is
 * SLP_TYP 0.
 *
 * @spec Intel 82371AB (PIIX4) datasheet (290562), §7.2 "Power Management I/O Space Registers", §8.5.4 (APMC,
 * APMS); ACPI 1.0 §4.7
 *
 * Not modelled: SMIs (writing APMC does what an ACPI firmware's SMI handler would do, and no more), sleep
 * states other than soft-off, processor clock control (P_LVL2 and P_LVL3 read as zero), device monitors,
 * the RTC alarm event. GLBSTS and DEVSTS never show an event; PCNTRL, GLBEN, GLBCTL, DEVCTL and GPOREG keep
 * what is written.
 */
import { bits } from "../../bits/fields.ts";
import type { AccessSize, Device, PortDevice, SignalLine, Timer, TimeSource } from "../../machine/device.ts";
import { ByteWidePorts, FLOATING_BYTE } from "../isa-bus/byte-wide.ts";
import { oscillator } from "../oscillator/oscillator.ts";

export const PM_BLOCK_SIZE = 64;
export const APMC_PORT = 0xb2;
export const APMS_PORT = 0xb3;

/** Values of SMI_CMD in the FADT. */
export const ACPI_ENABLE = 0xf1;
export const ACPI_DISABLE = 0xf0;
/** SUS_TYP of soft-off: the first two elements of \_S5. */
export const SUS_TYP_SOFT_OFF = 0;

/** Offsets in the block. */
export const PmRegister = {
  pmsts: 0x00,
  pmen: 0x02,
  pmcntrl: 0x04,
  pmtmr: 0x08,
  gpsts: 0x0c,
  gpen: 0x0e,
  pcntrl: 0x10,
  glben: 0x20,
  glbctl: 0x28,
  devctl: 0x2c,
  gporeg: 0x34,
} as const;

export const Pmsts = bits({ tmrofSts: 0, bmSts: 4, gblSts: 5, pwrbtnSts: 8, rtcSts: 10, rsmSts: 15 });
export const Pmen = bits({ tmrofEn: 0, gblEn: 5, pwrbtnEn: 8, rtcEn: 10 });
export const Pmcntrl = bits({ sciEn: 0, brldEnBm: 1, gblRls: 2, susTyp: [10, 12], susEn: 13 });

const PMEN_WRITABLE = Pmen.mask.tmrofEn | Pmen.mask.gblEn | Pmen.mask.pwrbtnEn | Pmen.mask.rtcEn;
const PMCNTRL_WRITABLE = Pmcntrl.mask.brldEnBm | Pmcntrl.mask.susTyp;
const GPE_BITS = 16;

/** The ACPI timer's crystal, four times the colour subcarrier's third. */
export const PM_TIMER_HERTZ = 3_579_545;
const CLK = oscillator(PM_TIMER_HERTZ);

/** Registers without function: offset and bytes that keep what is written. */
const STORAGE: readonly (readonly [offset: number, size: number])[] = [
  [PmRegister.pcntrl, 4],
  [PmRegister.glben, 2],
  [PmRegister.glbctl, 4],
  [PmRegister.devctl, 4],
  [PmRegister.gporeg, 4],
];
const GPOREG_AT_POWER_ON = [0xff, 0xbf, 0xff, 0x7f];

export interface Piix4PmState {
  pmsts: number;
  pmen: number;
  pmcntrl: number;
  gpsts: number;
  gpen: number;
  apmc: number;
  apms: number;
  /** Half-turns of the timer that TMROF_STS was set for. */
  halfTurnsSeen: number;
  /** The block's bytes without function. */
  storage: Uint8Array;
}

export interface Piix4PmConfig {
  /** Bits of the PM timer: 32 where the FADT says TMR_VAL_EXT; PIIX4 itself has 24. */
  readonly timerBits: 24 | 32;
}

export interface Piix4PmWiring {
  readonly time: TimeSource;
  /** System control interrupt, high while asked for; level-triggered, IRQ 9 on PIIX4. */
  readonly sci: SignalLine;
  /** The guest has turned the machine off (S5). Called at the end of the access. */
  readonly onSoftOff: () => void;
}

function powerOn(): Piix4PmState {
  const storage = new Uint8Array(PM_BLOCK_SIZE);
  storage.set(GPOREG_AT_POWER_ON, PmRegister.gporeg);
  return { pmsts: 0, pmen: 0, pmcntrl: 0, gpsts: 0, gpen: 0, apmc: 0, apms: 0, halfTurnsSeen: 0, storage };
}

/** As a `PortDevice` the APM ports; the block that PMBASE places is `block`. */
export class Piix4Pm extends ByteWidePorts implements Device<Piix4PmState> {
  readonly state: Piix4PmState = powerOn();
  /** The I/O block, its ports counted from PMBASE. */
  readonly block: PortDevice = {
    readPort: (offset, size) => this.#readBlock(offset, size),
    writePort: (offset, size, value) => this.#writeBlock(offset, size, value),
  };
  readonly #time: TimeSource;
  readonly #timer: Timer;
  readonly #sci: SignalLine;
  readonly #onSoftOff: () => void;
  /** Ticks between two changes of the timer's highest bit. */
  readonly #halfTurn: number;

  constructor({ timerBits }: Piix4PmConfig, { time, sci, onSoftOff }: Piix4PmWiring) {
    super();
    this.#halfTurn = 2 ** (timerBits - 1);
    this.#time = time;
    this.#sci = sci;
    this.#onSoftOff = onSoftOff;
    this.#timer = time.createTimer("acpi pm timer", () => this.#overflow());
  }

  reset(): void {
    Object.assign(this.state, powerOn(), { halfTurnsSeen: this.#halfTurns() });
    this.#update();
  }

  restored(): void {
    this.#update();
  }

  /**
   * Presses and releases the power button. True where the guest has asked to hear of it; false where nobody
   * listens (firmware, or an operating system without ACPI).
   */
  pressPowerButton(): boolean {
    const { state } = this;
    state.pmsts |= Pmsts.mask.pwrbtnSts;
    this.#update();
    return (state.pmcntrl & Pmcntrl.mask.sciEn) !== 0 && (state.pmen & Pmen.mask.pwrbtnEn) !== 0;
  }

  /** Sets bit `event`, 0 to 15, of GPSTS. */
  raiseGeneralPurposeEvent(event: number): void {
    if (event < 0 || event >= GPE_BITS) return;
    this.state.gpsts |= 1 << event;
    this.#update();
  }

  protected readByte(port: number): number {
    if (port === APMC_PORT) return this.state.apmc;
    return port === APMS_PORT ? this.state.apms : FLOATING_BYTE;
  }

  protected writeByte(port: number, value: number): void {
    const { state } = this;
    if (port === APMS_PORT) {
      state.apms = value;
    } else if (port === APMC_PORT) {
      state.apmc = value;
      if (value === ACPI_ENABLE) state.pmcntrl |= Pmcntrl.mask.sciEn;
      else if (value === ACPI_DISABLE) state.pmcntrl &= ~Pmcntrl.mask.sciEn;
      this.#update();
    }
  }

  /** PMTMR as it stands now. */
  #timerValue(): number {
    return CLK.ticksAt(this.#time.now()) % (2 * this.#halfTurn);
  }

  #halfTurns(): number {
    return Math.floor(CLK.ticksAt(this.#time.now()) / this.#halfTurn);
  }

  /** Sets TMROF_STS where the timer's highest bit has changed; true where it did. */
  #catchUp(): boolean {
    const { state } = this;
    const halfTurns = this.#halfTurns();
    if (halfTurns <= state.halfTurnsSeen) return false;
    state.halfTurnsSeen = halfTurns;
    state.pmsts |= Pmsts.mask.tmrofSts;
    return true;
  }

  /** The timer fired for the half-turn after those seen. */
  #overflow(): void {
    this.state.halfTurnsSeen++;
    this.state.pmsts |= Pmsts.mask.tmrofSts;
    this.#update();
  }

  #update(): void {
    const { state } = this;
    this.#catchUp();
    const sciEnabled = (state.pmcntrl & Pmcntrl.mask.sciEn) !== 0;
    const asked = (state.pmsts & state.pmen) !== 0 || (state.gpsts & state.gpen) !== 0;
    this.#sci.set(sciEnabled && asked);
    if (state.pmen & Pmen.mask.tmrofEn && !(state.pmsts & Pmsts.mask.tmrofSts)) {
      this.#timer.arm(CLK.timeOf((state.halfTurnsSeen + 1) * this.#halfTurn));
    } else {
      this.#timer.cancel();
    }
  }

  #readBlock(offset: number, size: AccessSize): number {
    const timer = this.#timerValue();
    if (offset === PmRegister.pmtmr && size === 4) return timer;
    if (this.#catchUp()) this.#update();
    let value = 0;
    for (let i = 0; i < size; i++) value += this.#readBlockByte(offset + i, timer) * 2 ** (8 * i);
    return value;
  }

  #readBlockByte(offset: number, timer: number): number {
    const { state } = this;
    const high = (offset & 1) * 8;
    switch (offset & ~1) {
      case PmRegister.pmsts:
        return (state.pmsts >>> high) & 0xff;
      case PmRegister.pmen:
        return (state.pmen >>> high) & 0xff;
      case PmRegister.pmcntrl:
        return (state.pmcntrl >>> high) & 0xff;
      case PmRegister.pmtmr:
      case PmRegister.pmtmr + 2:
        return (timer >>> (8 * (offset & 3))) & 0xff;
      case PmRegister.gpsts:
        return (state.gpsts >>> high) & 0xff;
      case PmRegister.gpen:
        return (state.gpen >>> high) & 0xff;
      default:
        return state.storage[offset] ?? FLOATING_BYTE;
    }
  }

  #writeBlock(offset: number, size: AccessSize, value: number): void {
    const { state } = this;
    this.#catchUp();
    let sleep = false;
    for (let i = 0; i < size; i++) sleep = this.#writeBlockByte(offset + i, (value >>> (8 * i)) & 0xff) || sleep;
    this.#update();
    if (sleep && Pmcntrl(state.pmcntrl).susTyp === SUS_TYP_SOFT_OFF) this.#onSoftOff();
  }

  /** True where SUS_EN was written as 1. Status bits are cleared by writing 1. */
  #writeBlockByte(offset: number, value: number): boolean {
    const { state } = this;
    const high = (offset & 1) * 8;
    const others = 0xff00 >>> high;
    const written = value << high;
    switch (offset & ~1) {
      case PmRegister.pmsts:
        state.pmsts &= ~written;
        break;
      case PmRegister.pmen:
        state.pmen = (state.pmen & others) | (written & PMEN_WRITABLE);
        break;
      case PmRegister.pmcntrl:
        // SCI_EN is the guest's to set too: without SMIs it says only who handles the events.
        state.pmcntrl = (state.pmcntrl & others) | (written & (PMCNTRL_WRITABLE | Pmcntrl.mask.sciEn));
        return (written & Pmcntrl.mask.susEn) !== 0;
      case PmRegister.gpsts:
        state.gpsts &= ~written;
        break;
      case PmRegister.gpen:
        state.gpen = (state.gpen & others) | written;
        break;
      default:
        if (STORAGE.some(([at, size]) => offset >= at && offset < at + size)) state.storage[offset] = value;
    }
    return false;
  }
}
