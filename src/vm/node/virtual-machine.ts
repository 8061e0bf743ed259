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
import { FLOPPY_TYPE_NAMES, type FloppyType } from "../../device/i82077/medium.ts";
import type { FormatName } from "../../disk/image-format.ts";
import { BOOT_KINDS } from "../../firmware/bios/boot-order.ts";
import {
  type BiosDefinition,
  CPU_MODELS,
  type CpuModel,
  type MachineEnd,
  POINTER_KINDS,
  type PointerKind,
} from "../definition.ts";
import { CDROM_BUSES, type CdromBus, DISK_BUSES, type DiskBus } from "../drive-places.ts";
import { SerialStream } from "../serial-stream.ts";
import { parseSize } from "../size.ts";
import type { CdromRequest } from "./cdrom-discs.ts";
import type { CdromOptions, DiskOptions } from "./disks.ts";
import type { FirmwareFiles } from "./firmware.ts";
import type { FloppyDiskOptions, FloppyOptions } from "./floppies.ts";
import { ScreenPort, type ScreenReply, type ScreenRequest } from "./screen/screen-port.ts";
import { VmDisplay, VmKeyboard, VmMouse } from "./screen/vm-screen.ts";
import { SMALL_YOUNG_HEAP } from "./young-heap.ts";

/** The image of a floppy disk, of 160 KiB to 2880 KiB. */
export interface FloppyDisk {
  file: string;
  /** Write-protected. */
  readOnly?: boolean;
  /** Writes are kept in memory and dropped at the end. */
  snapshot?: boolean;
  format?: FormatName;
}

export interface VirtualMachineOptions {
  /** RAM: "512M", "3G", or bytes. 2 MiB to 3 GiB; "512M" unless given. */
  memory?: string | number;
  /** A kernel file (bzImage, PVH or Multiboot ELF) by path, or its bytes. Without one the machine boots from its media. */
  kernel?: string | Uint8Array;
  initrd?: string | Uint8Array;
  /** The kernel command line. */
  append?: string;
  /**
   * Firmware to start with, by path or its bytes: SeaBIOS, OVMF. `variables` is the path of the file in which UEFI
   * firmware keeps its variables, which is written to; `log` that of a file for what firmware writes to port 402h;
   * `optionRoms` are files that a BIOS runs. Beside SeaBIOS's image its VGA BIOS is looked for, vgabios-stdvga.bin.
   */
  firmware?: { image: string | Uint8Array; variables?: string; log?: string; optionRoms?: readonly string[] };
  /**
   * Disk images, on virtio-blk in this order unless `bus` says another. `snapshot` keeps writes in memory and drops them
   * at the end; the format is
   * found out by content unless `format` says it; `quota` limits the bytes of the host's storage that a file may take.
   */
  disks?: readonly {
    file: string;
    readOnly?: boolean;
    snapshot?: boolean;
    serial?: string;
    format?: FormatName;
    quota?: number;
    bus?: DiskBus;
  }[];
  /**
   * Floppy drives, A and B, each with the image of the disk that is in it, as `changeFloppy` takes it, or empty. The
   * type is that of the disk unless given.
   */
  floppies?: readonly (Partial<FloppyDisk> & { type?: FloppyType })[];
  /** CD drives, on IDE unless `bus` says another: with a disc image or a drive of the host, or without a `file` empty. */
  cdroms?: readonly { file?: string; bus?: CdromBus }[];
  /**
   * How the machine's BIOS boots, where there is neither kernel nor firmware: kinds of drive in their order ("cd", "disk",
   * "floppy"); `menu` lets a person choose (who presses F12 in time, where it is "offered"); `serialScreen` shows the text screen on `serial` too, and takes keys from
   * there; with `keepTrying` a machine without anything to boot waits for a key instead of ending.
   */
  boot?: BiosDefinition;
  /** "max" unless given. */
  cpu?: CpuModel;
  /** "real" unless given; "icount" makes runs repeatable. */
  clock?: "real" | "icount";
  /** A virtio console beside the serial port, Linux's hvc0: `console` is its stream. */
  virtioConsole?: boolean;
  /** A graphics card, whose picture is `display`'s; where there is no kernel, there is one unless this is false. */
  screen?: boolean;
  /**
   * "mouse" unless given: the PS/2 mouse alone. "tablet" is a USB tablet beside it, on an xHCI controller, on which
   * `mouse.moveTo` and viewers put the pointer in a place, where the guest uses it.
   */
  pointer?: PointerKind;
  /** The isa-debug-exit port at 0xF4. */
  debugExit?: boolean;
  /** End where the guest asks for a reset, instead of starting again. */
  noReboot?: boolean;
  /**
   * Lets a gdb connect, see `gdbAddress`. The port is 0, any that is free, and the host 127.0.0.1, which only this host
   * reaches, unless given. With `wait` the guest starts when gdb says so.
   */
  gdb?: { port?: number; host?: string; wait?: boolean };
}

/** A definition that cannot be a machine; `message` is one line that says what to change. */
export class DefinitionError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "DefinitionError";
  }
}

/** What the worker is sent: the options with defaults filled in. */
export interface WorkerDefinition {
  readonly memory: number;
  readonly kernel?: string | Uint8Array;
  readonly firmware?: FirmwareFiles;
  readonly initrd?: string | Uint8Array;
  readonly append: string;
  readonly disks: readonly DiskOptions[];
  readonly floppies: readonly FloppyOptions[];
  readonly cdroms: readonly CdromOptions[];
  readonly boot: BiosDefinition;
  readonly cpu: CpuModel;
  readonly clock: "real" | "icount";
  readonly virtioConsole: boolean;
  readonly screen?: boolean;
  readonly pointer: PointerKind;
  readonly debugExit: boolean;
  readonly noReboot: boolean;
  readonly gdb?: { readonly port: number; readonly host?: string; readonly wait: boolean };
}

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

const MIB = 1024 * 1024;
const ENDED = { name: "Error", message: "the machine has ended" };
/** The worker's source, or its compiled form in the published package. */
const WORKER = new URL(`./machine-worker${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url);

function check(options: VirtualMachineOptions): WorkerDefinition {
  const { memory = "512M", cpu = "max", clock = "real" } = options;
  const bytes = typeof memory === "number" ? memory : parseSize(memory);
  if (bytes === undefined) throw new DefinitionError(`memory: "${memory}" is no size; write it as "512M" or "2G"`);
  if (bytes % MIB !== 0 || bytes < 2 * MIB || bytes > 3072 * MIB) {
    throw new DefinitionError(`memory: ${memory} must be whole MiB from 2M to 3G`);
  }
  if (!CPU_MODELS.includes(cpu)) throw new DefinitionError(`cpu: "${cpu}" is none of ${CPU_MODELS.join(", ")}`);
  const { kernel, firmware, pointer = "mouse" } = options;
  if (!POINTER_KINDS.includes(pointer)) {
    throw new DefinitionError(`pointer: "${pointer}" is none of ${POINTER_KINDS.join(", ")}`);
  }
  const media = [...(options.disks ?? []), ...(options.floppies ?? []), ...(options.cdroms ?? [])];
  if (kernel === undefined && firmware === undefined && media.length === 0) {
    throw new DefinitionError("kernel: a machine needs a kernel to start, or a disk, disc or floppy to boot from");
  }
  for (const kind of options.boot?.order ?? []) {
    if (!BOOT_KINDS.includes(kind)) throw new DefinitionError(`boot: "${kind}" is none of ${BOOT_KINDS.join(", ")}`);
  }
  for (const { bus = "virtio" } of options.disks ?? []) {
    if (!DISK_BUSES.includes(bus)) throw new DefinitionError(`disks: bus "${bus}" is none of ${DISK_BUSES.join(", ")}`);
  }
  for (const { bus = "ide" } of options.cdroms ?? []) {
    if (!CDROM_BUSES.includes(bus)) {
      throw new DefinitionError(`cdroms: bus "${bus}" is none of ${CDROM_BUSES.join(", ")}`);
    }
  }
  return {
    memory: bytes,
    ...(kernel === undefined ? {} : { kernel }),
    ...(firmware === undefined ? {} : { firmware }),
    ...(options.initrd === undefined ? {} : { initrd: options.initrd }),
    append: options.append ?? "console=ttyS0",
    disks: (options.disks ?? []).map(({ readOnly = false, snapshot = false, ...disk }) => ({
      ...disk,
      readOnly,
      snapshot,
    })),
    floppies: checkFloppies(options.floppies ?? []),
    cdroms: options.cdroms ?? [],
    boot: options.boot ?? {},
    cpu,
    clock,
    virtioConsole: options.virtioConsole ?? false,
    ...(options.screen === undefined ? {} : { screen: options.screen }),
    pointer,
    debugExit: options.debugExit ?? false,
    noReboot: options.noReboot ?? false,
    ...(options.gdb === undefined ? {} : { gdb: checkGdb(options.gdb) }),
  };
}

const MOST_FLOPPIES = 2;

function checkFloppies(floppies: NonNullable<VirtualMachineOptions["floppies"]>): FloppyOptions[] {
  if (floppies.length > MOST_FLOPPIES) {
    throw new DefinitionError(`floppies: a machine has at most ${MOST_FLOPPIES} drives, not ${floppies.length}`);
  }
  return floppies.map(({ type, file, ...rest }) => {
    if (type !== undefined && !FLOPPY_TYPE_NAMES.includes(type)) {
      throw new DefinitionError(`floppies: the type "${type}" is none of ${FLOPPY_TYPE_NAMES.join(", ")}`);
    }
    return {
      ...(type === undefined ? {} : { type }),
      ...(file === undefined ? {} : { disk: floppyDisk({ file, ...rest }) }),
    };
  });
}

const floppyDisk = ({ readOnly = false, snapshot = false, ...disk }: FloppyDisk): FloppyDiskOptions => ({
  ...disk,
  readOnly,
  snapshot,
});

function checkGdb({ port = 0, wait = false, ...gdb }: NonNullable<VirtualMachineOptions["gdb"]>) {
  if (!(Number.isInteger(port) && port >= 0 && port <= 65535)) {
    throw new DefinitionError(`gdb: port ${port} must be a whole number from 0 to 65535`);
  }
  return { ...gdb, port, wait };
}

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
    const definition = check(options);
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
