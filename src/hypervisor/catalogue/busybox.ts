/** What a BusyBox executable can be called as, read from the executable: it may be of a foreign architecture. */

/** The first names of the table, in which names are sorted and end in a zero byte each. */
const TABLE_START = "[\0[[\0";

/** Names of the applets; empty where the file holds no table of them. */
export function busyboxApplets(executable: Uint8Array): string[] {
  const bytes = Buffer.from(executable.buffer, executable.byteOffset, executable.byteLength);
  const names: string[] = [];
  for (let at = bytes.indexOf(TABLE_START, 0, "latin1"); at >= 0; ) {
    const end = bytes.indexOf(0, at);
    const name = bytes.toString("latin1", at, end);
    const last = names.at(-1);
    if (end < 0 || !/^[\w[.+-]+$/.test(name) || (last !== undefined && name <= last)) break;
    names.push(name);
    at = end + 1;
  }
  return names;
}
