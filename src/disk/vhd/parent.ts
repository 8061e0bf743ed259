/** The names by which a differencing VHD image knows its parent. @spec "Parent Locator Entries" */
import { byteOffset } from "../../bits/units.ts";
import type { ByteStore } from "../byte-store.ts";
import { DynamicHeader, LOCATORS, Locator, Platform } from "./layout.ts";

const MOST_NAME = 4096;

/** Those that can be looked for here, the best first, with slashes. */
export async function parentNames(store: ByteStore, header: Uint8Array): Promise<string[]> {
  const { locators, parentName } = DynamicHeader.at(header);
  const found: { rank: number; name: string }[] = [];
  for (let i = 0; i < LOCATORS; i++) {
    const { platform, dataLength, dataOffset } = Locator.at(locators, i * Locator.size);
    const isRelative = platform === Platform.windowsRelative;
    if (!isRelative && platform !== Platform.windowsAbsolute && platform !== Platform.macUrl) continue;
    if (dataLength > MOST_NAME || dataOffset + BigInt(dataLength) > BigInt(store.size)) continue;
    const bytes = new Uint8Array(dataLength);
    await store.read(byteOffset(Number(dataOffset)), bytes);
    if (platform === Platform.macUrl) {
      const url = String.fromCharCode(...bytes);
      found.push({ rank: 1, name: url.replace(/^file:\/\/(localhost)?/, "") });
    } else found.push({ rank: isRelative ? 0 : 2, name: utf16(bytes, true) });
  }
  // Its own name field has no path, or the one of another host.
  const plain = utf16(parentName, false);
  found.push({ rank: 3, name: plain }, { rank: 4, name: plain.replace(/^.*[\\/]/, "") });
  const names = found.sort((a, b) => a.rank - b.rank).map(({ name }) => name.replaceAll("\\", "/"));
  return [...new Set(names)].filter((name) => name !== "" && !name.includes("\0"));
}

function utf16(bytes: Uint8Array, littleEndian: boolean): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let text = "";
  for (let at = 0; at + 2 <= bytes.length; at += 2) {
    const unit = view.getUint16(at, littleEndian);
    if (unit === 0) break;
    text += String.fromCharCode(unit);
  }
  return text;
}
