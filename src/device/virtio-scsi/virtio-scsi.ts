/**
 * Virtio SCSI host. Each of its targets has one logical unit, LUN 0.
 *
 * Commands run concurrently, up to `MAX_IN_FLIGHT`; `runCommand` moves their data in pieces, each at one moment of
 * guest time.
 *
 * @spec OASIS virtio 1.2, §5.6 "SCSI Host Device"
 *
 * Not modelled: several request queues, commands with data in both directions, events (buffers of the event queue are
 * kept: nothing is plugged in or out, and CD drives are polled for changes), protection information, task attributes
 * (commands may overtake one another, which Linux knows to do without).
 */
import type { AsyncWork, Device, GuestMemory } from "../../machine/device.ts";
import { runCommand, type ScsiResult } from "../scsi/run-command.ts";
import type { ScsiUnit } from "../scsi/scsi-unit.ts";
import { fixedSense } from "../scsi/sense.ts";
import type { DescriptorChain } from "../virtio/descriptor-chain.ts";
import { VirtioDevice, type VirtioEvents } from "../virtio/virtio-device.ts";
import { ABSENT_UNIT } from "./absent-unit.ts";
import {
  addressOf,
  ControlType,
  DEFAULT_CDB_SIZE,
  DEFAULT_SENSE_SIZE,
  EventAnswer,
  type LunAddress,
  RequestHeader,
  Response,
  ResponseHeader,
  ScsiConfig,
  TaskFunction,
  TaskManagement,
} from "./layout.ts";

export interface VirtioScsiState {
  senseSize: number;
  cdbSize: number;
  /** Heads of the chains taken and not handed back, in the order taken: begun again after a snapshot is loaded. */
  inFlight: number[];
}

export interface VirtioScsiEvents extends VirtioEvents {
  /** The host's storage failed a command. */
  ioError?(error: Error): void;
}

export interface VirtioScsiWiring {
  memory: GuestMemory;
  work: AsyncWork;
  /** LUN 0 of each target. */
  units: readonly (ScsiUnit & Device<object>)[];
  events?: VirtioScsiEvents;
}

const CONTROLQ = 0;
const EVENTQ = 1;
const REQUESTQ = 2;
const QUEUE_SIZES = [64, 64, 256];
/** The rest of a chain is the request's header and the response. */
const SEG_MAX = 254;
const CMD_PER_LUN = 64;
export const MAX_IN_FLIGHT = 64;
const EVENT_SIZE = 16;
const NO_LIMIT = 0xffff;
const LARGEST_CDB = 255;
const LARGEST_SENSE = 255;

interface Request {
  readonly chain: DescriptorChain;
  readonly address: LunAddress;
  readonly id: bigint;
  forget(): void;
}

export class VirtioScsi extends VirtioDevice<VirtioScsiState> {
  readonly #units: VirtioScsiWiring["units"];
  readonly #ordered: readonly ScsiUnit[];
  readonly #work: AsyncWork;
  readonly #events: VirtioScsiEvents;
  readonly #active = new Map<number, Request>();
  readonly #hostOperations = new Set<Promise<void>>();
  /** Resolves when what was in flight before the last reset has ended. */
  #settled: Promise<unknown> = Promise.resolve();
  #drained = true;

  constructor({ memory, work, units, events = {} }: VirtioScsiWiring) {
    const type = {
      deviceId: 8,
      features: [],
      queueSizes: QUEUE_SIZES,
      configLength: ScsiConfig.size,
      initial: { senseSize: DEFAULT_SENSE_SIZE, cdbSize: DEFAULT_CDB_SIZE, inFlight: [] },
    };
    super(memory, type, events);
    this.#units = units;
    this.#ordered = units.map((unit) => this.#inOrder(unit));
    this.#work = work;
    this.#events = events;
  }

  protected override config(): Uint8Array {
    const { senseSize, cdbSize } = this.state.device;
    return ScsiConfig.make({
      numQueues: 1,
      segMax: SEG_MAX,
      maxSectors: NO_LIMIT,
      cmdPerLun: CMD_PER_LUN,
      eventInfoSize: EVENT_SIZE,
      senseSize,
      cdbSize,
      maxTarget: Math.max(this.#units.length - 1, 0),
    });
  }

  override writeConfig(offset: number, size: number, value: number): void {
    const { device } = this.state;
    if (size !== 4) return;
    if (offset === ScsiConfig.offset.senseSize) device.senseSize = Math.min(value, LARGEST_SENSE);
    else if (offset === ScsiConfig.offset.cdbSize) device.cdbSize = Math.min(value, LARGEST_CDB);
  }

  protected override serviceQueue(index: number): void {
    if (index === EVENTQ) return;
    const queue = this.queues[index]!;
    while (this.running && (index === CONTROLQ || this.#active.size < MAX_IN_FLIGHT)) {
      const chain = queue.pop();
      if (chain === undefined) return;
      if (index === CONTROLQ) this.#control(chain);
      else this.#begin(chain);
    }
  }

  protected override resetDevice(): void {
    Object.assign(this.state.device, { senseSize: DEFAULT_SENSE_SIZE, cdbSize: DEFAULT_CDB_SIZE, inFlight: [] });
    this.#abandon();
  }

  protected override restoredDevice(): void {
    this.#abandon();
    const heads = this.state.device.inFlight;
    this.state.device.inFlight = [];
    if (!this.running) return;
    for (const head of heads) {
      const chain = this.queues[REQUESTQ]!.chain(head);
      if (chain !== undefined) this.#begin(chain);
    }
  }

  /** Forgets what is in flight. What the host began still ends, and what comes next must not overtake it. */
  #abandon(): void {
    for (const { forget } of this.#active.values()) forget();
    this.#active.clear();
    this.#letSettle();
  }

  /** Has what comes next wait for what the host is at. */
  #letSettle(): void {
    if (this.#hostOperations.size === 0) return;
    const settled = Promise.allSettled([...this.#hostOperations]).then(() => {
      if (this.#settled === settled) this.#drained = true;
    });
    this.#drained = false;
    this.#settled = settled;
  }

  /** The unit, whose host operations wait for those of before a reset. */
  #inOrder(unit: ScsiUnit): ScsiUnit {
    return {
      begin: (cdb) => unit.begin(cdb),
      read: (task, at, target) => this.#onHost(() => unit.read(task, at, target)),
      readNow: (task, at, target) => this.#drained && (unit.readNow?.(task, at, target) ?? false),
      write: (task, at, source) => this.#onHost(() => unit.write(task, at, source)),
      writeNow: (task, at, source) => this.#drained && (unit.writeNow?.(task, at, source) ?? false),
      finish: (task, parameters) => this.#onHost(() => unit.finish(task, parameters)),
      complete: (task, parameters) => unit.complete(task, parameters),
      fail: (task, error, at) => unit.fail(task, error, at),
      abort: (task) => unit.abort(task),
    };
  }

  async #onHost(operation: () => Promise<void>): Promise<void> {
    const settled = this.#settled;
    const ended = (async () => {
      await settled;
      await operation();
    })();
    this.#hostOperations.add(ended);
    try {
      await ended;
    } finally {
      this.#hostOperations.delete(ended);
    }
  }

  /** The unit at an address; undefined where there is no such target. */
  #unitAt({ target, lun }: LunAddress): ScsiUnit | undefined {
    const unit = this.#ordered[target];
    return unit && lun !== 0 ? ABSENT_UNIT : unit;
  }

  #begin(chain: DescriptorChain): void {
    const { cdbSize, senseSize } = this.state.device;
    const requestLength = RequestHeader.size + cdbSize;
    const responseLength = ResponseHeader.size + senseSize;
    if (chain.readableLength < requestLength || chain.writableLength < responseLength) {
      this.fail("a SCSI request without room for its headers");
      return;
    }
    if (this.#active.has(chain.head)) {
      this.fail(`descriptor ${chain.head} was made available twice`);
      return;
    }
    const header = new Uint8Array(requestLength);
    chain.read(0, header);
    const { lun, id } = RequestHeader.at(header);
    const address = addressOf(lun);
    const unit = address && this.#unitAt(address);
    if (!address || !unit) {
      this.#respond(chain, { response: address ? Response.badTarget : Response.incorrectLun });
      return;
    }
    const outLength = chain.readableLength - requestLength;
    const inLength = chain.writableLength - responseLength;
    let forget = () => {};
    // While this is called by the queue's service, which goes on with the next request by itself.
    let serving = true;
    const request: Request = { chain, address, id, forget: () => forget() };
    this.#active.set(chain.head, request);
    this.state.device.inFlight.push(chain.head);
    forget = runCommand({
      unit,
      cdb: header.subarray(RequestHeader.size),
      buffers: {
        inLength,
        outLength,
        put: (at, bytes) => chain.write(responseLength + at, bytes) === bytes.length,
        take: (at, target) => chain.read(requestLength + at, target) === target.length,
      },
      work: this.#work,
      ioError: (error) => this.#events.ioError?.(error),
      done: (result) => {
        if (this.#active.get(chain.head) !== request) return;
        this.#remove(request);
        this.#finish(chain, result, Math.max(inLength, outLength));
        if (!serving) this.notified(REQUESTQ);
      },
    });
    serving = false;
  }

  #remove({ chain }: Request): void {
    this.#active.delete(chain.head);
    const { inFlight } = this.state.device;
    inFlight.splice(inFlight.indexOf(chain.head), 1);
  }

  #finish(chain: DescriptorChain, { status, sense, transferred }: ScsiResult, room: number): void {
    const bytes = sense ? fixedSense(sense).subarray(0, this.state.device.senseSize) : new Uint8Array(0);
    this.#respond(chain, { status, residual: room - transferred, senseLength: bytes.length }, bytes);
  }

  #respond(
    chain: DescriptorChain,
    header: Parameters<typeof ResponseHeader.make>[0],
    sense: Uint8Array = new Uint8Array(0),
  ): void {
    chain.write(0, ResponseHeader.make(header));
    chain.write(ResponseHeader.size, sense);
    this.use(REQUESTQ, chain.head, chain.writableLength);
  }

  #control(chain: DescriptorChain): void {
    const request = new Uint8Array(TaskManagement.size);
    const length = chain.read(0, request);
    if (length < 4 || chain.writableLength === 0) {
      this.fail("a control request without room for its headers");
      return;
    }
    const { type } = TaskManagement.at(request);
    let answer: Uint8Array;
    if (type === ControlType.taskManagement && length === TaskManagement.size) {
      answer = Uint8Array.of(this.#manageTasks(TaskManagement.at(request)));
    } else if (type === ControlType.queryEvents || type === ControlType.subscribeEvents) {
      // There are no events of this kind.
      answer = EventAnswer.make({ actual: 0, response: Response.ok });
    } else {
      answer = Uint8Array.of(Response.functionRejected);
    }
    this.use(CONTROLQ, chain.head, chain.write(0, answer));
  }

  #manageTasks({ subtype, lun, id }: ReturnType<typeof TaskManagement.at>): number {
    const address = addressOf(lun);
    const unit = address && this.#units[address.target];
    if (!address || !unit) return address ? Response.badTarget : Response.incorrectLun;
    const ofTarget = [...this.#active.values()].filter((request) => request.address.target === address.target);
    const ofUnit = ofTarget.filter((request) => request.address.lun === address.lun);
    const task = ofUnit.find((request) => request.id === id);
    switch (subtype) {
      case TaskFunction.abortTask:
        if (task) this.#abort([task]);
        return Response.ok;
      case TaskFunction.abortTaskSet:
      case TaskFunction.clearTaskSet:
        this.#abort(ofUnit);
        return Response.ok;
      case TaskFunction.nexusReset:
      case TaskFunction.logicalUnitReset:
        this.#abort(subtype === TaskFunction.nexusReset ? ofTarget : ofUnit);
        unit.reset();
        return Response.ok;
      case TaskFunction.queryTask:
        return task ? Response.functionSucceeded : Response.ok;
      case TaskFunction.queryTaskSet:
        return ofUnit.length > 0 ? Response.functionSucceeded : Response.ok;
      default:
        return Response.functionRejected;
    }
  }

  /** Ends commands. What the host does for them it does to its end, before anything that comes after. */
  #abort(requests: readonly Request[]): void {
    for (const request of requests) {
      request.forget();
      this.#remove(request);
      this.#respond(request.chain, { response: Response.aborted });
    }
    if (requests.length > 0) this.#letSettle();
  }
}
