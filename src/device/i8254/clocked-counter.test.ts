/**
 * The counter of channel.ts against one that is stepped with every CLK pulse, as the datasheet tells it.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../../machine/testing/rig.ts";
import {
  type CounterMode,
  latchCount,
  nextChange,
  outAt,
  powerOnChannel,
  program,
  readCounter,
  setGate,
  settle,
  writeCounter,
} from "./channel.ts";

class ClockedCounter {
  out = true;
  gate = true;
  nullCount = true;
  #mode: CounterMode = 3;
  #bcd = false;
  #cr = 0;
  #ce = 0;
  #low: number | undefined;
  #loadDue = false;
  #loaded = false;
  #armed = false;
  #halted = false;
  #trigger = false;

  program(mode: CounterMode, bcd: boolean): void {
    this.#mode = mode;
    this.#bcd = bcd;
    this.out = mode !== 0;
    this.nullCount = true;
    this.#cr = 0;
    this.#low = undefined;
    this.#loadDue = this.#loaded = this.#armed = this.#halted = this.#trigger = false;
  }

  write(value: number): void {
    if (this.#low === undefined) {
      this.#low = value;
      if (this.#mode === 0) {
        this.#halted = true;
        this.#loadDue = false;
        this.out = false;
      }
      return;
    }
    this.#cr = (value << 8) | this.#low;
    this.#low = undefined;
    this.nullCount = true;
    if (this.#mode === 0 || this.#mode === 4 || ((this.#mode === 2 || this.#mode === 3) && !this.#loaded)) {
      this.#loadDue = true;
    }
  }

  setGate(gate: boolean): void {
    const rising = gate && !this.gate;
    this.gate = gate;
    if (this.#mode === 1 || this.#mode === 5) this.#trigger ||= rising;
    if (this.#mode === 2 || this.#mode === 3) {
      if (rising && this.#loaded) this.#trigger = true;
      if (!gate) {
        this.out = true;
        this.#trigger = false;
      }
    }
  }

  get #full(): number {
    return this.#bcd ? 10_000 : 0x10000;
  }

  get #initial(): number {
    const cr = this.#cr;
    const digits = (cr >> 12) * 1000 + ((cr >> 8) & 15) * 100 + ((cr >> 4) & 15) * 10 + (cr & 15);
    return (this.#bcd ? digits : cr) || this.#full;
  }

  #load(): void {
    this.#ce = this.#initial;
    this.nullCount = false;
    this.#loaded = true;
    this.#loadDue = false;
    this.#trigger = false;
    this.#halted = false;
  }

  /** One CLK pulse. */
  clock(): void {
    switch (this.#mode) {
      case 0:
      case 4:
        if (this.#mode === 4) this.out = true;
        if (this.#loadDue) {
          this.#load();
          this.#armed = true;
          if (this.#mode === 0) this.out = false;
        } else if (this.gate && this.#loaded && !this.#halted) this.#down(this.#mode === 0);
        break;
      case 1:
      case 5:
        if (this.#mode === 5) this.out = true;
        if (this.#trigger) {
          this.#load();
          this.#armed = true;
          if (this.#mode === 1) this.out = false;
        } else if (this.#loaded) this.#down(this.#mode === 1);
        break;
      case 2:
        if (this.#loadDue || this.#trigger) this.#load();
        else if (this.gate && this.#loaded) {
          if (this.#ce === 1) this.#load();
          else this.#ce--;
        }
        this.out = !(this.gate && this.#loaded && this.#ce === 1);
        break;
      case 3:
        if (this.#loadDue || this.#trigger) {
          this.#load();
          this.out = true;
          this.#odd = this.#ce % 2 === 1;
          this.#ce -= this.#ce % 2;
        } else if (this.gate && this.#loaded) {
          // An even count toggles where it would reach 0, an odd one in its high half a clock later.
          const last = this.#odd && this.out ? 0 : 2;
          if (this.#ce === last) {
            this.#load();
            this.out = !this.out;
            this.#odd = this.#ce % 2 === 1;
            this.#ce -= this.#ce % 2;
          } else this.#ce -= 2;
        }
        break;
    }
  }
  #odd = false;

  /** Counts down, around and on; OUT rises (modes 0 and 1) or strobes low (4 and 5) at the first terminal count. */
  #down(rises: boolean): void {
    this.#ce = (this.#ce + this.#full - 1) % this.#full;
    if (this.#ce !== 0 || !this.#armed) return;
    this.#armed = false;
    this.out = rises;
  }

  get read(): number {
    const ce = this.#ce % this.#full;
    if (!this.#bcd) return ce;
    return Number.parseInt(String(ce), 16);
  }
}

for (const mode of [0, 1, 2, 3, 4, 5] as const) {
  test(`mode ${mode} shows count, OUT and NULL COUNT of a counter stepped clock by clock`, () => {
    const random = new SeededRandom(100 + mode);
    const lazy = powerOnChannel(true);
    const clocked = new ClockedCounter();
    let tick = 0;
    let changeAt = -1;
    let gateMoved = true;
    const reprogram = () => {
      const bcd = random.below(3) === 0;
      program(lazy, tick, { mode, bcd, access: 3 });
      clocked.program(mode, bcd);
      return bcd;
    };
    let bcd = reprogram();
    let comparable = false;
    for (let step = 0; step < 6000; step++) {
      const action = random.below(12);
      if (action === 0 && step % 7 === 0) {
        bcd = reprogram();
        comparable = false;
      } else if (action < 2) {
        // Two bytes; small counts mostly, so that much happens. 1 is illegal in modes 2 and 3.
        let count = random.below(8) === 0 ? random.below(bcd ? 100 : 0x200) : 2 + random.below(8);
        if ((mode === 2 || mode === 3) && count === 1) count = 2;
        const raw = bcd ? Number.parseInt(String(count), 16) : count;
        for (const byte of [raw & 0xff, raw >> 8]) {
          writeCounter(lazy, tick, byte);
          clocked.write(byte);
        }
      } else if (action < 4) {
        const gate = random.below(4) !== 0;
        setGate(lazy, tick, gate);
        clocked.setGate(gate);
        gateMoved = true;
      }
      settle(lazy, tick);
      changeAt = nextChange(lazy, tick);
      for (let i = random.below(action === 11 ? 700 : 5); i > 0; i--) {
        tick++;
        const earlier = clocked.out;
        clocked.clock();
        if (!gateMoved && clocked.out && !earlier && (mode === 0 || mode === 3)) {
          assert.ok(changeAt !== -1 && changeAt <= tick, `OUT rose at ${tick}, predicted ${changeAt}`);
        }
      }
      gateMoved = false;
      settle(lazy, tick);
      comparable ||= lazy.loaded;
      assert.equal(outAt(lazy, tick), clocked.out, `OUT at step ${step}`);
      assert.equal(lazy.nullCount, clocked.nullCount, `NULL COUNT at step ${step}`);
      if (comparable) {
        latchCount(lazy, tick);
        const count = readCounter(lazy, tick) | (readCounter(lazy, tick) << 8);
        assert.equal(count.toString(16), clocked.read.toString(16), `count at step ${step}`);
      }
    }
  });
}
