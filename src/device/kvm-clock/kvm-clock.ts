/**
 * KVM's paravirtual clock: tells the guest how the time stamp counter relates to time, so that it need not
 * calibrate. @spec Linux Documentation/virt/kvm/x86/msr.rst (MSR_KVM_WALL_CLOCK_NEW, MSR_KVM_SYSTEM_TIME_NEW)
 * and Documentation/virt/kvm/x86/hypercalls (pvclock structures).
 *
 * Not modelled: a guest that writes the structures itself; time stolen from the guest.
 */
import { struct, u8, u32, u64 } from "../../bits/struct.ts";
import { guestPhysical } from "../../bits/units.ts";
import type { Clock, Device, GuestMemory } from "../../machine/device.ts";

export const MSR_KVM_WALL_CLOCK_NEW = 0x4b56_4d00;
export const MSR_KVM_SYSTEM_TIME_NEW = 0x4b56_4d01;

/** struct pvclock_vcpu_time_info. */
const TimeInfo = struct("LE", {
  version: u32,
  pad: u32,
  tscTimestamp: u64,
  systemTime: u64,
  tscToSystemMul: u32,
  tscShift: u8,
  flags: u8,
});
/** struct pvclock_wall_clock. */
const WallClock = struct("LE", { version: u32, seconds: u32, nanoseconds: u32 });
const TSC_STABLE = 1;

export interface KvmClockState {
  wallLow: number;
  wallHigh: number;
  systemLow: number;
  systemHigh: number;
  version: number;
}

export interface KvmClockWiring {
  readonly memory: GuestMemory;
  readonly clock: Clock;
  /** Ticks a second of the counter that the guest reads. */
  readonly tscHertz: number;
  tsc(): bigint;
  /** Seconds since 1970 at power-on. */
  readonly bootTime: number;
}

/** The two MSRs of one vCPU. */
export class KvmClock implements Device<KvmClockState> {
  readonly state: KvmClockState = { wallLow: 0, wallHigh: 0, systemLow: 0, systemHigh: 0, version: 0 };
  readonly #wiring: KvmClockWiring;

  constructor(wiring: KvmClockWiring) {
    this.#wiring = wiring;
  }

  reset(): void {
    Object.assign(this.state, { wallLow: 0, wallHigh: 0, systemLow: 0, systemHigh: 0, version: 0 });
  }

  restored(): void {
    this.#writeTime();
  }

  /** False where `msr` is none of the clock's. */
  readMsr(msr: number, value: Uint32Array): boolean {
    const { state } = this;
    if (msr !== MSR_KVM_WALL_CLOCK_NEW && msr !== MSR_KVM_SYSTEM_TIME_NEW) return false;
    const wall = msr === MSR_KVM_WALL_CLOCK_NEW;
    value[0] = wall ? state.wallLow : state.systemLow;
    value[1] = wall ? state.wallHigh : state.systemHigh;
    return true;
  }

  writeMsr(msr: number, low: number, high: number): boolean {
    const { state } = this;
    if (msr === MSR_KVM_WALL_CLOCK_NEW) {
      state.wallLow = low;
      state.wallHigh = high;
      this.#writeWall();
      return true;
    }
    if (msr === MSR_KVM_SYSTEM_TIME_NEW) {
      state.systemLow = low;
      state.systemHigh = high;
      this.#writeTime();
      return true;
    }
    return false;
  }

  #view(low: number, high: number, size: number): Uint8Array | undefined {
    return this.#wiring.memory.view(guestPhysical((high >>> 0) * 2 ** 32 + (low >>> 0)), size, "write");
  }

  #writeWall(): void {
    const { state } = this;
    const bytes = this.#view(state.wallLow & ~3, state.wallHigh, WallClock.size);
    if (bytes === undefined) return;
    state.version += 2;
    // The guest adds the system time: this is the wall clock when that was zero.
    Object.assign(WallClock.at(bytes), { version: state.version, seconds: this.#wiring.bootTime, nanoseconds: 0 });
  }

  #writeTime(): void {
    const { state } = this;
    if ((state.systemLow & 1) === 0) return;
    const bytes = this.#view(state.systemLow & ~1, state.systemHigh, TimeInfo.size);
    if (bytes === undefined) return;
    state.version += 2;
    const { mul, shift } = tscScale(this.#wiring.tscHertz);
    Object.assign(TimeInfo.at(bytes), {
      version: state.version,
      pad: 0,
      tscTimestamp: this.#wiring.tsc(),
      systemTime: BigInt(Math.floor(this.#wiring.clock.now())),
      tscToSystemMul: mul,
      tscShift: shift & 0xff,
      flags: TSC_STABLE,
    });
  }
}

/** Factors such that ns = ((ticks << shift) * mul) >> 32, with `mul` in 32 bits. */
export function tscScale(hertz: number): { mul: number; shift: number } {
  let shift = 0;
  let ratio = 1e9 / hertz;
  while (ratio >= 1) {
    ratio /= 2;
    shift++;
  }
  while (ratio < 0.5) {
    ratio *= 2;
    shift--;
  }
  return { mul: Math.floor(ratio * 2 ** 32), shift };
}
