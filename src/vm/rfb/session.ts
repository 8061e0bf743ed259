/**
 * One viewer of a guest's screen, spoken to in RFB 3.3, 3.7 or 3.8. What a viewer sends is taken to be hostile: it is
 * parsed piece by piece, nothing is kept that it can make large, and it is sent nothing but its updates, one at a time
 * and only as fast as it takes them.
 *
 * @spec RFC 6143; for the pseudo-encodings of QEMU and "Extended Mouse Buttons" the RFB community's description
 *
 * Not spoken: CopyRect, RRE, Hextile, Tight; the Cursor pseudo-encoding (PC graphics have no pointer of their own); cut
 * texts are dropped. Viewers always share the screen, also those that ask to have it alone.
 */
import type { Rectangle } from "../../machine/display.ts";
import type { InputTarget } from "../input/guest-input.ts";
import { Damage } from "../screen/damage.ts";
import type { Frame } from "../screen/frame.ts";
import { ByteWriter } from "./byte-writer.ts";
import { writeRaw, writeZrle } from "./encodings.ts";
import {
  NATIVE,
  PIXEL_FORMAT_BYTES,
  PixelWriter,
  readPixelFormat,
  writeColourMap,
  writePixelFormat,
} from "./pixel-format.ts";
import { ViewerKeys } from "./viewer-keys.ts";
import { ViewerPointer } from "./viewer-pointer.ts";

/** What a session needs of its connection. */
export interface RfbConnection {
  send(bytes: Uint8Array): void;
  /** Bytes that the viewer has not taken yet. */
  readonly waiting: number;
  /** Ends it after what was sent has gone; "refused" where a wrong password should cost time. */
  close(why: "refused" | "broken"): void;
  /** There may be something to send: `update` should be called soon. */
  wantsUpdate(): void;
}

export interface RfbSettings {
  readonly frame: Frame;
  readonly input: InputTarget;
  /** Shown in the title of the viewer's window. */
  readonly name: string;
  /** VNC authentication; none where everyone who can connect may. */
  readonly password?: PasswordCheck;
  /** A new zlib stream. */
  deflater(): Deflater;
}

export interface PasswordCheck {
  /** 16 random bytes. */
  challenge(): Uint8Array;
  matches(challenge: Uint8Array, response: Uint8Array): boolean;
}

/** A zlib stream, whose pieces each end at a byte and can be unpacked at once. */
export interface Deflater {
  deflate(bytes: Uint8Array): Promise<Uint8Array>;
  close(): void;
}

const Security = { none: 1, vnc: 2 } as const;
const Encoding = {
  raw: 0,
  zrle: 16,
  desktopSize: -223,
  pointerMotion: -257,
  extendedKeys: -258,
  ledState: -261,
  mouseButtons: -316,
} as const;
const KNOWN = new Set<number>(Object.values(Encoding));
const Message = {
  setPixelFormat: 0,
  setEncodings: 2,
  updateRequest: 3,
  key: 4,
  pointer: 5,
  cutText: 6,
  qemu: 255,
} as const;

/** Pixels of one update: the rest comes with the next. */
const MOST_PIXELS = 1 << 20;
/** Bytes that may wait to be sent while another update is made. */
const MOST_WAITING = 0x1_0000;
/** A longer cut text is no text. */
const LONGEST_CUT_TEXT = 1 << 20;
const PIECE = 4096;
const WORD = 0x1_0000_0000;

export class RfbSession {
  readonly #settings: RfbSettings;
  readonly #connection: RfbConnection;
  readonly #keys: ViewerKeys;
  readonly #pointer: ViewerPointer;
  readonly #unwatch: () => void;
  readonly #talk: Generator<number, void, Uint8Array>;
  #received: Uint8Array = new Uint8Array(0);
  #needed = 0;
  #isOver = false;
  #isOpen = false;

  #pixels = new PixelWriter(NATIVE);
  #encodings = new Set<number>();
  #colourMapDue = false;
  /** Pseudo-encodings whose confirmation is due. */
  readonly #confirm = new Set<number>();
  readonly #confirmed = new Set<number>();
  /** The picture's size as the viewer knows it. */
  #size: { width: number; height: number };
  #resized = false;
  #damage: Damage;
  /** What the viewer wants to be told of; undefined while it has not asked. */
  #request: Rectangle | undefined;
  #leds = -1;
  /** Whether the viewer was told that pointer motion is relative; undefined before it was told anything. */
  #isRelative: boolean | undefined;
  #deflater: Deflater | undefined;
  #isSending = false;

  constructor(settings: RfbSettings, connection: RfbConnection) {
    this.#settings = settings;
    this.#connection = connection;
    this.#keys = new ViewerKeys(settings.input);
    this.#pointer = new ViewerPointer(settings.input);
    const { width, height } = settings.frame.picture;
    this.#size = { width, height };
    this.#damage = new Damage(width, height);
    this.#unwatch = settings.frame.watch({
      resized: () => this.#onResize(),
      changed: (part) => this.#damage.mark(part),
    });
    this.#talk = this.#conversation();
    this.#needed = this.#talk.next().value ?? 0;
  }

  /** Whether the viewer has shown the password and said hello. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Whether the viewer waits for a change of the picture. */
  get isWatching(): boolean {
    return this.#request !== undefined && !this.#isOver;
  }

  /** Bytes of the viewer. */
  receive(bytes: Uint8Array): void {
    if (this.#isOver) return;
    const all = this.#received.length === 0 ? bytes : concat(this.#received, bytes);
    let at = 0;
    while (!this.#isOver && all.length - at >= this.#needed) {
      const piece = all.subarray(at, at + this.#needed);
      at += this.#needed;
      const { done, value } = this.#talk.next(piece);
      if (done) this.#end("broken");
      else this.#needed = value;
    }
    this.#received = all.slice(at);
  }

  /** Sends what has changed, where the viewer has asked and takes it. Call after the frame was refreshed. */
  async update(): Promise<void> {
    if (this.#isSending || this.#isOver || this.#request === undefined) return;
    if (this.#connection.waiting > MOST_WAITING) return;
    this.#isSending = true;
    try {
      const update = await this.#makeUpdate(this.#request);
      if (update !== undefined && !this.#isOver) this.#connection.send(update);
    } catch (error) {
      // A stream that was closed under way is no loss to a viewer that is gone.
      if (!this.#isOver) throw error;
    } finally {
      this.#isSending = false;
    }
    // What was asked meanwhile.
    if (this.isWatching) this.#connection.wantsUpdate();
  }

  /** The connection is gone. */
  close(): void {
    this.#isOver = true;
    this.#unwatch();
    this.#keys.release();
    this.#pointer.release();
    this.#deflater?.close();
    this.#deflater = undefined;
  }

  #end(why: "refused" | "broken"): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#connection.close(why);
  }

  /** Yields how many bytes it needs next, and is given them. Returns where there is nothing more to say. */
  *#conversation(): Generator<number, void, Uint8Array> {
    this.#send((out) => out.put(ascii("RFB 003.008\n")));
    const greeting = /^RFB 00(\d)\.(\d{3})\n$/.exec(String.fromCharCode(...(yield 12)));
    if (!greeting) return;
    const minor = greeting[1] === "3" ? Number(greeting[2]) : 8;
    if (!(yield* this.#authenticate(minor >= 8 ? 8 : minor === 7 ? 7 : 3))) return;
    // Whether it wants the screen for itself.
    yield 1;
    const { width, height } = this.#settings.frame.picture;
    this.#onResize();
    this.#size = { width, height };
    this.#resized = false;
    this.#send((out) => {
      out.u16(width).u16(height);
      writePixelFormat(out, NATIVE);
      const name = ascii(this.#settings.name);
      out.u32(name.length).put(name);
    });
    this.#isOpen = true;
    for (;;) {
      const [type] = yield 1;
      if (!(yield* this.#message(type as number))) return;
    }
  }

  /** @spec RFC 6143 §7.1.2, §7.2 */
  *#authenticate(minor: 3 | 7 | 8): Generator<number, boolean, Uint8Array> {
    const { password } = this.#settings;
    const kind = password ? Security.vnc : Security.none;
    if (minor === 3) this.#send((out) => out.u32(kind));
    else {
      this.#send((out) => out.u8(1).u8(kind));
      const [chosen] = yield 1;
      if (chosen !== kind) return false;
    }
    let passes = true;
    if (password) {
      const challenge = password.challenge();
      this.#send((out) => out.put(challenge));
      passes = password.matches(challenge, yield 16);
    } else if (minor !== 8) return true;
    this.#send((out) => {
      out.u32(passes ? 0 : 1);
      if (passes || minor !== 8) return;
      const reason = ascii("wrong password");
      out.u32(reason.length).put(reason);
    });
    if (!passes) this.#end("refused");
    return passes;
  }

  /** One message; false where it is none. */
  *#message(type: number): Generator<number, boolean, Uint8Array> {
    switch (type) {
      case Message.setPixelFormat: {
        const format = readPixelFormat((yield 3 + PIXEL_FORMAT_BYTES).subarray(3));
        if (format === undefined) return false;
        this.#pixels = new PixelWriter(format);
        this.#colourMapDue = !format.trueColour;
        return true;
      }
      case Message.setEncodings: {
        const count = u16(yield 3, 1);
        const encodings = new Set<number>();
        for (let i = 0; i < count; i++) {
          const encoding = u32(yield 4, 0) | 0;
          if (KNOWN.has(encoding)) encodings.add(encoding);
        }
        this.#setEncodings(encodings);
        return true;
      }
      case Message.updateRequest: {
        const bytes = yield 9;
        this.#requestUpdate(bytes[0] !== 0, {
          x: u16(bytes, 1),
          y: u16(bytes, 3),
          width: u16(bytes, 5),
          height: u16(bytes, 7),
        });
        return true;
      }
      case Message.key: {
        const bytes = yield 7;
        this.#keys.keysym(u32(bytes, 3), bytes[0] !== 0);
        return true;
      }
      case Message.pointer: {
        const bytes = yield 5;
        const isExtended = this.#confirmed.has(Encoding.mouseButtons);
        const [mask = 0] = bytes;
        const x = u16(bytes, 1);
        const y = u16(bytes, 3);
        const [extra = 0] = isExtended && mask & 0x80 ? yield 1 : [isExtended ? 0 : mask >> 7];
        this.#pointer.event(mask & 0x7f, extra, x, y, this.#isRelative === true, this.#size);
        return true;
      }
      case Message.cutText: {
        let rest = u32(yield 7, 3);
        if (rest > LONGEST_CUT_TEXT) return false;
        for (; rest > 0; rest -= Math.min(rest, PIECE)) yield Math.min(rest, PIECE);
        return true;
      }
      case Message.qemu: {
        const bytes = yield 11;
        if (bytes[0] !== 0) return false;
        this.#keys.scanCode(u32(bytes, 7), u32(bytes, 3), u16(bytes, 1) !== 0);
        return true;
      }
      default:
        return false;
    }
  }

  #setEncodings(encodings: Set<number>): void {
    this.#encodings = encodings;
    for (const encoding of [Encoding.extendedKeys, Encoding.mouseButtons]) {
      if (encodings.has(encoding) && !this.#confirmed.has(encoding)) this.#confirm.add(encoding);
    }
  }

  #requestUpdate(incremental: boolean, part: Rectangle): void {
    if (!incremental) this.#damage.mark(part);
    this.#request = part;
    this.#connection.wantsUpdate();
  }

  #onResize(): void {
    const { width, height } = this.#settings.frame.picture;
    this.#resized = true;
    this.#damage = new Damage(width, height);
    this.#damage.mark({ x: 0, y: 0, width, height });
  }

  /** The next update, undefined where nothing has changed. Takes what it tells out of the damage at once. */
  async #makeUpdate(request: Rectangle): Promise<Uint8Array | undefined> {
    const head = new ByteWriter();
    if (this.#colourMapDue) writeColourMap(head);
    const pseudo = this.#pseudoRectangles();
    const parts = this.#resized ? [] : this.#damage.take(request, MOST_PIXELS);
    if (this.#resized) this.#acceptSize(pseudo);
    const count = pseudo.count + parts.length;
    if (count === 0) return undefined;
    this.#colourMapDue = false;
    this.#request = undefined;
    head.u8(0).u8(0).u16(count).put(pseudo.out.bytes);
    const { picture } = this.#settings.frame;
    if (!this.#encodings.has(Encoding.zrle)) {
      for (const part of parts) writeRaw(rectangle(head, part, Encoding.raw), picture, part, this.#pixels);
      return head.bytes;
    }
    // All is read before the first is packed, as the picture may change meanwhile.
    const plain = parts.map((part) => {
      const out = new ByteWriter(PIECE);
      writeZrle(out, picture, part, this.#pixels);
      return { part, bytes: out.bytes };
    });
    this.#deflater ??= this.#settings.deflater();
    for (const { part, bytes } of plain) {
      const packed = await this.#deflater.deflate(bytes);
      rectangle(head, part, Encoding.zrle).u32(packed.length).put(packed);
    }
    return head.bytes;
  }

  #pseudoRectangles(): { out: ByteWriter; count: number } {
    const out = new ByteWriter();
    const nothing = { x: 0, y: 0, width: 0, height: 0 };
    let count = this.#confirm.size;
    for (const encoding of this.#confirm) {
      rectangle(out, nothing, encoding);
      this.#confirmed.add(encoding);
    }
    this.#confirm.clear();
    const { leds, takesPlaces } = this.#settings.input;
    if (this.#encodings.has(Encoding.ledState) && leds !== this.#leds) {
      rectangle(out, nothing, Encoding.ledState).u8(leds);
      this.#leds = leds;
      count++;
    }
    if (this.#encodings.has(Encoding.pointerMotion) && this.#isRelative !== !takesPlaces) {
      // An x of 0 tells that motion is relative from now on, one of 1 that places are told.
      rectangle(out, { ...nothing, x: takesPlaces ? 1 : 0 }, Encoding.pointerMotion);
      this.#isRelative = !takesPlaces;
      count++;
    }
    return { out, count };
  }

  /** Tells a viewer the picture's new size. One that cannot be told goes on with what of it fits. */
  #acceptSize(pseudo: { out: ByteWriter; count: number }): void {
    this.#resized = false;
    const { width, height } = this.#settings.frame.picture;
    if (this.#encodings.has(Encoding.desktopSize)) {
      this.#size = { width, height };
      rectangle(pseudo.out, { x: 0, y: 0, width, height }, Encoding.desktopSize);
      pseudo.count++;
    } else {
      this.#damage = new Damage(this.#size.width, this.#size.height);
      this.#damage.mark({ x: 0, y: 0, ...this.#size });
    }
  }

  #send(write: (out: ByteWriter) => void): void {
    const out = new ByteWriter();
    write(out);
    this.#connection.send(out.bytes);
  }
}

function rectangle(out: ByteWriter, { x, y, width, height }: Rectangle, encoding: number): ByteWriter {
  return out
    .u16(x)
    .u16(y)
    .u16(width)
    .u16(height)
    .u32((encoding + WORD) % WORD);
}

const u16 = (bytes: Uint8Array, at: number) => ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
const u32 = (bytes: Uint8Array, at: number) => u16(bytes, at) * 0x1_0000 + u16(bytes, at + 2);
const ascii = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0) & 0x7f);

function concat(one: Uint8Array, other: Uint8Array): Uint8Array {
  const all = new Uint8Array(one.length + other.length);
  all.set(one);
  all.set(other, one.length);
  return all;
}
