/**
 * A viewer for tests, written from RFC 6143 and sharing no code with the server: it talks over any stream of bytes and
 * keeps the picture as it is told.
 */
import { createCipheriv } from "node:crypto";
import type { Duplex } from "node:stream";
import { constants, createInflate, type Inflate } from "node:zlib";

export class RfbClient {
  readonly #stream: Duplex;
  #buffer = Buffer.alloc(0);
  #wake: () => void = () => {};
  #ended = false;
  readonly #inflate: Inflate = createInflate({ finishFlush: constants.Z_SYNC_FLUSH });
  width = 0;
  height = 0;
  name = "";
  /** 0x00RRGGBB. */
  picture = new Uint32Array(0);
  /** Encodings of the rectangles that came. */
  readonly seen: number[] = [];
  leds = -1;
  /** The server wants motion of the pointer, not places. */
  sendsMotion = false;
  bytes = 0;
  /** Bytes of a pixel as the client asked for it, and what makes a colour of it. */
  #pixelBytes = 4;
  #colour = (value: number) => value & 0xffffff;
  #compactBytes = 3;
  #compactFrom = 0;
  colourMap: number[] = [];

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on("data", (bytes: Buffer) => {
      this.bytes += bytes.length;
      this.#buffer = Buffer.concat([this.#buffer, bytes]);
      this.#wake();
    });
    for (const event of ["close", "end", "error"]) {
      stream.on(event, () => {
        this.#ended = true;
        this.#wake();
      });
    }
  }

  /** Rejects where the server hangs up before. */
  async read(count: number): Promise<Buffer> {
    while (this.#buffer.length < count) {
      if (this.#ended) throw new Error(`the server hung up, ${this.#buffer.length} of ${count} bytes`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const bytes = this.#buffer.subarray(0, count);
    this.#buffer = this.#buffer.subarray(count);
    return bytes;
  }

  write(...parts: (Buffer | Uint8Array | number[])[]): void {
    this.#stream.write(Buffer.concat(parts.map((part) => Buffer.from(part))));
  }

  /** Shakes hands in one version of the protocol; rejects with the server's reason. */
  async open({ version = "003.008", password = "" } = {}): Promise<void> {
    if ((await this.read(12)).toString("latin1") !== "RFB 003.008\n") throw new Error("not an RFB 3.8 server");
    this.write(Buffer.from(`RFB ${version}\n`));
    let type: number;
    if (version === "003.003") type = (await this.read(4)).readUInt32BE(0);
    else {
      const [count = 0] = await this.read(1);
      const types = [...(await this.read(count))];
      type = types[0] as number;
      this.write([type]);
    }
    if (type === 2) this.write(answer(await this.read(16), password));
    if (type === 2 || version === "003.008") {
      const result = (await this.read(4)).readUInt32BE(0);
      if (result !== 0) {
        if (version !== "003.008") throw new Error("refused");
        const length = (await this.read(4)).readUInt32BE(0);
        throw new Error((await this.read(length)).toString());
      }
    }
    this.write([1]);
    const init = await this.read(24);
    this.width = init.readUInt16BE(0);
    this.height = init.readUInt16BE(2);
    this.picture = new Uint32Array(this.width * this.height);
    this.name = (await this.read(init.readUInt32BE(20))).toString();
  }

  setEncodings(...encodings: number[]): void {
    const message = Buffer.alloc(4 + 4 * encodings.length);
    message[0] = 2;
    message.writeUInt16BE(encodings.length, 2);
    encodings.forEach((encoding, i) => message.writeInt32BE(encoding, 4 + 4 * i));
    this.write(message);
  }

  /** Asks for pixels of 16 bits, 5-6-5, in either order of bytes; of 8 bits of a colour map; or of 32 the other way. */
  setPixelFormat(kind: "565" | "565-big" | "map" | "bgr-big"): void {
    const formats = {
      "565": [16, 16, 0, 1, 0, 31, 0, 63, 0, 31, 11, 5, 0],
      "565-big": [16, 16, 1, 1, 0, 31, 0, 63, 0, 31, 11, 5, 0],
      map: [8, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      "bgr-big": [32, 24, 1, 1, 0, 255, 0, 255, 0, 255, 8, 16, 24],
    };
    this.write([0, 0, 0, 0], formats[kind], [0, 0, 0]);
    const big = kind.endsWith("-big");
    this.#pixelBytes = kind === "map" ? 1 : kind === "bgr-big" ? 4 : 2;
    this.#compactBytes = kind === "bgr-big" ? 3 : this.#pixelBytes;
    this.#compactFrom = kind === "bgr-big" ? 1 : 0;
    const swap = (value: number) => (big ? ((value & 0xff) << 8) | (value >> 8) : value);
    if (kind === "map") this.#colour = (value) => this.colourMap[value] as number;
    else if (kind === "bgr-big") {
      // The bytes blue, green, red, and one that is unused, read from the lowest up.
      this.#colour = (value) => ((value & 0xff) | (value & 0xff00) | (value & 0xff0000)) >>> 0;
    } else {
      this.#colour = (value) => {
        const pixel = swap(value);
        const part = (shift: number, max: number) => Math.round((((pixel >> shift) & max) * 255) / max);
        return (part(11, 31) << 16) | (part(5, 63) << 8) | part(0, 31);
      };
    }
  }

  request(incremental: boolean, x = 0, y = 0, width = this.width, height = this.height): void {
    const message = Buffer.alloc(10);
    message[0] = 3;
    message[1] = Number(incremental);
    [x, y, width, height].forEach((value, i) => message.writeUInt16BE(value, 2 + 2 * i));
    this.write(message);
  }

  key(keysym: number, down: boolean): void {
    const message = Buffer.alloc(8);
    message[0] = 4;
    message[1] = Number(down);
    message.writeUInt32BE(keysym, 4);
    this.write(message);
  }

  extendedKey(scanCode: number, keysym: number, down: boolean): void {
    const message = Buffer.alloc(12);
    message[0] = 255;
    message.writeUInt16BE(Number(down), 2);
    message.writeUInt32BE(keysym, 4);
    message.writeUInt32BE(scanCode, 8);
    this.write(message);
  }

  pointer(mask: number, x: number, y: number, ...extra: number[]): void {
    this.write([5, mask, x >> 8, x & 255, y >> 8, y & 255, ...extra]);
  }

  /** Takes the next update; returns the encodings of its rectangles. */
  async update(): Promise<number[]> {
    let [type] = await this.read(1);
    if (type === 1) {
      const head = await this.read(5);
      const count = head.readUInt16BE(3);
      const entries = await this.read(6 * count);
      this.colourMap = Array.from({ length: count }, (_, i) =>
        [0, 2, 4].reduce((colour, at) => colour * 256 + (entries[6 * i + at] as number), 0),
      );
      [type] = await this.read(1);
    }
    if (type !== 0) throw new Error(`message ${type}`);
    const count = (await this.read(3)).readUInt16BE(1);
    const encodings: number[] = [];
    for (let i = 0; i < count; i++) {
      const head = await this.read(12);
      const [x, y, width, height] = [0, 2, 4, 6].map((at) => head.readUInt16BE(at)) as [number, number, number, number];
      const encoding = head.readInt32BE(8);
      encodings.push(encoding);
      if (encoding === 0) await this.#raw(x, y, width, height);
      else if (encoding === 16) await this.#zrle(x, y, width, height);
      else if (encoding === -223) {
        this.width = width;
        this.height = height;
        this.picture = new Uint32Array(width * height);
      } else if (encoding === -261) [this.leds = -1] = await this.read(1);
      else if (encoding === -257) this.sendsMotion = x === 0;
      else if (![-258, -316].includes(encoding)) throw new Error(`encoding ${encoding}`);
    }
    this.seen.push(...encodings);
    return encodings;
  }

  #set(x: number, y: number, value: number): void {
    if (x >= this.width || y >= this.height) throw new Error(`pixel ${x},${y} is outside`);
    this.picture[y * this.width + x] = this.#colour(value);
  }

  async #raw(left: number, top: number, width: number, height: number): Promise<void> {
    const bytes = await this.read(width * height * this.#pixelBytes);
    for (let i = 0; i < width * height; i++) {
      const at = i * this.#pixelBytes;
      let value = bytes.readUIntLE(at, this.#pixelBytes);
      if (this.#compactFrom) value = Math.floor(bytes.readUInt32BE(at) / 256);
      if (this.#compactFrom) value = ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16);
      this.#set(left + (i % width), top + Math.floor(i / width), value);
    }
  }

  async #zrle(left: number, top: number, width: number, height: number): Promise<void> {
    const packed = await this.read((await this.read(4)).readUInt32BE(0));
    const bytes = await this.#unpack(packed);
    let at = 0;
    const pixel = () => {
      const size = this.#compactBytes;
      const value = this.#compactFrom ? swapThree(bytes.readUIntBE(at, 3)) : bytes.readUIntLE(at, size);
      at += size;
      return value;
    };
    const length = () => {
      let sum = 1;
      for (; bytes[at] === 255; at++) sum += 255;
      return sum + (bytes[at++] as number);
    };
    for (let y = 0; y < height; y += 64) {
      for (let x = 0; x < width; x += 64) {
        const columns = Math.min(64, width - x);
        const rows = Math.min(64, height - y);
        const put = (i: number, value: number) =>
          this.#set(left + x + (i % columns), top + y + Math.floor(i / columns), value);
        const kind = bytes[at++] as number;
        const palette = Array.from({ length: kind > 128 ? kind - 128 : kind < 128 ? kind : 0 }, pixel);
        if (kind === 0) for (let i = 0; i < columns * rows; i++) put(i, pixel());
        else if (kind === 1) for (let i = 0; i < columns * rows; i++) put(i, palette[0] as number);
        else if (kind <= 16) {
          const bits = kind === 2 ? 1 : kind <= 4 ? 2 : 4;
          for (let row = 0; row < rows; row++) {
            for (let column = 0; column < columns; column++) {
              const bit = column * bits;
              const byte = bytes[at + (bit >> 3)] as number;
              put(row * columns + column, palette[(byte >> (8 - bits - (bit & 7))) & ((1 << bits) - 1)] as number);
            }
            at += Math.ceil((columns * bits) / 8);
          }
        } else if (kind === 128) {
          for (let i = 0; i < columns * rows; ) {
            const value = pixel();
            for (let rest = length(); rest > 0; rest--) put(i++, value);
          }
        } else if (kind >= 130) {
          for (let i = 0; i < columns * rows; ) {
            const index = bytes[at++] as number;
            const run = index & 128 ? length() : 1;
            for (let rest = run; rest > 0; rest--) put(i++, palette[index & 127] as number);
          }
        } else throw new Error(`ZRLE kind ${kind}`);
      }
    }
    if (at !== bytes.length) throw new Error(`ZRLE: ${bytes.length - at} bytes too many`);
  }

  #unpack(packed: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const parts: Buffer[] = [];
      const take = (bytes: Buffer) => parts.push(bytes);
      this.#inflate.on("data", take).once("error", reject);
      this.#inflate.write(packed);
      this.#inflate.flush(constants.Z_SYNC_FLUSH, () => {
        this.#inflate.off("data", take).off("error", reject);
        resolve(Buffer.concat(parts));
      });
    });
  }
}

const swapThree = (value: number) => ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16);

/** The password's bytes, bits reversed, are the key of DES. */
function answer(challenge: Buffer, password: string): Buffer {
  const key = Buffer.alloc(8);
  for (let i = 0; i < 8 && i < password.length; i++) {
    const bits = password.charCodeAt(i).toString(2).padStart(8, "0");
    key[i] = Number.parseInt([...bits].reverse().join(""), 2);
  }
  const cipher = createCipheriv("des-ede3", Buffer.concat([key, key, key]), null).setAutoPadding(false);
  return Buffer.concat([cipher.update(challenge), cipher.final()]);
}
