/** Sequence numbers of TCP, which count on from 2^32 - 1 with 0. @spec RFC 9293 §3.4 */
import type { Unit } from "../../../bits/units.ts";

export type Sequence = Unit<"Sequence">;

/** `value` as a sequence number, modulo 2^32. */
export const sequence = (value: number): Sequence => (value >>> 0) as Sequence;

/** The number `count` after `start`; a negative count goes back. */
export const plus = (start: Sequence, count: number): Sequence => sequence(start + count);

/** How far it is from `start` to `end`: negative where `end` comes first. Numbers 2^31 or more apart have no order. */
export const distance = (start: Sequence, end: Sequence): number => (end - start) | 0;

export const isAfter = (one: Sequence, other: Sequence): boolean => distance(other, one) > 0;

export const isBefore = (one: Sequence, other: Sequence): boolean => distance(other, one) < 0;
