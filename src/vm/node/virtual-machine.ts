/**
 * The library's virtual machine: a worker thread of the caller's process that runs one machine.
 *
 *     const vm = await VirtualMachine.create({ memory: "256M", kernel: "vmlinuz", initrd: "initrd.img", append: "console=ttyS0" });
 *     const ended = vm.start();
 *     await vm.serial.expect("# ");
 *     vm.serial.write("poweroff -f\n");
 *     console.log(await ended);              // { kind: "power-off" }
 */
import { Worker } from "node:worker_threads";
import type { MachineEnd } from "../definition.ts";
import { SerialStream } from "../serial-stream.ts";
import type { CdromRequest } from "./cdrom-discs.ts";
import type { FloppyDiskOptions } from "./floppies.ts";
import { ScreenPort, type ScreenReply, type ScreenRequest } from "./screen/screen-port.ts";
import { VmDisplay, VmKeyboard, VmMouse } from "./screen/vm-screen.ts";
import {
  checkOptions,
  DefinitionError,
  type FloppyDisk,
  floppyDisk,
  type VirtualMachineOptions,
  type WorkerDefinition,
} from "./vm-options.ts";
import { SMALL_YOUNG_HEAP } from "./young-heap.ts";

export type ToWorker =
  | { kind: "start" }
  | { kind: "serial" | "console"; bytes: Uint8Array }
  | { kind: "cdrom"; id: number; number: number; request: CdromRequest }
  | { kind: "screen"; id: number; request: ScreenRequest }
  | { kind: "stop" }
  | { kind: "power-button" }
  | { kind: "change-floppy"; request: number; drive: number; disk?: FloppyDiskOptions };
export type FromWorker =
  | { kind: "ready"; gdbAddress?: string }
  | { kind: "serial" | "console"; bytes: Uint8Array }
  | { kind: "cdrom"; id: number; done: boolean; error?: { name: string; message: string } }
  | { kind: "screen"; id: number; reply: ScreenReply }
  | { kind: "ended"; end: MachineEnd; instructions: number; hash: string }
  | { kind: "tone"; hertz: number }
  /** A request was met, or not. */
  | { kind: "done"; request: number; failure?: { name: string; message: string } }
  | { kind: "failed"; name: string; message: string };

const ENDED = { name: "Error", message: "the machine has ended" };
/** The worker's source, or its compiled form in the published package. */
const WORKER = new URL(`./machine-worker${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);

/** A CD drive of a running machine. */
export interface CdromDrive {
  /**
   * Puts a disc image, or a drive of the host, in place of what is in the drive, and closes the tray.
   * @throws BlockError with one line that says what to change.
   */
  insert(file: string): Promise<void>;
  /**
   * Takes the disc out. A guest that locked the drive is asked to let it go, and `false` tells that the disc is still in;
   * `force` takes it out all the same.
   */
  eject(options?: { force?: boolean }): Promise<boolean>;
}

export class VirtualMachine {
  /** COM1. */
  readonly serial: SerialStream;
  /** The virtio console; undefined where the options ask for none. */
  readonly console: SerialStream | undefined;
  /** Where gdb connects, as its `target remote` takes it; undefined without the option `gdb`. */
  readonly gdbAddress: string | undefined;
  /** The screen: text, screenshots. */
  readonly display: VmDisplay;
  readonly keyboard: VmKeyboard;
  readonly mouse: VmMouse;
  readonly #worker: Worker;
  readonly #ended: Promise<MachineEnd>;
  #tone = 0;
  /** Told when the speaker's tone changes: hertz, 0 for silence. Tones of less than a few milliseconds may be left out. */
  onTone: ((hertz: number) => void) | undefined;
  /** What the worker was asked for and did not answer yet. */
  readonly #requests = new Map<number, { resolve(): void; reject(error: Error): void }>();
  #over = false;
  readonly #cdroms: number;
  readonly #cdromRequests = new Map<number, (reply: FromWorker & { kind: "cdrom" }) => void>();
  #lastRequest = 0;
  #instructions = 0;
  #hash = "";

  /**
   * Checks the options, opens the files and builds the machine; it does not run yet.
   * @throws DefinitionError, BootError, BlockError or GdbServerError with one line that says what to change.
   */
  static create(options: VirtualMachineOptions): Promise<VirtualMachine> {
    const definition = checkOptions(options);
    return new Promise((resolve, reject) => {
      const worker = new Worker(WORKER, { workerData: definition, resourceLimits: SMALL_YOUNG_HEAP });
      const failed = (error: Error) => {
        void worker.terminate();
        reject(error);
      };
      worker.once("error", failed);
      worker.once("message", (message: FromWorker) => {
        worker.off("error", failed);
        if (message.kind === "ready") resolve(new VirtualMachine(worker, definition, message.gdbAddress));
        else if (message.kind === "failed") failed(Object.assign(new Error(message.message), { name: message.name }));
      });
    });
  }

  private constructor(worker: Worker, definition: WorkerDefinition, gdbAddress: string | undefined) {
    this.#worker = worker;
    this.gdbAddress = gdbAddress;
    this.#cdroms = definition.cdroms.length;
    this.serial = this.#stream("serial");
    this.console = definition.virtioConsole ? this.#stream("console") : undefined;
    const screen = new ScreenPort((id, request) => this.#post({ kind: "screen", id, request }));
    this.display = new VmDisplay(screen);
    this.keyboard = new VmKeyboard(screen);
    this.mouse = new VmMouse(screen);
    this.#ended = new Promise((resolve, reject) => {
      worker.on("message", (message: FromWorker) => {
        if (message.kind === "serial") this.serial.receive(message.bytes);
        else if (message.kind === "console") this.console?.receive(message.bytes);
        else if (message.kind === "screen") screen.reply(message.id, message.reply);
        else if (message.kind === "done") this.#done(message);
        else if (message.kind === "tone") this.#setTone(message.hertz);
        else if (message.kind === "cdrom") {
          this.#cdromRequests.get(message.id)?.(message);
          this.#cdromRequests.delete(message.id);
        } else if (message.kind === "ended") {
          this.#instructions = message.instructions;
          this.#hash = message.hash;
          resolve(message.end);
        } else if (message.kind === "failed") reject(Object.assign(new Error(message.message), { name: message.name }));
      });
      worker.on("error", reject);
      worker.on("exit", () => resolve({ kind: "stopped" }));
    });
    const finish = (end?: MachineEnd) => {
      this.#over = true;
      for (const request of this.#requests.keys()) this.#done({ request, failure: ENDED });
      this.serial.end();
      this.console?.end();
      screen.ended(end);
    };
    this.#ended.then(finish, () => finish());
  }

  #stream(kind: "serial" | "console"): SerialStream {
    return new SerialStream(
      (bytes) => this.#post({ kind, bytes }),
      (ms, fire) => {
        const timer = setTimeout(fire, ms);
        return () => clearTimeout(timer);
      },
    );
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  /** Starts the machine; resolves when it has ended, with the reason. */
  start(): Promise<MachineEnd> {
    this.#post({ kind: "start" });
    return this.#ended;
  }

  /** Resolves when the machine has ended. */
  get ended(): Promise<MachineEnd> {
    return this.#ended;
  }

  /** Presses the power button: the guest's system may shut down. */
  powerButton(): void {
    this.#post({ kind: "power-button" });
  }

  /**
   * Puts a disk into a floppy drive (A is 0, B is 1), or takes out the one that is there with undefined; resolves when
   * that is closed. Rejects with one line that says what to change.
   */
  changeFloppy(drive: number, disk: FloppyDisk | undefined): Promise<void> {
    const request = ++this.#lastRequest;
    return new Promise((resolve, reject) => {
      if (this.#over) throw new Error(ENDED.message);
      this.#requests.set(request, { resolve, reject });
      this.#post({ kind: "change-floppy", request, drive, ...(disk ? { disk: floppyDisk(disk) } : {}) });
    });
  }

  /** What the PC's speaker sounds, in hertz; 0 for silence. */
  get tone(): number {
    return this.#tone;
  }

  #setTone(hertz: number): void {
    if (hertz === this.#tone) return;
    this.#tone = hertz;
    this.onTone?.(hertz);
  }

  #done({ request, failure }: Omit<Extract<FromWorker, { kind: "done" }>, "kind">): void {
    const waiting = this.#requests.get(request);
    this.#requests.delete(request);
    if (failure) waiting?.reject(Object.assign(new Error(failure.message), { name: failure.name }));
    else waiting?.resolve();
  }

  /** A CD drive, by its place in the definition. Throws DefinitionError where there is none. */
  cdrom(number: number): CdromDrive {
    if (!(number in Array.from({ length: this.#cdroms }))) {
      throw new DefinitionError(
        `cdrom ${number}: the machine has ${this.#cdroms} CD drives; give it more with "cdroms"`,
      );
    }
    return {
      insert: async (file) => void (await this.#askCdrom(number, { action: "insert", file })),
      eject: ({ force = false } = {}) => this.#askCdrom(number, { action: "eject", force }),
    };
  }

  #askCdrom(number: number, request: CdromRequest): Promise<boolean> {
    const id = ++this.#lastRequest;
    const reply = new Promise<boolean>((resolve, reject) => {
      this.#cdromRequests.set(id, ({ done, error }) => {
        if (error === undefined) resolve(done);
        else reject(Object.assign(new Error(error.message), { name: error.name }));
      });
      const gone = () => reject(new DefinitionError("the machine has ended"));
      this.#ended.then(gone, gone);
    });
    this.#post({ kind: "cdrom", id, number, request });
    return reply;
  }

  /** Pulls the plug; disks are flushed and closed. */
  stop(): Promise<MachineEnd> {
    this.#post({ kind: "stop" });
    return this.#ended;
  }

  /** Instructions that the guest executed, once it has ended. */
  get instructions(): number {
    return this.#instructions;
  }

  /** SHA-256 of registers and RAM at the end, in hex. */
  get stateHash(): string {
    return this.#hash;
  }
}
