/** A guest's NVMe driver for tests: registers, queues and commands in plain memory. */
import assert from "node:assert/strict";
import { byteOffset } from "../../../../bits/units.ts";
import { MemoryStore } from "../../../../disk/memory-store.ts";
import { RawDisk } from "../../../../disk/raw/raw-disk.ts";
import { MemoryBus } from "../../../../machine/memory-bus.ts";
import { PortBus } from "../../../../machine/port-bus.ts";
import { ImmediateWork, PlainMemory, ProbeLine } from "../../../../machine/testing/rig.ts";
import { Cqe, Sqe } from "../../layout.ts";
import { Nvme } from "../../nvme.ts";

export const RAM = 8 << 20;
export const SECTORS = 16384;
const ADMIN_SQ = 0x1000;
const ADMIN_CQ = 0x2000;
const ENTRIES = 16;
/** Where tests have room. */
export const DATA = 0x10_0000;

/** Lets every host operation that was begun end. */
export const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

interface Ring {
  base: number;
  size: number;
  index: number;
}

type Fields = Parameters<typeof Sqe.make>[0];

export interface Completed {
  cid: number;
  sqid: number;
  /** Status code and type, without do-not-retry. */
  status: number;
  result: number;
}

export class NvmeRig {
  readonly memory = new PlainMemory(RAM);
  readonly intx = new ProbeLine();
  readonly messages: [number, number][] = [];
  readonly errors: Error[] = [];
  readonly disk: RawDisk;
  readonly nvme: Nvme;
  readonly bus = new MemoryBus();
  readonly #sqs: Ring[] = [];
  readonly #cqs: (Ring & { phase: number })[] = [];
  #cid = 0;

  constructor({ readOnly = false, immediate = false } = {}) {
    this.disk = new RawDisk(new MemoryStore(SECTORS * 512), { readOnly });
    this.nvme = new Nvme({
      name: "nvme0",
      ports: new PortBus(),
      memory: this.bus,
      ram: this.memory,
      disk: this.disk,
      work: Object.assign(new ImmediateWork(), { immediate }),
      serial: "S1",
      intx: this.intx,
      msi: { send: (address, data) => void this.messages.push([address, data]) },
      events: { ioError: (error) => this.errors.push(error) },
    });
    this.nvme.reset();
    this.nvme.pci.writeConfig(4, 2, 0x6);
  }

  read32(offset: number): number {
    return this.nvme.readMemory(offset, 4);
  }
  write32(offset: number, value: number): void {
    this.nvme.writeMemory(offset, 4, value >>> 0);
  }

  /** Enables the controller with admin queues of 16 entries. */
  enable(): void {
    this.#sqs[0] = { base: ADMIN_SQ, size: ENTRIES, index: 0 };
    this.#cqs[0] = { base: ADMIN_CQ, size: ENTRIES, index: 0, phase: 1 };
    this.memory.bytes.fill(0, ADMIN_CQ, ADMIN_CQ + 0x1000);
    this.write32(0x24, (ENTRIES - 1) | ((ENTRIES - 1) << 16));
    this.write32(0x28, ADMIN_SQ);
    this.write32(0x2c, 0);
    this.write32(0x30, ADMIN_CQ);
    this.write32(0x34, 0);
    this.write32(0x14, 0x0046_0001);
    assert.equal(this.read32(0x1c), 1, "ready");
  }

  /** Puts a command into submission queue `sqid`; returns its identifier. */
  submit(sqid: number, fields: Fields, { ring = true } = {}): number {
    const queue = this.#sqs[sqid]!;
    this.#cid = (this.#cid + 1) & 0xffff;
    const cid = this.#cid;
    this.memory.bytes.set(Sqe.make({ ...fields, cid }), queue.base + queue.index * Sqe.size);
    queue.index = (queue.index + 1) % queue.size;
    if (ring) this.write32(0x1000 + sqid * 8, queue.index);
    return cid;
  }

  /** Takes the next completion of queue `cqid`. */
  take(cqid: number, { ring = true } = {}): Completed | undefined {
    const queue = this.#cqs[cqid]!;
    const entry = Cqe.at(this.memory.bytes, queue.base + queue.index * Cqe.size);
    if ((entry.status & 1) !== queue.phase) return undefined;
    queue.index = (queue.index + 1) % queue.size;
    if (queue.index === 0) queue.phase ^= 1;
    if (ring) this.write32(0x1004 + cqid * 8, queue.index);
    return { cid: entry.cid, sqid: entry.sqid, status: (entry.status >>> 1) & 0x7ff, result: entry.dw0 };
  }

  /** Runs a command to its completion. */
  async run(sqid: number, fields: Fields): Promise<Completed> {
    const cid = this.submit(sqid, fields);
    for (let i = 0; i < 50; i++) {
      const completed = this.take(sqid);
      if (completed) {
        assert.equal(completed.cid, cid);
        return completed;
      }
      await settle();
    }
    throw new Error("a command that does not end");
  }

  admin(opcode: number, fields: Fields = {}): Promise<Completed> {
    return this.run(0, { opcode, ...fields });
  }

  /** Makes I/O queue pair `qid` with `size` entries. */
  async createQueues(qid: number, { size = 8, interrupts = true, vector = qid } = {}): Promise<void> {
    const base = 0x2_0000 + qid * 0x4000;
    this.memory.bytes.fill(0, base, base + 0x4000);
    this.#cqs[qid] = { base: base + 0x2000, size, index: 0, phase: 1 };
    this.#sqs[qid] = { base, size, index: 0 };
    const cdw10 = qid | ((size - 1) << 16);
    const cq = { cdw10: cdw10 >>> 0, cdw11: (1 | (interrupts ? 2 : 0) | (vector << 16)) >>> 0 };
    assert.equal((await this.admin(5, { ...cq, prp1: BigInt(base + 0x2000) })).status, 0);
    const sq = { cdw10: cdw10 >>> 0, cdw11: (1 | (qid << 16)) >>> 0 };
    assert.equal((await this.admin(1, { ...sq, prp1: BigInt(base) })).status, 0);
  }

  /** An enabled controller with I/O queue pair 1. */
  static async ready(options: ConstructorParameters<typeof NvmeRig>[0] = {}): Promise<NvmeRig> {
    const rig = new NvmeRig(options);
    rig.enable();
    await rig.createQueues(1);
    return rig;
  }

  /** A read or write of `count` sectors at `lba`; memory by PRPs. */
  io(opcode: number, lba: number, count: number, prp1: number, prp2 = 0, flags = 0): Fields {
    return {
      opcode,
      nsid: 1,
      prp1: BigInt(prp1),
      prp2: BigInt(prp2),
      cdw10: lba,
      cdw12: ((count - 1) | flags) >>> 0,
    };
  }

  async onDisk(lba: number, sectors = 1): Promise<Uint8Array> {
    const bytes = new Uint8Array(sectors * 512);
    await this.disk.read(byteOffset(lba * 512), bytes);
    return bytes;
  }
}
