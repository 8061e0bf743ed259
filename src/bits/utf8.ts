/** Texts in images and packets. The portable code has no TextDecoder. */

/** Each byte up to the first zero as a character. */
export function latin1(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  let text = "";
  for (const byte of end < 0 ? bytes : bytes.subarray(0, end)) text += String.fromCharCode(byte);
  return text;
}

/** UTF-8; what is none is taken byte by byte. */
export function decodeUtf8(bytes: Uint8Array): string {
  let escaped = "";
  for (const byte of bytes) escaped += `%${byte.toString(16).padStart(2, "0")}`;
  try {
    return decodeURIComponent(escaped);
  } catch {
    return latin1(bytes);
  }
}

export function encodeUtf8(text: string): Uint8Array {
  const escaped = encodeURIComponent(text.toWellFormed());
  return Uint8Array.from(escaped.match(/%..|./g) ?? [], (unit) =>
    unit.startsWith("%") ? Number.parseInt(unit.slice(1), 16) : unit.charCodeAt(0),
  );
}
