/**
 * The keys of a PC keyboard by all the names that they go by: `KeyboardEvent.code` of UI Events (which the keyboard
 * knows them by), QEMU's names for its `sendkey`, everyday names, and X keysyms as RFB viewers send them. Keys that
 * print something have their keysyms from the layout instead: see layouts.ts.
 *
 * @spec UI Events KeyboardEvent code Values; QEMU QAPI, QKeyCode; X Window System Protocol, appendix A "Keysym Encoding"
 */
import { EXTENDED, KEYS, translate } from "../../device/i8042/scan-codes.ts";

// One row a key: code, names, keysyms in hexadecimal. The first name is QEMU's.
const TABLE = `
Escape esc escape | ff1b
Backquote grave_accent
Minus minus
Equal equal
Backspace backspace | ff08
Tab tab | ff09 fe20
BracketLeft bracket_left
BracketRight bracket_right
Backslash backslash
Enter ret enter return | ff0d
CapsLock caps_lock capslock caps | ffe5
Semicolon semicolon
Quote apostrophe quote
Comma comma
Period dot period
Slash slash
Space spc space
IntlBackslash less
IntlRo ro
IntlYen yen
ShiftLeft shift shift_l | ffe1
ShiftRight shift_r | ffe2
ControlLeft ctrl ctrl_l control | ffe3
ControlRight ctrl_r | ffe4
AltLeft alt alt_l | ffe9
AltRight alt_r altgr | ffea fe03 ff7e
MetaLeft meta_l meta win super | ffe7 ffeb
MetaRight meta_r | ffe8 ffec
ContextMenu compose menu | ff67 ff20
PrintScreen print sysrq printscreen | ff61 ff15
ScrollLock scroll_lock scrolllock | ff14
Pause pause break | ff13 ff6b
Insert insert ins | ff63
Delete delete del | ffff
Home home | ff50
End end | ff57
PageUp pgup pageup | ff55
PageDown pgdn pagedown | ff56
ArrowLeft left | ff51
ArrowUp up | ff52
ArrowRight right | ff53
ArrowDown down | ff54
NumLock num_lock numlock | ff7f
NumpadDivide kp_divide | ffaf
NumpadMultiply kp_multiply asterisk | ffaa
NumpadSubtract kp_subtract | ffad
NumpadAdd kp_add | ffab
NumpadEnter kp_enter | ff8d
NumpadDecimal kp_decimal | ffae ff9f
NumpadComma kp_comma | ffac
Numpad0 kp_0 | ffb0 ff9e
Numpad1 kp_1 | ffb1 ff9c
Numpad2 kp_2 | ffb2 ff99
Numpad3 kp_3 | ffb3 ff9b
Numpad4 kp_4 | ffb4 ff96
Numpad5 kp_5 | ffb5 ff9d
Numpad6 kp_6 | ffb6 ff98
Numpad7 kp_7 | ffb7 ff95
Numpad8 kp_8 | ffb8 ff97
Numpad9 kp_9 | ffb9 ff9a
Convert henkan | ff23
NonConvert muhenkan | ff22
KanaMode katakanahiragana hiragana | ff27
Power power
Sleep sleep
WakeUp wake
AudioVolumeMute audiomute | 1008ff12
AudioVolumeDown volumedown | 1008ff11
AudioVolumeUp volumeup | 1008ff13
MediaPlayPause audioplay | 1008ff14
MediaStop audiostop | 1008ff15
MediaTrackPrevious audioprev | 1008ff16
MediaTrackNext audionext | 1008ff17
MediaSelect mediaselect
LaunchMail mail | 1008ff19
LaunchApp1 computer
LaunchApp2 calculator | 1008ff1d
BrowserSearch find | 1008ff1b
BrowserHome ac_home | 1008ff18
BrowserBack ac_back | 1008ff26
BrowserForward ac_forward | 1008ff27
BrowserStop stop | 1008ff28
BrowserRefresh ac_refresh | 1008ff29
BrowserFavorites ac_bookmarks | 1008ff30`;

const NAMES = new Map<string, string>();
const KEYSYMS = new Map<number, string>();

const FIRST_F_KEYSYM = 0xffbe;
for (let number = 1; number <= 12; number++) {
  NAMES.set(`f${number}`, `F${number}`);
  KEYSYMS.set(FIRST_F_KEYSYM + number - 1, `F${number}`);
}
for (const letter of "abcdefghijklmnopqrstuvwxyz") NAMES.set(letter, `Key${letter.toUpperCase()}`);
for (const digit of "0123456789") NAMES.set(digit, `Digit${digit}`);
for (const row of TABLE.trim().split("\n")) {
  const [keys = "", keysyms = ""] = row.split("|");
  const [code = "", ...names] = keys.trim().split(" ");
  for (const name of names) NAMES.set(name, code);
  for (const keysym of keysyms.trim().split(" ")) if (keysym !== "") KEYSYMS.set(Number.parseInt(keysym, 16), code);
}
for (const code of KEYS.keys()) NAMES.set(code.toLowerCase(), code);

/** The key of a name in any of the ways above, in either case; undefined where there is none. */
export const keyByName = (name: string): string | undefined => NAMES.get(name.toLowerCase());

/** The key of a keysym that prints nothing. */
export const keyByKeysym = (keysym: number): string | undefined => KEYSYMS.get(keysym);

/** Every name that `keyByName` takes. */
export const keyNames = (): string[] => [...NAMES.keys()];

/**
 * Keys by their set 1 code in one byte, bit 7 for the prefix E0: how RFB's QEMU extended key events tell them.
 * Pause is E0 46 there, and PrintScreen with Alt 54.
 */
const SET1 = new Map<number, string>();
for (const [code, { set2 }] of KEYS) {
  if (code !== "Pause") SET1.set((translate(set2 & 0xff) & 0x7f) | (set2 & EXTENDED ? 0x80 : 0), code);
}
SET1.set(0xc6, "Pause");
SET1.set(0x54, "PrintScreen");

/** The key of such a code. */
export const keyBySet1 = (scanCode: number): string | undefined => SET1.get(scanCode);
