/**
 * The PC: an i440FX-like board with its chips wired up. The board knows every device and nothing of the host.
 */
import { guestPhysical } from "../bits/units.ts";
import { DEBUG_CONSOLE_PORT, DebugConsole } from "../device/debug-console/debug-console.ts";
import { FwCfg } from "../device/fw-cfg/fw-cfg.ts";
import { HPET_ADDRESS, HPET_SIZE, Hpet } from "../device/hpet/hpet.ts";
import { I8042 } from "../device/i8042/i8042.ts";
import { Ps2Keyboard } from "../device/i8042/ps2-keyboard.ts";
import { Ps2Mouse } from "../device/i8042/ps2-mouse.ts";
import { DMA_PAGE_PORT, DMA1_PORT, DMA2_PORT, I8237Pair } from "../device/i8237/i8237.ts";
import { I8254 } from "../device/i8254/i8254.ts";
import { I8259Pair } from "../device/i8259/i8259.ts";
import type { I82077 } from "../device/i82077/i82077.ts";
import { FLOPPY_TYPES, mediumFor } from "../device/i82077/medium.ts";
import { IO_APIC_LENGTH, IoApic } from "../device/io-apic/io-apic.ts";
import { IsaDebugExit } from "../device/isa-debug-exit/isa-debug-exit.ts";
import { KvmClock } from "../device/kvm-clock/kvm-clock.ts";
import { LocalApic } from "../device/local-apic/local-apic.ts";
import { fixedRateTsc } from "../device/local-apic/tsc.ts";
import { Mc146818 } from "../device/mc146818/mc146818.ts";
import { Ns16550 } from "../device/ns16550/ns16550.ts";
import { HostBridge, type ShadowArea } from "../device/pci/i440fx.ts";
import { PciBus } from "../device/pci/pci-bus.ts";
import { Piix3IsaBridge } from "../device/pci/piix3-isa-bridge.ts";
import { Piix4PmFunction } from "../device/pci/piix4-pm-function.ts";
import { PirqRouter } from "../device/pci/pirq-router.ts";
import { PiixIde } from "../device/piix-ide/piix-ide.ts";
import { Piix4Pm } from "../device/piix4-pm/piix4-pm.ts";
import { Port92 } from "../device/port92/port92.ts";
import type { ScsiCdrom } from "../device/scsi/scsi-cdrom.ts";
import type { UsbTablet } from "../device/usb-tablet/usb-tablet.ts";
import { VirtioPci } from "../device/virtio/virtio-pci.ts";
import { VirtioBalloon } from "../device/virtio-balloon/virtio-balloon.ts";
import { VirtioBlk } from "../device/virtio-blk/virtio-blk.ts";
import { VirtioConsole } from "../device/virtio-console/virtio-console.ts";
import { VirtioRng } from "../device/virtio-rng/virtio-rng.ts";
import { ApicBus } from "../machine/apic-bus.ts";
import type { AsyncWork, ByteSink, Device, RandomSource, SignalLine, TimeSource } from "../machine/device.ts";
import type { DisplaySource } from "../machine/display.ts";
import { fanOut, OrGate } from "../machine/lines.ts";
import { MemoryBus } from "../machine/memory-bus.ts";
import { PortBus } from "../machine/port-bus.ts";
import type { FirmwareDefinition, FloppyDrive, NicDefinition, PointerKind } from "./definition.ts";
import { type CdromDefinition, type DiskDefinition, type Drive, placeDrives } from "./drive-places.ts";
import type { GuestRam } from "./guest-ram.ts";
import type { Nic } from "./nics.ts";
import type { OptionalDevices } from "./parts.ts";

/** Ticks a second of the time stamp counter. */
export const TSC_HERTZ = 1_000_000_000;
const ISA_IRQS = 16;
const LOCAL_APIC_LENGTH = 0x1000;
const IO_APIC_AT = guestPhysical(0xfec0_0000);
/** I/O APIC inputs that no PCI or ISA interrupt uses. */
const HPET_ROUTES = 0xf0_0000;
/** Bytes of CMOS RAM where the drives are described. */
const CMOS_FLOPPY_TYPES = 0x10;
const CMOS_EQUIPMENT = 0x14;
const SOUTH_BRIDGE = 1;
/** PCI slot of the graphics card. */
export const DISPLAY_SLOT = 2;
const FIRST_CARD = 3;

export interface BoardConfig {
  readonly unixSeconds: number;
  readonly physicalAddressBits: number;
  readonly disks: readonly DiskDefinition[];
  readonly cdroms: readonly CdromDefinition[];
  /** Up to two; a disk that its drive does not take is no disk. */
  readonly floppies: readonly FloppyDrive[];
  readonly nics: readonly NicDefinition[];
  readonly pointer: PointerKind;
  readonly debugExit: boolean;
  readonly serial: ByteSink;
  readonly serial2: ByteSink;
  readonly virtioConsole?: ByteSink;
  readonly firmware?: FirmwareDefinition;
}

export interface BoardWiring {
  readonly ram: GuestRam;
  readonly time: TimeSource;
  readonly random: RandomSource;
  readonly work: AsyncWork;
  /** The counter as the guest reads it, and what the guest added to it. */
  tsc(): bigint;
  tscOffset(): bigint;
  /** High while the processor has a maskable interrupt to take. */
  readonly intr: SignalLine;
  nmi(): void;
  powerOff(): void;
  reset(cause: string): void;
  /** Address line 20 is let through, or held low. */
  a20(through: boolean): void;
  debugExit(status: number): void;
  /** The speaker has another tone: hertz, 0 for silence. */
  speaker(hertz: number): void;
  /** Room for more input on a serial line. */
  serialRoom(): void;
  /** Room for more input on the virtio console. */
  consoleRoom(): void;
  /** The balloon gives up pages. */
  release(address: number, length: number): void;
}

export class Board {
  readonly ports = new PortBus();
  readonly memory = new MemoryBus();
  readonly localApic: LocalApic;
  readonly kvmClock: KvmClock;
  readonly serial: readonly [Ns16550, Ns16550];
  readonly virtioConsole: VirtioConsole | undefined;
  readonly keyboard = new Ps2Keyboard();
  readonly mouse = new Ps2Mouse();
  /** Where the machine has one, on a USB controller. */
  readonly tablet: UsbTablet | undefined;
  /** What the graphics card shows; undefined on a board without one. */
  readonly display: DisplaySource | undefined;
  readonly power: Piix4Pm;
  readonly fwCfg: FwCfg;
  readonly #powerFunction: Piix4PmFunction;
  readonly pci: PciBus;
  /** The CD drives, by number. */
  readonly cdroms: ScsiCdrom[] = [];
  /** The network cards, by number. */
  readonly nics: readonly Nic[];
  /** The timer, whose counter 2 is the speaker's tone. */
  readonly pit: I8254;
  /** Where the machine has floppy drives. */
  readonly floppy: I82077 | undefined;
  /** Every device with state, by name; what snapshots keep. */
  readonly devices = new Map<string, Device<object>>();
  #localApicRange: ReturnType<MemoryBus["map"]> | undefined;

  /** `optional` has the devices that `config` asks for. */
  constructor(config: BoardConfig, optional: OptionalDevices, wiring: BoardWiring) {
    const { ram, time, work } = wiring;
    const apicBus = this.#add("apic-bus", new ApicBus());
    const pic: I8259Pair = this.#add(
      "i8259",
      new I8259Pair({ intr: { set: (level) => this.localApic.lint0.set(level) } }),
    );
    const ioApic = this.#add("io-apic", new IoApic({ bus: apicBus }));
    this.localApic = this.#add(
      "local-apic",
      new LocalApic(
        { id: 0, bootProcessor: true, physicalAddressBits: config.physicalAddressBits },
        {
          time,
          nsAtTsc: fixedRateTsc({ frequencyHz: TSC_HERTZ, offset: wiring.tscOffset }),
          bus: apicBus,
          intr: wiring.intr,
          processor: { nmi: wiring.nmi, smi: () => {}, init: () => wiring.reset("INIT"), startUp: () => {} },
          acknowledgeExtInt: () => pic.acknowledge(),
          pageMoved: (base) => this.#moveLocalApic(base),
        },
      ),
    );
    this.memory.map(IO_APIC_AT, IO_APIC_LENGTH, ioApic, "I/O APIC");
    this.kvmClock = this.#add(
      "kvm-clock",
      new KvmClock({ memory: ram, clock: time, tscHertz: TSC_HERTZ, tsc: wiring.tsc, bootTime: config.unixSeconds }),
    );

    // An ISA interrupt reaches the 8259s and the I/O APIC; the timer's is I/O APIC input 2.
    const irqs = Array.from({ length: ISA_IRQS }, (_, irq) => {
      const pin = ioApic.pins[irq === 0 ? 2 : irq] as SignalLine;
      return new OrGate(irq === 2 ? pin : fanOut(pic.line(irq), pin));
    });
    const irq = (number: number): SignalLine => (irqs[number] as OrGate).input();

    this.ports.register(0x20, 2, pic, { name: "8259 master", width: 1 });
    this.ports.register(0xa0, 2, pic, { name: "8259 slave", width: 1 });
    this.ports.register(0x4d0, 2, pic, { name: "ELCR", width: 1 });
    const hpet = this.#add(
      "hpet",
      new Hpet(
        { routes: HPET_ROUTES },
        { time, route: (input) => ioApic.pins[input] as SignalLine, irq0: irq(0), irq8: irq(8) },
      ),
    );
    this.memory.map(guestPhysical(HPET_ADDRESS), HPET_SIZE, hpet, "HPET");
    this.pit = this.#add("i8254", new I8254({ time, irq0: hpet.pitInput, speaker: wiring.speaker }));
    const { pit } = this;
    this.ports.register(0x40, 4, pit, { name: "8254", width: 1 });
    this.ports.register(0x61, 1, pit, { name: "NMI status", width: 1 });
    const cmos = this.#add(
      "mc146818",
      new Mc146818({ unixSeconds: config.unixSeconds }, { time, irq8: hpet.rtcInput, nmiMask: { set: () => {} } }),
    );
    this.ports.register(0x70, 4, cmos, { name: "CMOS", width: 1 });

    const dma = this.#add("i8237", new I8237Pair({ memory: ram }));
    this.ports.register(DMA1_PORT, 16, dma, { name: "8237 channels 0 to 3", width: 1 });
    this.ports.register(DMA_PAGE_PORT, 16, dma, { name: "DMA pages", width: 1 });
    this.ports.register(DMA2_PORT, 32, dma, { name: "8237 channels 4 to 7", width: 1 });

    const drives = config.floppies.map(({ type, device }) => {
      const medium = device && mediumFor(device, type);
      return medium ? { type, medium } : { type };
    });
    if (drives.length > 0) {
      const { FLOPPY_PORT, I82077 } = optional.floppy!;
      this.floppy = this.#add("i82077", new I82077({ drives }, { time, work, dma: dma.channel(2), irq: irq(6) }));
      // Port 3F6h belongs to the IDE controller.
      this.ports.register(FLOPPY_PORT + 2, 4, this.floppy, { name: "82077", width: 1 });
      this.ports.register(FLOPPY_PORT + 7, 1, this.floppy, { name: "82077 DIR", width: 1 });
      const [a = 0, b = 0] = drives.map(({ type }) => FLOPPY_TYPES[type]);
      cmos.writeCmos(CMOS_FLOPPY_TYPES, (a << 4) | b);
      cmos.writeCmos(CMOS_EQUIPMENT, cmos.readCmos(CMOS_EQUIPMENT) | 1 | ((drives.length - 1) << 6));
    }

    const a20 = new OrGate({ set: wiring.a20 });
    const keyboardController = this.#add(
      "i8042",
      new I8042({
        keyboard: this.#add("ps2-keyboard", this.keyboard),
        mouse: this.#add("ps2-mouse", this.mouse),
        irq1: irq(1),
        irq12: irq(12),
        a20: a20.input(),
        onReset: () => wiring.reset("keyboard controller"),
      }),
    );
    this.ports.register(0x60, 1, keyboardController, { name: "8042 data", width: 1 });
    this.ports.register(0x64, 1, keyboardController, { name: "8042 command", width: 1 });
    const port92 = this.#add("port92", new Port92({ a20: a20.input(), onReset: () => wiring.reset("port 92h") }));
    this.ports.register(0x92, 1, port92, { name: "system control A", width: 1 });

    const uart = (port: number, number: number, name: string, sink: ByteSink) => {
      const device = this.#add(name, new Ns16550({ port }, { irq: irq(number), sink, onRoom: wiring.serialRoom }));
      this.ports.register(port, 8, device, { name, width: 1 });
      return device;
    };
    this.serial = [uart(0x3f8, 4, "com1", config.serial), uart(0x2f8, 3, "com2", config.serial2)];

    this.fwCfg = this.#add("fw-cfg", new FwCfg({ memory: ram }));
    this.ports.register(0x510, 2, this.fwCfg, { name: "fw_cfg" });
    this.ports.register(0x514, 8, this.fwCfg, { name: "fw_cfg DMA" });
    if (config.debugExit) {
      const debugExit = this.#add(
        "isa-debug-exit",
        new IsaDebugExit({ onExit: ({ status }) => wiring.debugExit(status) }),
      );
      this.ports.register(0xf4, 4, debugExit, { name: "isa-debug-exit" });
    }

    const { ports, memory } = this;
    this.pci = new PciBus();
    const pirq = this.#add("pirq", new PirqRouter({ isaIrqs: irqs.map((gate) => gate.input()) }));
    const isa = new Piix3IsaBridge({
      ports,
      memory,
      bus: this.pci,
      slot: SOUTH_BRIDGE,
      pirq,
      resetRequested: () => wiring.reset("reset control register"),
    });
    this.#add("isa-bridge", isa);
    this.#add("isa-bridge.pci", isa.pci);
    this.power = this.#add(
      "piix4-pm",
      new Piix4Pm({ timerBits: 24 }, { time, sci: irq(9), onSoftOff: wiring.powerOff }),
    );
    this.ports.register(0xb2, 2, this.power, { name: "APM control", width: 1 });
    this.#powerFunction = this.#add(
      "piix4-pm.pci",
      new Piix4PmFunction({ ports, memory, bus: this.pci, slot: SOUTH_BRIDGE, block: this.power.block }),
    );
    const rom =
      config.firmware &&
      optional.systemRom!.placeFirmware(config.firmware, ram, memory, (name, device) => this.#add(name, device));
    if (config.firmware?.log) {
      const output = config.firmware.log;
      const debugConsole = this.#add("debug-console", new DebugConsole({ output }));
      ports.register(DEBUG_CONSOLE_PORT, 1, debugConsole, { name: "debug console", width: 1 });
    }
    // Without firmware all is RAM from C0000h on, which a loader writes to as it likes.
    const shadow = (area: ShadowArea) => rom?.shadow.switch(area);
    const hostBridge = new HostBridge({ ports, memory, bus: this.pci, shadow, resetControl: isa });
    this.#add("host-bridge", hostBridge);
    this.#add("host-bridge.pci", hostBridge.pci);

    const places = placeDrives(config.disks, config.cdroms);
    const driveOn = (connection: "pata" | "sata") => (drive: Drive | undefined) =>
      drive &&
      optional.ataDrives!.makeAtaDrive(drive, connection, {
        add: (name, device) => this.#add(name, device),
        cdroms: this.cdroms,
      });
    const ide = new PiixIde({
      ports,
      memory,
      bus: this.pci,
      slot: SOUTH_BRIDGE,
      ram,
      work,
      interrupts: [irq(14), irq(15)],
      drives: places.ide.map(driveOn("pata")),
    });
    this.#add("ide", ide);
    this.#add("ide.pci", ide.pci);
    if (ram.video) {
      const { video } = ram;
      const { Vga } = optional.vga!;
      const vga = this.#add(
        "vga",
        new Vga(video.bytes, {
          clock: time,
          ports,
          memory,
          framebufferPlaced: (base) => video.map(base),
          ...(config.firmware?.vgaBios && { rom: config.firmware.vgaBios }),
        }),
      );
      this.#add("vga.pci", vga.pci);
      this.pci.attach(DISPLAY_SLOT, 0, vga.pci);
      this.display = vga.display;
    }

    let slot = FIRST_CARD;
    const plug = (name: string, device: ConstructorParameters<typeof VirtioPci>[0]["device"]) => {
      const card = this.#add(
        name,
        new VirtioPci({ name, device, ports, memory, intx: pirq.pin(slot, 0, 1), msi: apicBus }),
      );
      this.pci.attach(slot++, 0, card.pci);
    };
    for (const { number, definition } of places.virtio) {
      const { device, serial } = definition;
      plug(`virtio-blk${number}`, new VirtioBlk({ memory: ram, disk: device, work, ...(serial ? { serial } : {}) }));
    }
    for (const { number, definition } of places.nvme) {
      const { device: disk, serial = `nvme${number}` } = definition;
      const name = `nvme${number}`;
      const intx = pirq.pin(slot, 0, 1);
      const nvme = this.#add(
        name,
        new optional.nvme!.Nvme({ name, ports, memory, ram, disk, work, serial, intx, msi: apicBus }),
      );
      this.pci.attach(slot++, 0, nvme.pci);
    }
    if (places.ahci.length > 0) {
      const ahci = new optional.ahci!.Ahci({
        ports,
        memory,
        ram,
        work,
        intx: pirq.pin(slot, 0, 1),
        msi: apicBus,
        drives: places.ahci.map(driveOn("sata")),
      });
      this.#add("ahci", ahci);
      this.#add("ahci.pci", ahci.pci);
      this.pci.attach(slot++, 0, ahci.pci);
    }
    if (places.scsi.length > 0) {
      const { cdroms } = this;
      const units = places.scsi.map((drive) =>
        optional.scsiUnits!.makeScsiUnit(drive, { add: (name, device) => this.#add(name, device), cdroms }),
      );
      plug("virtio-scsi", new optional.virtioScsi!.VirtioScsi({ memory: ram, work, units }));
    }
    this.nics =
      optional.nics?.plugNics(config.nics, {
        ports,
        memory,
        ram,
        time,
        work,
        msi: apicBus,
        add: (name, device) => this.#add(name, device),
        plug: (make) => {
          this.pci.attach(slot, 0, make(pirq.pin(slot, 0, 1)));
          return slot++;
        },
      }) ?? [];
    if (config.pointer === "tablet") {
      const { tablet, pci } = optional.usbTablet!.makeUsbTablet(
        { ports, memory, ram, clock: time, intx: pirq.pin(slot, 0, 1), msi: apicBus },
        (name, device) => this.#add(name, device),
      );
      this.tablet = tablet;
      this.pci.attach(slot++, 0, pci);
    }
    if (config.virtioConsole) {
      this.virtioConsole = new VirtioConsole({
        memory: ram,
        output: config.virtioConsole,
        inputTaken: wiring.consoleRoom,
      });
      plug("virtio-console", this.virtioConsole);
    }
    plug("virtio-rng", new VirtioRng({ memory: ram, random: wiring.random }));
    plug("virtio-balloon", new VirtioBalloon({ memory: ram, release: wiring.release }));
    this.reset();
  }

  #add<D extends Device<object>>(name: string, device: D): D {
    this.devices.set(name, device);
    return device;
  }

  /** Port that the power management's registers begin at, undefined while they are nowhere. */
  get powerBase(): number | undefined {
    return this.#powerFunction.base;
  }

  reset(): void {
    for (const device of this.devices.values()) device.reset();
  }

  #moveLocalApic(base: number | undefined): void {
    if (this.#localApicRange) this.memory.unmap(this.#localApicRange);
    this.#localApicRange =
      base === undefined
        ? undefined
        : this.memory.map(guestPhysical(base), LOCAL_APIC_LENGTH, this.localApic, "local APIC");
  }
}
