/** Admin commands. @spec NVM Express 1.4c, §5 "Admin Command Set" */
import { PAGE_SIZE } from "../../bits/units.ts";
import {
  Cns,
  errorLog,
  eui64Of,
  firmwareLog,
  identifyController,
  identifyNamespace,
  MOST_EVENT_REQUESTS,
  NSID,
  namespaceDescriptors,
  namespaceList,
  smartLog,
} from "./identify.ts";
import { type Command, type IoContext, MOST_BYTES, type Outcome } from "./io-commands.ts";
import { Admin, Cc, CQES, Feature, LogPage, SQES, SqeFlags, Status } from "./layout.ts";
import { segmentsOf, store } from "./prp.ts";
import { completionQueue, submissionQueue } from "./queues.ts";
import { IO_QUEUES, QUEUES, VECTORS } from "./state.ts";

export interface AdminContext extends IoContext {
  readonly serial: string;
  /** Most entries of a queue. */
  readonly maxEntries: number;
  /** Forgets the commands of a submission queue that is deleted. */
  forget(sqid: number): void;
  /** Interrupts may have to go. */
  queueDeleted(): void;
}

const OK: Outcome = { status: Status.success };
const failed = (status: number): Outcome => ({ status });
const done = (result: number): Outcome => ({ status: Status.success, result });

/** Undefined for an ASYNC EVENT REQUEST that waits. */
export function adminCommand(context: AdminContext, command: Command): Outcome | undefined {
  const { fuse, psdt } = SqeFlags(command.flags);
  if (fuse !== 0 || psdt !== 0) return failed(Status.invalidField);
  switch (command.opcode) {
    case Admin.createCq:
      return createCompletionQueue(context, command);
    case Admin.createSq:
      return createSubmissionQueue(context, command);
    case Admin.deleteCq:
      return deleteCompletionQueue(context, command);
    case Admin.deleteSq:
      return deleteSubmissionQueue(context, command);
    case Admin.identify:
      return identify(context, command);
    case Admin.getLogPage:
      return getLogPage(context, command);
    case Admin.getFeatures:
      return getFeatures(context, command);
    case Admin.setFeatures:
      return setFeatures(context, command);
    case Admin.abort:
      // What the host has begun cannot be taken back: the command was not aborted.
      return done(1);
    case Admin.asyncEventRequest: {
      const { eventRequests } = context.state;
      if (eventRequests.length >= MOST_EVENT_REQUESTS) return failed(Status.asyncEventLimitExceeded);
      eventRequests.push(command.cid);
      return undefined;
    }
    default:
      return failed(Status.invalidOpcode);
  }
}

const CONTIGUOUS = 1;
const INTERRUPTS = 2;

function createCompletionQueue({ state, maxEntries }: AdminContext, command: Command): Outcome {
  const qid = command.cdw10 & 0xffff;
  const size = (command.cdw10 >>> 16) + 1;
  const vector = command.cdw11 >>> 16;
  if (qid === 0 || qid >= QUEUES || state.cqs[qid]) return failed(Status.invalidQueueIdentifier);
  if (size < 2 || size > maxEntries || Cc(state.cc).iocqes !== CQES) return failed(Status.invalidQueueSize);
  const base = Number(command.prp1);
  if (base % PAGE_SIZE !== 0) return failed(Status.prpOffsetInvalid);
  if ((command.cdw11 & CONTIGUOUS) === 0) return failed(Status.invalidField);
  if (vector >= VECTORS) return failed(Status.invalidInterruptVector);
  state.cqs[qid] = completionQueue(base, size, (command.cdw11 & INTERRUPTS) !== 0, vector);
  return OK;
}

function createSubmissionQueue({ state, maxEntries }: AdminContext, command: Command): Outcome {
  const qid = command.cdw10 & 0xffff;
  const size = (command.cdw10 >>> 16) + 1;
  const cqid = command.cdw11 >>> 16;
  if (cqid === 0 || !state.cqs[cqid]) return failed(Status.completionQueueInvalid);
  if (qid === 0 || qid >= QUEUES || state.sqs[qid]) return failed(Status.invalidQueueIdentifier);
  if (size < 2 || size > maxEntries || Cc(state.cc).iosqes !== SQES) return failed(Status.invalidQueueSize);
  const base = Number(command.prp1);
  if (base % PAGE_SIZE !== 0) return failed(Status.prpOffsetInvalid);
  if ((command.cdw11 & CONTIGUOUS) === 0) return failed(Status.invalidField);
  state.sqs[qid] = submissionQueue(base, size, cqid);
  return OK;
}

function deleteCompletionQueue({ state, queueDeleted }: AdminContext, { cdw10 }: Command): Outcome {
  const qid = cdw10 & 0xffff;
  if (qid === 0 || !state.cqs[qid]) return failed(Status.invalidQueueIdentifier);
  if (state.sqs.some((queue) => queue?.cqid === qid)) return failed(Status.invalidQueueDeletion);
  state.cqs[qid] = undefined;
  queueDeleted();
  return OK;
}

function deleteSubmissionQueue({ state, forget }: AdminContext, { cdw10 }: Command): Outcome {
  const qid = cdw10 & 0xffff;
  if (qid === 0 || !state.sqs[qid]) return failed(Status.invalidQueueIdentifier);
  state.sqs[qid] = undefined;
  forget(qid);
  return OK;
}

/** Gives `bytes` to the guest. */
function answer({ memory }: AdminContext, { prp1, prp2 }: Command, bytes: Uint8Array): Outcome {
  const segments = segmentsOf(memory, prp1, prp2, bytes.length);
  if (typeof segments === "number") return failed(segments);
  return store(memory, segments, bytes) ? OK : failed(Status.dataTransferError);
}

/** Namespace identifiers from here on name none. */
const LAST_NSID = 0xffff_fffe;

function identify(context: AdminContext, command: Command): Outcome {
  const { disk, serial } = context;
  const { nsid, cdw10 } = command;
  const eui64 = eui64Of(serial);
  switch (cdw10 & 0xff) {
    case Cns.controller:
      return answer(context, command, identifyController(serial));
    case Cns.namespace: {
      if (nsid !== NSID) return failed(Status.invalidNamespace);
      const sectors = Math.floor(disk.size / 512);
      return answer(context, command, identifyNamespace(sectors, disk.readOnly, eui64));
    }
    case Cns.activeNamespaces:
      if (nsid >= LAST_NSID) return failed(Status.invalidNamespace);
      return answer(context, command, namespaceList(nsid));
    case Cns.namespaceDescriptors:
      if (nsid !== NSID) return failed(Status.invalidNamespace);
      return answer(context, command, namespaceDescriptors(eui64));
    default:
      return failed(Status.invalidField);
  }
}

const RETAIN_EVENT = 0x8000;
/** Types of events whose log page this is. */
const EVENT_TYPES: Readonly<Record<number, number>> = { [LogPage.errorInformation]: 0, [LogPage.smart]: 1 };

function getLogPage(context: AdminContext, command: Command): Outcome {
  const { state } = context;
  const { cdw10, cdw11, cdw12, cdw13 } = command;
  const id = cdw10 & 0xff;
  const length = ((cdw10 >>> 16) + (cdw11 & 0xffff) * 0x1_0000 + 1) * 4;
  const offset = cdw12 + cdw13 * 2 ** 32;
  const pages: Readonly<Record<number, () => Uint8Array>> = {
    [LogPage.errorInformation]: () => errorLog(state.errors),
    [LogPage.smart]: () => smartLog(state.smart),
    [LogPage.firmwareSlot]: firmwareLog,
  };
  const page = pages[id]?.();
  if (page === undefined) return failed(Status.invalidLogPage);
  if (length > MOST_BYTES || offset > page.length || offset % 4 !== 0) return failed(Status.invalidField);
  const bytes = new Uint8Array(length);
  bytes.set(page.subarray(offset, offset + length));
  const type = EVENT_TYPES[id];
  if ((cdw10 & RETAIN_EVENT) === 0 && type !== undefined) state.toldEvents &= ~(1 << type);
  return answer(context, command, bytes);
}

/** Both counts of I/O queues, less one. */
const ALL_QUEUES = ((IO_QUEUES - 1) << 16) | (IO_QUEUES - 1);
const SELECT_CAPABILITIES = 3;
const CHANGEABLE = 4;

function getFeatures({ state }: AdminContext, { cdw10, cdw11 }: Command): Outcome {
  const id = cdw10 & 0xff;
  const select = (cdw10 >>> 8) & 7;
  if (id === Feature.numberOfQueues) return done(select === SELECT_CAPABILITIES ? CHANGEABLE : ALL_QUEUES);
  if (id === Feature.interruptVectorConfiguration) {
    const value = state.vectorConfiguration[cdw11 & 0xffff];
    if (value === undefined) return failed(Status.invalidField);
    return done(select === SELECT_CAPABILITIES ? CHANGEABLE : value);
  }
  const value = state.features[id];
  if (value === undefined) return failed(Status.invalidField);
  return done(select === SELECT_CAPABILITIES ? CHANGEABLE : value);
}

const SAVE = 0x8000_0000;
const POWER_STATE = 0x1f;
const LARGEST_COUNT = 0xfffe;

function setFeatures({ state }: AdminContext, { cdw10, cdw11 }: Command): Outcome {
  const id = cdw10 & 0xff;
  if ((cdw10 & SAVE) !== 0) return failed(Status.featureNotSaveable);
  switch (id) {
    case Feature.numberOfQueues:
      if ((cdw11 & 0xffff) > LARGEST_COUNT || cdw11 >>> 16 > LARGEST_COUNT) return failed(Status.invalidField);
      return done(ALL_QUEUES);
    case Feature.interruptVectorConfiguration: {
      const vector = cdw11 & 0xffff;
      if (vector >= VECTORS) return failed(Status.invalidField);
      state.vectorConfiguration[vector] = cdw11 & 0x1_ffff;
      return OK;
    }
    case Feature.powerManagement:
      // There is one power state.
      if ((cdw11 & POWER_STATE) !== 0) return failed(Status.invalidField);
      break;
  }
  if (state.features[id] === undefined) return failed(Status.invalidField);
  state.features[id] = cdw11;
  return OK;
}
