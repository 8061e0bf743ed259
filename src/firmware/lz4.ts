/**
 * Unpacks the legacy format of `lz4 -l`, in which Linux kernels are packed: a magic number, then blocks of up to 8 MiB,
 * each behind its packed size, none of which needs the others.
 *
 * @spec lz4 doc/lz4_Frame_format.md, "Legacy frame"; doc/lz4_Block_format.md
 */

const MAGIC = 0x184c_2102;
const BLOCK = 8 * 1024 * 1024;
/** A length of 4 bits that has all of them set goes on in bytes, up to one that is not 255. */
const LONG = 15;
const SHORTEST_MATCH = 4;
/** Short runs are copied in whole words, up to so many bytes more than they have. */
const SLACK = 64;

interface Block {
  readonly input: Uint8Array;
  readonly inputWords: DataView;
  readonly output: Uint8Array;
  readonly outputWords: DataView;
}

/** Unpacks into `output`; false where `input` is not in this format, or does not fill `output` exactly. */
export function unpackLz4Legacy(input: Uint8Array, output: Uint8Array): boolean {
  const words = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const size = output.length;
  const block: Block = { input, inputWords: words(input), output, outputWords: words(output) };
  if (input.length < 4 || block.inputWords.getUint32(0, true) !== MAGIC) return false;
  let [from, to] = [4, 0];
  while (from + 4 <= input.length) {
    const word = block.inputWords.getUint32(from, true);
    from += 4;
    // Archives may be strung together.
    if (word === MAGIC) continue;
    if (word > input.length - from) return false;
    to = unpackBlock(block, from, from + word, to, Math.min(to + BLOCK, size));
    if (to < 0) return false;
    from += word;
  }
  return from === input.length && to === size;
}

/**
 * Unpacks the bytes from `from` to `end` of the input to `start` of the output, up to `limit` at the most. Returns the
 * end of what it wrote, or -1 where the input is no block that fits.
 */
function unpackBlock(
  { input, inputWords, output, outputWords }: Block,
  from: number,
  end: number,
  start: number,
  limit: number,
): number {
  // The bounds that make every access valid are in these conditions alone: each typed array would hold its own, too,
  // but read bytes beyond them as undefined.
  const roomyInput = end - SLACK;
  const roomyOutput = limit - SLACK;
  let to = start;
  for (;;) {
    if (from >= end) return -1;
    const token = input[from++] as number;
    let literals = token >>> 4;
    let length = token & 0xf;
    if (literals < LONG && from <= roomyInput && to <= roomyOutput) {
      outputWords.setBigUint64(to, inputWords.getBigUint64(from, true), true);
      outputWords.setBigUint64(to + 8, inputWords.getBigUint64(from + 8, true), true);
      from += literals;
      to += literals;
      const distance = inputWords.getUint16(from, true);
      const source = to - distance;
      if (length < LONG && distance >= 8 && source >= start) {
        from += 2;
        outputWords.setBigUint64(to, outputWords.getBigUint64(source, true), true);
        outputWords.setBigUint64(to + 8, outputWords.getBigUint64(source + 8, true), true);
        outputWords.setUint16(to + 16, outputWords.getUint16(source + 16, true), true);
        to += length + SHORTEST_MATCH;
        continue;
      }
    } else {
      if (literals === LONG) {
        let more: number;
        do {
          if (from >= end) return -1;
          more = input[from++] as number;
          literals += more;
        } while (more === 255);
      }
      if (literals > end - from || literals > limit - to) return -1;
      if (literals < SLACK) for (let i = 0; i < literals; i++) output[to + i] = input[from + i] as number;
      else output.set(input.subarray(from, from + literals), to);
      from += literals;
      to += literals;
      // A block ends with literals.
      if (from === end) return to;
      if (from + 2 > end) return -1;
    }
    const distance = inputWords.getUint16(from, true);
    from += 2;
    if (length === LONG) {
      let more: number;
      do {
        if (from >= end) return -1;
        more = input[from++] as number;
        length += more;
      } while (more === 255);
    }
    length += SHORTEST_MATCH;
    let source = to - distance;
    if (distance === 0 || source < start || length > limit - to) return -1;
    const stop = to + length;
    if (distance >= 8 && stop <= roomyOutput) {
      for (; to < stop; to += 8, source += 8) {
        outputWords.setBigUint64(to, outputWords.getBigUint64(source, true), true);
      }
      to = stop;
    } else {
      while (to < stop) output[to++] = output[source++] as number;
    }
  }
}
