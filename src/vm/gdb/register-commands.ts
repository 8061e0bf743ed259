/** g, G, p and P packets: registers in the order of the target description. */
import type { DebugTarget, RegisterDescription } from "./debug-target.ts";
import { bytesToHex, hexToBytes, littleEndian, parseNumber } from "./hex.ts";
import { ERROR, OK } from "./replies.ts";

export class RegisterCommands {
  readonly #target: DebugTarget;
  readonly #descriptions: readonly RegisterDescription[];

  constructor(target: DebugTarget) {
    this.#target = target;
    this.#descriptions = target.features.flatMap(({ registers }) => registers);
  }

  readAll(): string {
    return this.#descriptions.map((_, number) => bytesToHex(this.#target.readRegister(number))).join("");
  }

  /** Writes those whose value is another; a register that cannot take its value does not keep the others from it. */
  writeAll(text: string): string {
    const bytes = hexToBytes(text);
    const size = this.#descriptions.reduce((sum, { bits }) => sum + bits / 8, 0);
    if (bytes?.length !== size) return ERROR.invalid;
    let at = 0;
    let taken = true;
    this.#descriptions.forEach(({ bits }, number) => {
      const value = bytes.subarray(at, at + bits / 8);
      at += bits / 8;
      if (this.#target.readRegister(number).every((byte, i) => byte === value[i])) return;
      taken = this.#target.writeRegister(number, value) && taken;
    });
    return taken ? OK : ERROR.invalid;
  }

  read(text: string): string {
    const number = this.#number(text);
    return number === undefined ? ERROR.invalid : bytesToHex(this.#target.readRegister(number));
  }

  /** "NUMBER=VALUE" */
  write(text: string): string {
    const [name, value = "", ...more] = text.split("=");
    const number = this.#number(name);
    const bytes = hexToBytes(value);
    if (number === undefined || bytes === undefined || more.length > 0) return ERROR.invalid;
    if (bytes.length !== (this.#descriptions[number] as RegisterDescription).bits / 8) return ERROR.invalid;
    return this.#target.writeRegister(number, bytes) ? OK : ERROR.invalid;
  }

  /** Sets the instruction pointer. */
  jump(address: bigint): boolean {
    const number = this.#descriptions.findIndex(({ type }) => type === "code_ptr");
    const description = this.#descriptions[number];
    return description !== undefined && this.#target.writeRegister(number, littleEndian(address, description.bits / 8));
  }

  #number(text: string | undefined): number | undefined {
    const number = parseNumber(text);
    return number !== undefined && number < BigInt(this.#descriptions.length) ? Number(number) : undefined;
  }
}
