/** What takes a while: polling after a reset, seeks, and the next sector's header coming round. */
import { nanoseconds } from "../../bits/units.ts";
import type { Timer, TimeSource } from "../../machine/device.ts";
import type { FloppyDrive } from "./drive.ts";
import type { FloppyMedium } from "./medium.ts";
import { InterruptCode, St0, St1 } from "./registers.ts";
import type { FloppyEvent, I82077State } from "./state.ts";

/** Steps that RECALIBRATE makes at the most. */
const MOST_STEPS = 79;
/** Nanoseconds that a reset or a seek takes. */
const SOON = 50_000;
/** Nanoseconds of one turn of the disk, and of one in a 1.2 MB drive. */
const TURN = 200e6;
const FAST_TURN = 166_666_667;
/** The cylinder of a READ ID that finds nothing. */
const NOTHING = 0xff;

export interface MechanicsWiring {
  readonly state: I82077State;
  readonly drives: readonly (FloppyDrive | undefined)[];
  readonly time: TimeSource;
  /** Whether the controller is set up for this disk. */
  ready(drive: number, medium: FloppyMedium): boolean;
  /** READ ID's result. */
  idFound(result: readonly number[]): void;
  /** Lines may have to change. */
  changed(): void;
}

const turnOf = (drive: FloppyDrive | undefined): number => (drive?.type === "1.2M" ? FAST_TURN : TURN);

export class Mechanics {
  readonly #wiring: MechanicsWiring;
  readonly #state: I82077State;
  readonly #timer: Timer;

  constructor(wiring: MechanicsWiring) {
    this.#wiring = wiring;
    this.#state = wiring.state;
    this.#timer = wiring.time.createTimer("i82077", () => this.#fire());
  }

  /** After a reset: finds that the ready lines of all drives changed. */
  poll(): void {
    this.#begin({ kind: "reset", drive: 0, head: 0, cylinder: 0, at: SOON });
  }

  seek(drive: number, head: boolean, cylinder: number): void {
    this.#begin({ kind: "seek", drive, head: Number(head), cylinder, at: SOON });
  }

  recalibrate(drive: number): void {
    this.#begin({ kind: "recalibrate", drive, head: 0, cylinder: 0, at: SOON });
  }

  /** `at` is the time that it takes. */
  #begin(event: FloppyEvent): void {
    const { events } = this.#state;
    const same = events.findIndex(({ kind, drive }) => kind === event.kind && drive === event.drive);
    if (same >= 0) events.splice(same, 1);
    events.push({ ...event, at: this.#wiring.time.now() + event.at });
    this.schedule();
  }

  /** Arms the timer for what comes next. */
  schedule(): void {
    const { events } = this.#state;
    if (events.length === 0) this.#timer.cancel();
    else this.#timer.arm(nanoseconds(Math.min(...events.map(({ at }) => at))));
  }

  #fire(): void {
    const now = this.#wiring.time.now();
    const due = this.#state.events.filter(({ at }) => at <= now);
    this.#state.events = this.#state.events.filter(({ at }) => at > now);
    for (const event of due) {
      if (event.kind === "reset") this.#polled();
      else if (event.kind === "readId") this.#foundId(event);
      else this.#sought(event);
    }
    this.schedule();
    this.#wiring.changed();
  }

  #polled(): void {
    const { polling } = InterruptCode;
    this.#state.sensed = [0, 1, 2, 3].map((drive) => St0.pack({ drive, interruptCode: polling }));
    this.#state.interrupt = true;
  }

  #sought({ kind, drive: number, head, cylinder }: FloppyEvent): void {
    const drive = this.#wiring.drives[number];
    const steps = (drive?.state.cylinder ?? 0) - cylinder;
    // Without a drive nobody says that the head is at track 0; nor does one that is further away than the steps go.
    const failed = kind === "recalibrate" && (drive === undefined || steps > MOST_STEPS);
    drive?.stepTo(failed ? drive.state.cylinder - MOST_STEPS : cylinder);
    const end = failed ? { equipmentCheck: true, interruptCode: InterruptCode.abnormal } : {};
    this.#state.sensed = this.#state.sensed.filter((st0) => St0(st0).drive !== number);
    this.#state.sensed.push(St0.pack({ drive: number, head: head === 1, seekEnd: true, ...end }));
    this.#state.interrupt = true;
  }

  readId(number: number, head: boolean, mfm: boolean): void {
    const drive = this.#wiring.drives[number];
    const medium = drive?.medium;
    const geometry = medium?.geometry;
    const event = { kind: "readId", drive: number, head: Number(head) } as const;
    const recorded =
      drive && medium && mfm && this.#wiring.ready(number, medium) && drive.state.cylinder < medium.geometry.cylinders;
    if (!recorded || !geometry || Number(head) >= geometry.heads) {
      this.#begin({ ...event, cylinder: NOTHING, at: SOON });
      return;
    }
    // The next header that comes round.
    const each = turnOf(drive) / geometry.sectors;
    this.#begin({ ...event, cylinder: drive.state.cylinder, at: Math.round(each - (this.#wiring.time.now() % each)) });
  }

  #foundId({ drive, head, cylinder, at }: FloppyEvent): void {
    const medium = this.#wiring.drives[drive]?.medium;
    const st0 = { drive, head: head === 1 };
    if (cylinder === NOTHING || !medium) {
      const interruptCode = InterruptCode.abnormal;
      this.#wiring.idFound([St0.pack({ ...st0, interruptCode }), St1.mask.missingAddressMark, 0, 0, head, 1, 0]);
    } else {
      const { sectors } = medium.geometry;
      const sector = 1 + (Math.round((at * sectors) / turnOf(this.#wiring.drives[drive])) % sectors);
      this.#wiring.idFound([St0.pack(st0), 0, 0, cylinder, head, sector, 2]);
    }
    this.#state.interrupt = true;
  }
}
