/**
 * 8042 keyboard controller of the PC/AT and PS/2: data at port 0x60, command and status at 0x64. Also
 * drives the A20 gate and the system reset.
 *
 * @spec IBM Personal System/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device
 * Controller"; IBM PC/AT Technical Reference, "Keyboard Controller"
 *
 * Not modelled: the password (A4 says that none is installed), the keyboard lock, the diagnostic dump and
 * polling of the input port (AC, C1, C2 do nothing), parity and time-out errors, the time a byte takes on
 * the wire: the next byte is there as soon as the one before it is read.
 */
import { bits } from "../../bits/fields.ts";
import type { Device, SignalLine } from "../../machine/device.ts";
import { ByteWidePorts, FLOATING_BYTE } from "../isa-bus/byte-wide.ts";
import type { Ps2Device } from "./ps2-keyboard.ts";
import { translate } from "./scan-codes.ts";

export const DATA_PORT = 0x60;
export const COMMAND_PORT = 0x64;

export const Status = bits({
  outputBufferFull: 0,
  inputBufferFull: 1,
  systemFlag: 2,
  commandWritten: 3,
  notInhibited: 4,
  auxOutputBufferFull: 5,
  timeOut: 6,
  parityError: 7,
});

export const CommandByte = bits({
  keyboardInterrupt: 0,
  auxInterrupt: 1,
  systemFlag: 2,
  disableKeyboard: 4,
  disableAux: 5,
  translate: 6,
});

/** Output port P2. */
export const OutputPort = bits({
  notReset: 0,
  a20: 1,
  irq1: 4,
  irq12: 5,
  keyboardClock: 6,
  keyboardData: 7,
});

/** Input port P1: keyboard not locked, manufacturing jumper not installed, second half of the RAM enabled, colour. */
const INPUT_PORT = 0xb0;

const Command = {
  readCommandByte: 0x20,
  readRamLast: 0x3f,
  writeCommandByte: 0x60,
  writeRamLast: 0x7f,
  testPassword: 0xa4,
  disableAux: 0xa7,
  enableAux: 0xa8,
  testAux: 0xa9,
  selfTest: 0xaa,
  testKeyboard: 0xab,
  disableKeyboard: 0xad,
  enableKeyboard: 0xae,
  readInputPort: 0xc0,
  readOutputPort: 0xd0,
  writeOutputPort: 0xd1,
  writeKeyboardBuffer: 0xd2,
  writeAuxBuffer: 0xd3,
  writeAux: 0xd4,
  disableA20: 0xdd,
  enableA20: 0xdf,
  readTestInputs: 0xe0,
  pulseFirst: 0xf0,
} as const;

const SELF_TEST_PASSED = 0x55;
const INTERFACE_OK = 0x00;
const NO_PASSWORD = 0xf1;
const BREAK_PREFIX = 0xf0;

export interface I8042State {
  /** The controller's RAM; byte 0 is the command byte. */
  ram: Uint8Array;
  /** The output buffer, and whether and from where it is full. */
  output: number;
  outputFull: boolean;
  outputFromAux: boolean;
  /** The controller's own answer, waiting for the output buffer; -1 for none. */
  answer: number;
  answerFromAux: boolean;
  /** The last write was to the command port. */
  commandWritten: boolean;
  /** The command whose data byte comes next, 0 for none. */
  awaiting: number;
  a20: boolean;
  /** Translation: a break prefix was taken from the keyboard. */
  breakSeen: boolean;
}

export interface I8042Wiring {
  readonly keyboard: Ps2Device;
  readonly mouse: Ps2Device;
  readonly irq1: SignalLine;
  readonly irq12: SignalLine;
  /** The A20 gate that the controller asks for: high lets address bit 20 through. */
  readonly a20: SignalLine;
  /** The guest pulses the processor's reset. Called at the end of the access. */
  readonly onReset: () => void;
}

/** The command byte as a BIOS leaves it: translation, keyboard interrupt, no mouse yet. */
const COMMAND_BYTE_AT_POWER_ON = CommandByte.pack({
  keyboardInterrupt: true,
  systemFlag: true,
  disableAux: true,
  translate: true,
});

function powerOn(): I8042State {
  const ram = new Uint8Array(32);
  ram[0] = COMMAND_BYTE_AT_POWER_ON;
  return {
    ram,
    output: 0,
    outputFull: false,
    outputFromAux: false,
    answer: -1,
    answerFromAux: false,
    commandWritten: false,
    awaiting: 0,
    a20: true,
    breakSeen: false,
  };
}

export class I8042 extends ByteWidePorts implements Device<I8042State> {
  readonly state: I8042State = powerOn();
  readonly #keyboard: Ps2Device;
  readonly #mouse: Ps2Device;
  readonly #irq1: SignalLine;
  readonly #irq12: SignalLine;
  readonly #a20: SignalLine;
  readonly #onReset: () => void;

  /** Drives `a20` high at once. Keyboard and mouse are devices of their own: they are reset and saved apart. */
  constructor({ keyboard, mouse, irq1, irq12, a20, onReset }: I8042Wiring) {
    super();
    this.#keyboard = keyboard;
    this.#mouse = mouse;
    this.#irq1 = irq1;
    this.#irq12 = irq12;
    this.#a20 = a20;
    this.#onReset = onReset;
    keyboard.attach(() => this.#fill());
    mouse.attach(() => this.#fill());
    a20.set(true);
  }

  reset(): void {
    Object.assign(this.state, powerOn());
    this.restored();
  }

  restored(): void {
    this.#a20.set(this.state.a20);
    this.#driveInterrupts();
  }

  protected readByte(port: number): number {
    if (port === DATA_PORT) return this.#readData();
    return port === COMMAND_PORT ? this.#status() : FLOATING_BYTE;
  }

  protected writeByte(port: number, value: number): void {
    if (port === COMMAND_PORT) {
      this.state.commandWritten = true;
      this.state.awaiting = 0;
      this.#command(value);
    } else if (port === DATA_PORT) {
      this.state.commandWritten = false;
      this.#writeData(value);
    }
  }

  get #commandByte(): number {
    return this.state.ram[0] ?? 0;
  }

  #setCommandByte(value: number): void {
    this.state.ram[0] = value;
    this.#fill();
  }

  #status(): number {
    const { outputFull, outputFromAux, commandWritten } = this.state;
    return Status.pack({
      outputBufferFull: outputFull,
      auxOutputBufferFull: outputFull && outputFromAux,
      systemFlag: CommandByte(this.#commandByte).systemFlag,
      commandWritten,
      notInhibited: true,
    });
  }

  /** With nothing in the buffer, the byte read before it once more. */
  #readData(): number {
    const { state } = this;
    const value = state.output;
    if (state.outputFull) {
      state.outputFull = false;
      // The line falls before the next byte raises it: the interrupt controller wants an edge for each.
      this.#driveInterrupts();
      this.#fill();
    }
    return value;
  }

  #driveInterrupts(): void {
    const { outputFull, outputFromAux } = this.state;
    const { keyboardInterrupt, auxInterrupt, disableKeyboard } = CommandByte(this.#commandByte);
    this.#irq1.set(outputFull && !outputFromAux && keyboardInterrupt && !disableKeyboard);
    this.#irq12.set(outputFull && outputFromAux && auxInterrupt);
  }

  /** Fills an empty output buffer: the controller's answer first, then keyboard, then mouse. */
  #fill(): void {
    const { state } = this;
    if (!state.outputFull) {
      const { disableKeyboard, disableAux } = CommandByte(this.#commandByte);
      let byte: number | undefined;
      let fromAux = false;
      if (state.answer >= 0) {
        byte = state.answer;
        fromAux = state.answerFromAux;
        state.answer = -1;
      }
      if (byte === undefined && !disableKeyboard) byte = this.#fromKeyboard();
      if (byte === undefined && !disableAux) {
        byte = this.#mouse.take();
        fromAux = true;
      }
      if (byte !== undefined) {
        state.output = byte;
        state.outputFull = true;
        state.outputFromAux = fromAux;
      }
    }
    this.#driveInterrupts();
  }

  /** The keyboard's next byte, translated to set 1 where the command byte says so. */
  #fromKeyboard(): number | undefined {
    const { state } = this;
    for (;;) {
      const byte = this.#keyboard.take();
      if (byte === undefined || (this.#commandByte & CommandByte.mask.translate) === 0) return byte;
      if (byte !== BREAK_PREFIX) {
        const released = state.breakSeen ? 0x80 : 0;
        state.breakSeen = false;
        return translate(byte) | released;
      }
      state.breakSeen = true;
    }
  }

  #answer(value: number, fromAux = false): void {
    this.state.answer = value;
    this.state.answerFromAux = fromAux;
    this.#fill();
  }

  #command(command: number): void {
    const { state } = this;
    if (command >= Command.readCommandByte && command <= Command.readRamLast) {
      this.#answer(state.ram[command & 0x1f] ?? 0);
      return;
    }
    if (command >= Command.writeCommandByte && command <= Command.writeRamLast) {
      state.awaiting = command;
      return;
    }
    if (command >= Command.pulseFirst) {
      // Bits 0 to 3 low pulse those lines of the output port; only bit 0 leads anywhere.
      if ((command & OutputPort.mask.notReset) === 0) this.#onReset();
      return;
    }
    switch (command) {
      case Command.testPassword:
        this.#answer(NO_PASSWORD);
        break;
      case Command.disableAux:
        this.#setCommandByte(CommandByte.with(this.#commandByte, { disableAux: true }));
        break;
      case Command.enableAux:
        this.#setCommandByte(CommandByte.with(this.#commandByte, { disableAux: false }));
        break;
      case Command.selfTest:
        state.ram[0] = CommandByte.with(this.#commandByte, { systemFlag: true });
        this.#answer(SELF_TEST_PASSED);
        break;
      case Command.testAux:
      case Command.testKeyboard:
        this.#answer(INTERFACE_OK);
        break;
      case Command.disableKeyboard:
        this.#setCommandByte(CommandByte.with(this.#commandByte, { disableKeyboard: true }));
        break;
      case Command.enableKeyboard:
        this.#setCommandByte(CommandByte.with(this.#commandByte, { disableKeyboard: false }));
        break;
      case Command.readInputPort:
        this.#answer(INPUT_PORT);
        break;
      case Command.readOutputPort:
        this.#answer(this.#outputPort());
        break;
      case Command.writeOutputPort:
      case Command.writeKeyboardBuffer:
      case Command.writeAuxBuffer:
      case Command.writeAux:
        state.awaiting = command;
        break;
      case Command.disableA20:
      case Command.enableA20:
        this.#setA20(command === Command.enableA20);
        break;
      case Command.readTestInputs:
        this.#answer(0);
        break;
    }
  }

  #writeData(value: number): void {
    const { state } = this;
    const awaiting = state.awaiting;
    state.awaiting = 0;
    switch (awaiting) {
      case 0:
        // Sending wakes a disabled interface.
        state.ram[0] = CommandByte.with(this.#commandByte, { disableKeyboard: false });
        this.#keyboard.send(value);
        break;
      case Command.writeCommandByte:
        this.#setCommandByte(value);
        break;
      case Command.writeOutputPort:
        this.#setA20((value & OutputPort.mask.a20) !== 0);
        if ((value & OutputPort.mask.notReset) === 0) this.#onReset();
        break;
      case Command.writeKeyboardBuffer:
        this.#answer(value);
        break;
      case Command.writeAuxBuffer:
        this.#answer(value, true);
        break;
      case Command.writeAux:
        state.ram[0] = CommandByte.with(this.#commandByte, { disableAux: false });
        this.#mouse.send(value);
        break;
      default:
        state.ram[awaiting & 0x1f] = value;
    }
  }

  #setA20(level: boolean): void {
    this.state.a20 = level;
    this.#a20.set(level);
  }

  #outputPort(): number {
    const { a20, outputFull, outputFromAux } = this.state;
    return OutputPort.pack({
      notReset: true,
      a20,
      irq1: outputFull && !outputFromAux,
      irq12: outputFull && outputFromAux,
      keyboardClock: true,
      keyboardData: true,
    });
  }
}
