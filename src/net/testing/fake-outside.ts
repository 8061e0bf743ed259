/** An outside whose other end a test is. */
import { decodeUtf8 } from "../../bits/utf8.ts";
import type {
  ConnectionHandlers,
  Outside,
  OutsideAddress,
  OutsideConnection,
  OutsideDatagrams,
  OutsideQuestions,
  OutsideTarget,
} from "../outside.ts";

export class FakeConnection implements OutsideConnection {
  readonly target: OutsideTarget;
  readonly tell: ConnectionHandlers;
  backlog = 0;
  written = "";
  isPaused = false;
  /** Whether nothing more will be written. */
  hasEnded = false;
  isDestroyed = false;

  constructor(target: OutsideTarget, handlers: ConnectionHandlers) {
    this.target = target;
    this.tell = handlers;
  }

  write(bytes: Uint8Array): void {
    this.written += decodeUtf8(bytes);
    this.backlog += bytes.length;
  }

  /** Takes what was written. */
  drain(): void {
    this.backlog = 0;
    this.tell.drained();
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  end(): void {
    this.hasEnded = true;
  }

  destroy(): void {
    this.isDestroyed = true;
  }
}

export class FakeDatagrams implements OutsideDatagrams {
  readonly sent: { to: OutsideAddress; bytes: Uint8Array }[] = [];
  readonly receive: (from: OutsideAddress, bytes: Uint8Array) => void;
  isClosed = false;

  constructor(receive: (from: OutsideAddress, bytes: Uint8Array) => void) {
    this.receive = receive;
  }

  send(to: OutsideAddress, bytes: Uint8Array): void {
    this.sent.push({ to, bytes: Uint8Array.from(bytes) });
  }

  close(): void {
    this.isClosed = true;
  }
}

export class FakeQuestions implements OutsideQuestions {
  readonly asked: Uint8Array[] = [];
  readonly receive: (answer: Uint8Array) => void;
  isClosed = false;

  constructor(receive: (answer: Uint8Array) => void) {
    this.receive = receive;
  }

  ask(question: Uint8Array): void {
    this.asked.push(Uint8Array.from(question));
  }

  close(): void {
    this.isClosed = true;
  }
}

export class FakeOutside implements Outside {
  readonly connections: FakeConnection[] = [];
  readonly datagrams: FakeDatagrams[] = [];
  readonly questions: FakeQuestions[] = [];

  connect(target: OutsideTarget, handlers: ConnectionHandlers): FakeConnection {
    return added(this.connections, new FakeConnection(target, handlers));
  }

  openDatagrams(receive: FakeDatagrams["receive"]): FakeDatagrams {
    return added(this.datagrams, new FakeDatagrams(receive));
  }

  openQuestions(receive: FakeQuestions["receive"]): FakeQuestions {
    return added(this.questions, new FakeQuestions(receive));
  }
}

function added<T>(list: T[], item: T): T {
  list.push(item);
  return item;
}
