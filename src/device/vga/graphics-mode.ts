/**
 * Graphics modes: how the shift registers make 8 dots of a word, the four planes' bytes of one address.
 *
 * @spec IBM PS/2 Hardware Interface Technical Reference, Video Subsystem, "Graphics Mode Register", bits 5 and 6
 *
 * Not modelled: 256-colour shifting with the attribute controller set for 16 colours.
 */

/** Draws `count` words of `cache` from `at` on as dots; `row` is the row within characters that the line is. */
export interface WordPainter {
  paint(cache: Int32Array, at: number, count: number, row: number, colours: Uint32Array, dots: Uint32Array): void;
}

/** Four planes of a bit each. */
export const PLANAR_WORDS: WordPainter = {
  paint(cache, at, count, _row, colours, dots) {
    let to = 0;
    for (let i = 0; i < count; i++) {
      const word = cache[at + i]!;
      for (let bit = 7; bit >= 0; bit--) {
        const bits = word >>> bit;
        dots[to++] = colours[(bits & 1) | ((bits >> 7) & 2) | ((bits >> 14) & 4) | ((bits >> 21) & 8)]!;
      }
    }
  },
};

/** Pairs of bits: planes 0 and 2 give the first four dots, planes 1 and 3 the others. */
export const CGA_WORDS: WordPainter = {
  paint(cache, at, count, _row, colours, dots) {
    let to = 0;
    for (let i = 0; i < count; i++) {
      const word = cache[at + i]!;
      for (let half = 0; half <= 8; half += 8) {
        for (let pair = 6; pair >= 0; pair -= 2) {
          const bits = word >>> (half + pair);
          dots[to++] = colours[(bits & 3) | ((bits >> 14) & 0xc)]!;
        }
      }
    }
  },
};

/** Bytes, each two dots wide, the planes in turn. */
export const PACKED_WORDS: WordPainter = {
  paint(cache, at, count, _row, colours, dots) {
    let to = 0;
    for (let i = 0; i < count; i++) {
      const word = cache[at + i]!;
      for (let shift = 0; shift < 32; shift += 8) {
        const colour = colours[(word >>> shift) & 0xff]!;
        dots[to++] = colour;
        dots[to++] = colour;
      }
    }
  },
};
