/**
 * The transceiver inside the chip, as MDIC reaches it: a Marvell 88E1011 with a partner that does all that it does.
 *
 * @spec 317453 §13.4.6 MDIC, §13.4.7 "PHY Registers"; IEEE 802.3 §22.2.4 and §40.5
 *
 * Not modelled: speeds other than 1000 Mb/s and half duplex (they can be chosen, and change nothing), isolation,
 * interrupts of its own, cable tests, next pages.
 */
import { bits } from "../../bits/fields.ts";
import { nanoseconds } from "../../bits/units.ts";
import type { Timer, TimeSource } from "../../machine/device.ts";
import { MDIC_READ, MDIC_WRITE, Mdic } from "./registers.ts";
import type { E1000Registers } from "./state.ts";

export const Phy = {
  control: 0,
  status: 1,
  identifier1: 2,
  identifier2: 3,
  advertisement: 4,
  partnerAbility: 5,
  expansion: 6,
  nextPage: 7,
  gigabitControl: 9,
  gigabitStatus: 10,
  extendedStatus: 15,
  specificControl: 16,
  specificStatus: 17,
  interruptStatus: 19,
  extendedControl: 20,
  receiveErrors: 21,
} as const;

const Control = bits({ restart: 9, powerDown: 11, autoNegotiation: 12, loopback: 14, reset: 15 });
const Status = bits({ link: 2, negotiated: 5 });
const SpecificStatus = bits({ link: 10, resolved: 11, duplex: 13, speed: [14, 15] });

const REGISTERS = 32;
/** Its address on the bus, and no other's. */
const ADDRESS = 1;
/**
 * Guest time that negotiation takes. On a cable it is some seconds; but Linux looks for the link 4 ms after it was set up,
 * and then every two seconds.
 */
export const NEGOTIATION = 1_000_000;

const CONTROL_RESET = 0x1140;
const CONTROL_STORED = 0x7dc0;
/** Speeds, extended status, that it can negotiate, extended capabilities. */
const STATUS_CONSTANT = 0x7949;
const PARTNER_ABILITY = 0x41e1;
/** Both receivers work, and the partner does 1000BASE-T of both duplexes. */
const GIGABIT_STATUS = 0x3c00;

const READ_ONLY: ReadonlySet<number> = new Set([
  Phy.status,
  Phy.identifier1,
  Phy.identifier2,
  Phy.partnerAbility,
  Phy.expansion,
  Phy.gigabitStatus,
  Phy.extendedStatus,
  Phy.specificStatus,
  Phy.interruptStatus,
  Phy.receiveErrors,
]);

export interface PhyState {
  /** A cable leads to a partner. The world's, not the chip's: no reset changes it. */
  cable: boolean;
  registers: Uint16Array;
  /** Guest time at which negotiation is over; undefined where none is under way. */
  negotiatedAt: number | undefined;
  /** The link was down since the status register was last read. */
  wasDown: boolean;
}

function registersAfterReset(): Uint16Array {
  const registers = new Uint16Array(REGISTERS);
  registers[Phy.control] = CONTROL_RESET;
  registers[Phy.identifier1] = 0x0141;
  registers[Phy.identifier2] = 0x0c20;
  registers[Phy.advertisement] = 0x0de1;
  registers[Phy.nextPage] = 0x2001;
  registers[Phy.gigabitControl] = 0x0300;
  registers[Phy.extendedStatus] = 0x3000;
  registers[Phy.specificControl] = 0x0360;
  registers[Phy.extendedControl] = 0x0d60;
  return registers;
}

/** At power-on the link has come up before software looks. */
export const phyPowerOn = (cable: boolean): PhyState => ({
  cable,
  registers: registersAfterReset(),
  negotiatedAt: undefined,
  wasDown: false,
});

export class Transceiver {
  readonly #controller: E1000Registers;
  readonly #time: TimeSource;
  readonly #timer: Timer;
  readonly #linkChanged: () => void;

  /** `linkChanged` is told whenever the link may have come up or gone down. */
  constructor(controller: E1000Registers, time: TimeSource, linkChanged: () => void) {
    this.#controller = controller;
    this.#time = time;
    this.#linkChanged = linkChanged;
    this.#timer = time.createTimer("e1000 negotiation", () => {
      this.#state.negotiatedAt = undefined;
      linkChanged();
    });
  }

  get #state(): PhyState {
    return this.#controller.phy;
  }

  get link(): boolean {
    const { cable, negotiatedAt } = this.#state;
    return cable && negotiatedAt === undefined && !this.#control.powerDown;
  }

  /** What is sent comes back, and nothing goes out. */
  get loopback(): boolean {
    return this.#control.loopback;
  }

  get #control() {
    return Control(this.#state.registers[Phy.control]!);
  }

  /** Its pin: everything is as at power-on, but the link has to be found again. */
  hardwareReset(): void {
    this.#state.registers = registersAfterReset();
    this.#negotiate();
  }

  restored(): void {
    const { negotiatedAt } = this.#state;
    if (negotiatedAt === undefined) this.#timer.cancel();
    else this.#timer.arm(nanoseconds(negotiatedAt));
  }

  setCable(connected: boolean): void {
    if (this.#state.cable === connected) return;
    this.#state.cable = connected;
    this.#broke();
  }

  /** The link is down now, or was for a moment. */
  #broke(): void {
    this.#state.wasDown = true;
    this.#linkChanged();
  }

  #negotiate(): void {
    this.#state.negotiatedAt = this.#time.now() + NEGOTIATION;
    this.restored();
    this.#broke();
  }

  /** What MDIC reads after `value` was written to it: ready at once. */
  access(value: number): number {
    const { data, regadd, phyadd, op } = Mdic(value);
    const result = Mdic.with(value, { r: true, e: false });
    if (phyadd !== ADDRESS) return Mdic.with(result, { e: true });
    if (op === MDIC_READ) return Mdic.with(result, { data: this.#read(regadd) });
    if (op === MDIC_WRITE) this.#write(regadd, data);
    return result;
  }

  #read(register: number): number {
    const { link } = this;
    switch (register) {
      case Phy.status:
        return this.#status();
      case Phy.partnerAbility:
        return link ? PARTNER_ABILITY : 0;
      case Phy.expansion:
        return link ? 1 : 0;
      case Phy.gigabitStatus:
        return link ? GIGABIT_STATUS : 0;
      case Phy.specificStatus:
        return link ? SpecificStatus.pack({ link, resolved: true, duplex: true, speed: 2 }) : 0;
      default:
        return this.#state.registers[register]!;
    }
  }

  /** That the link was down stays to be read once. */
  #status(): number {
    const state = this.#state;
    const { link } = this;
    const shown = link && !state.wasDown;
    state.wasDown = !link;
    const negotiated = link && this.#control.autoNegotiation;
    return STATUS_CONSTANT | Status.pack({ link: shown, negotiated });
  }

  #write(register: number, value: number): void {
    const { registers } = this.#state;
    if (READ_ONLY.has(register)) return;
    if (register !== Phy.control) {
      registers[register] = value;
      return;
    }
    const before = this.#control;
    const { reset, restart, autoNegotiation, powerDown } = Control(value);
    registers[register] = reset ? CONTROL_RESET : value & CONTROL_STORED;
    if (reset || (restart && autoNegotiation) || (before.powerDown && !powerDown)) this.#negotiate();
    else if (powerDown && !before.powerDown) this.#broke();
  }
}
