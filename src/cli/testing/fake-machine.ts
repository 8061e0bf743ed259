/** Test doubles for a session: a machine that does what the test says, a terminal, a process. */
import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";
import type { MachineEnd } from "../../vm/definition.ts";
import type { SessionMachine } from "../session.ts";

export class FakeMachine implements SessionMachine {
  serialBacklog = 0;
  received = "";
  powerButtonPresses = 0;
  readonly #ended = Promise.withResolvers<MachineEnd>();

  run(): Promise<MachineEnd> {
    return this.#ended.promise;
  }

  end(end: MachineEnd): void {
    this.#ended.resolve(end);
  }

  fail(error: Error): void {
    this.#ended.reject(error);
  }

  stop(): void {
    this.end({ kind: "stopped" });
  }

  powerButton(): void {
    this.powerButtonPresses++;
  }

  sendSerial(bytes: Uint8Array): void {
    this.received += Buffer.from(bytes).toString("latin1");
  }
}

/** Standard input as a terminal. */
export class FakeTerminal extends PassThrough {
  readonly isTTY = true;
  isRaw = false;

  setRawMode(raw: boolean): this {
    this.isRaw = raw;
    return this;
  }
}

export const fakeProcess = (): EventEmitter => new EventEmitter();
