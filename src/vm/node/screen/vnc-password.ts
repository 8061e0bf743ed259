/**
 * VNC authentication: the viewer encrypts random bytes with the password. Only its first eight characters count.
 *
 * @spec RFC 6143 §7.2.2
 */
import { createCipheriv, randomBytes, timingSafeEqual } from "node:crypto";
import type { PasswordCheck } from "../../rfb/session.ts";

const KEY_BYTES = 8;
const CHALLENGE_BYTES = 16;

export class VncPassword implements PasswordCheck {
  readonly #key: Uint8Array;

  constructor(password: string) {
    const key = new Uint8Array(KEY_BYTES);
    key.set(Buffer.from(password, "latin1").subarray(0, KEY_BYTES));
    this.#key = key.map(reversed);
  }

  challenge(): Uint8Array {
    return randomBytes(CHALLENGE_BYTES);
  }

  matches(challenge: Uint8Array, response: Uint8Array): boolean {
    const expected = encrypt(this.#key, challenge);
    return response.length === expected.length && timingSafeEqual(response, expected);
  }
}

/** DES, which OpenSSL no longer offers: triple DES, whose three keys are the same, is the same. */
function encrypt(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  const cipher = createCipheriv("des-ede3", Buffer.concat([key, key, key]), null).setAutoPadding(false);
  return Buffer.concat([cipher.update(bytes), cipher.final()]);
}

/** VNC takes the bits of a key's bytes the other way round. */
function reversed(byte: number): number {
  let result = 0;
  for (let bit = 0; bit < 8; bit++) result |= ((byte >> bit) & 1) << (7 - bit);
  return result;
}
