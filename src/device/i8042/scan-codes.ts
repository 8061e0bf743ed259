/**
 * Scan codes of the 101 to 106-key PC keyboards and of the later multimedia keys. Keys go by the names of
 * `KeyboardEvent.code` in UI Events, which tell a key's place and not what is printed on it. Set 1 is not
 * listed: it is set 2 seen through the controller's translation.
 *
 * @spec IBM Personal System/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device
 * Controller" (sets 1, 2, 3); Microsoft "Keyboard Scan Code Specification" 1.3a (Windows and multimedia keys)
 */

/** A set 2 code with this bit has the prefix E0. */
export const EXTENDED = 0x100;

export interface ScanCodes {
  /** Set 2, with `EXTENDED` where it has the prefix E0; Pause and PrintScreen are sequences of their own. */
  readonly set2: number;
  /** Set 3, 0 for keys that have no code there. */
  readonly set3: number;
}

// One row a key: name, set 2, set 3, both hexadecimal.
const TABLE = `
Escape 76 08, F1 05 07, F2 06 0f, F3 04 17, F4 0c 1f, F5 03 27, F6 0b 2f, F7 83 37, F8 0a 3f, F9 01 47, F10 09 4f,
F11 78 56, F12 07 5e, PrintScreen 17c 57, ScrollLock 7e 5f, Pause 177 62,
Backquote 0e 0e, Digit1 16 16, Digit2 1e 1e, Digit3 26 26, Digit4 25 25, Digit5 2e 2e, Digit6 36 36, Digit7 3d 3d,
Digit8 3e 3e, Digit9 46 46, Digit0 45 45, Minus 4e 4e, Equal 55 55, IntlYen 6a 5d, Backspace 66 66,
Tab 0d 0d, KeyQ 15 15, KeyW 1d 1d, KeyE 24 24, KeyR 2d 2d, KeyT 2c 2c, KeyY 35 35, KeyU 3c 3c, KeyI 43 43, KeyO 44 44,
KeyP 4d 4d, BracketLeft 54 54, BracketRight 5b 5b, Backslash 5d 5c,
CapsLock 58 14, KeyA 1c 1c, KeyS 1b 1b, KeyD 23 23, KeyF 2b 2b, KeyG 34 34, KeyH 33 33, KeyJ 3b 3b, KeyK 42 42,
KeyL 4b 4b, Semicolon 4c 4c, Quote 52 52, Enter 5a 5a,
ShiftLeft 12 12, IntlBackslash 61 13, KeyZ 1a 1a, KeyX 22 22, KeyC 21 21, KeyV 2a 2a, KeyB 32 32, KeyN 31 31,
KeyM 3a 3a, Comma 41 41, Period 49 49, Slash 4a 4a, IntlRo 51 51, ShiftRight 59 59,
ControlLeft 14 11, MetaLeft 11f 8b, AltLeft 11 19, NonConvert 67 85, Space 29 29, Convert 64 86, KanaMode 13 87,
AltRight 111 39, MetaRight 127 8c, ContextMenu 12f 8d, ControlRight 114 58,
Insert 170 67, Home 16c 6e, PageUp 17d 6f, Delete 171 64, End 169 65, PageDown 17a 6d,
ArrowUp 175 63, ArrowLeft 16b 61, ArrowDown 172 60, ArrowRight 174 6a,
NumLock 77 76, NumpadDivide 14a 77, NumpadMultiply 7c 7e, NumpadSubtract 7b 84, Numpad7 6c 6c, Numpad8 75 75,
Numpad9 7d 7d, NumpadAdd 79 7c, Numpad4 6b 6b, Numpad5 73 73, Numpad6 74 74, Numpad1 69 69, Numpad2 72 72,
Numpad3 7a 7a, NumpadEnter 15a 79, Numpad0 70 70, NumpadDecimal 71 71, NumpadComma 6d 00,
Power 137 00, Sleep 13f 00, WakeUp 15e 00, AudioVolumeMute 123 00, AudioVolumeDown 121 00, AudioVolumeUp 132 00,
MediaPlayPause 134 00, MediaStop 13b 00, MediaTrackPrevious 115 00, MediaTrackNext 14d 00, MediaSelect 150 00,
LaunchMail 148 00, LaunchApp1 140 00, LaunchApp2 12b 00, BrowserSearch 110 00, BrowserHome 13a 00,
BrowserBack 138 00, BrowserForward 130 00, BrowserStop 128 00, BrowserRefresh 120 00, BrowserFavorites 118 00`;

/** Every key by its name. */
export const KEYS: ReadonlyMap<string, ScanCodes> = new Map(
  TABLE.split(",").map((row) => {
    const [name = "", set2 = "", set3 = ""] = row.trim().split(" ");
    return [name, { set2: Number.parseInt(set2, 16), set3: Number.parseInt(set3, 16) }];
  }),
);

/**
 * Set 2 to set 1 as the controller translates it, for bytes 00 to 7F. Bytes from 80 up stay, but for 83
 * (F7) and 84 (SysRq).
 */
const TRANSLATION = `
ff 43 41 3f 3d 3b 3c 58 64 44 42 40 3e 0f 29 59 65 38 2a 70 1d 10 02 5a 66 71 2c 1f 1e 11 03 5b
67 2e 2d 20 12 05 04 5c 68 39 2f 21 14 13 06 5d 69 31 30 23 22 15 07 5e 6a 72 32 24 16 08 09 5f
6b 33 25 17 18 0b 0a 60 6c 34 35 26 27 19 0c 61 6d 73 28 74 1a 0d 62 6e 3a 36 1c 1b 75 2b 63 76
55 56 77 78 79 7a 0e 7b 7c 4f 7d 4b 47 7e 7f 6f 52 53 50 4c 4d 48 01 45 57 4e 51 4a 37 49 46 54`;

const TO_SET1 = Uint8Array.from({ length: 256 }, (_, byte) => byte);
TO_SET1.set(
  TRANSLATION.trim()
    .split(/\s+/)
    .map((code) => Number.parseInt(code, 16)),
);
TO_SET1[0x83] = 0x41;
TO_SET1[0x84] = 0x54;

/** What a byte of the keyboard in set 2 is in set 1; the break prefix F0 is the caller's affair. */
export const translate = (byte: number): number => TO_SET1[byte & 0xff] ?? 0;
