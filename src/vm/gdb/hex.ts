/** Bytes, numbers and texts as the protocol writes them: in hexadecimal, numbers of registers in little-endian order. */

/** "" for no bytes. */
export function bytesToHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** Undefined where the text is not pairs of hexadecimal digits. */
export function hexToBytes(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(text)) return undefined;
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

/** An address or a count: 1 to 16 digits, most significant first. */
export function parseNumber(text: string | undefined): bigint | undefined {
  return text !== undefined && /^[0-9a-f]{1,16}$/i.test(text) ? BigInt(`0x${text}`) : undefined;
}

/** "ADDRESS,LENGTH", the length at most `most`. */
export function parseRange(text: string, most: number): { address: bigint; length: number } | undefined {
  const [first, second, ...more] = text.split(",");
  const [address, length] = [parseNumber(first), parseNumber(second)];
  if (address === undefined || length === undefined || more.length > 0 || length > BigInt(most)) return undefined;
  return { address, length: Number(length) };
}

/** One character for each byte, as bodies of packets are kept. */
export function bytesToText(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

export function textToBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff);
}

export function textToHex(text: string): string {
  return bytesToHex(textToBytes(text));
}

/** A value of `bytes` bytes in memory order. */
export function littleEndian(value: bigint, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

export function fromLittleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
