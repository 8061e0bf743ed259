/** What a guest shows, as viewers see it: screenshots, an RFB server, a page. Read between slices of guest time. */

/** Pixels of 32 bits, 0x00RRGGBB, row by row without gaps. */
export interface Surface {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint32Array;
}

/** A part of a picture, in pixels. */
export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface DisplaySource {
  /** Size of the picture now, in pixels; a guest may change it at any time. */
  readonly size: { readonly width: number; readonly height: number };
  /**
   * Draws into `surface`, which has the present size, what has changed since it was last drawn into (all of it where it is a
   * new one), and returns those parts; none where nothing changed. Each viewer has a surface of its own.
   */
  draw(surface: Surface): readonly Rectangle[];
  /** The characters on the screen, a string a row, in a text mode; undefined in a graphics mode. */
  text(): readonly string[] | undefined;
}
