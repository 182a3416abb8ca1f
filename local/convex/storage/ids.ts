import { randomBytes } from 'node:crypto';

/** Convex's alphabet: base 32 in ASCII order, without i, l, o and u. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const SHAPE = /^[0-9a-hjkmnp-tv-z]{32}$/;
const TABLE_DIGITS = 3;
const TIME_DIGITS = 9;
const RANDOM_DIGITS = 17;
const CHECK_DIGITS = 3;

/** Highest number a table can have. */
export const MAX_TABLE_NUMBER = 32 ** TABLE_DIGITS - 1;

/**
 * A new document id: table number, milliseconds (so that new documents lie side by side on disk),
 * 85 random bits, and a checksum that tells an id from any other string of 32 letters.
 */
export function makeId(tableNumber: number, millis: number): string {
  let id = digits(tableNumber, TABLE_DIGITS) + digits(millis, TIME_DIGITS);
  for (const byte of randomBytes(RANDOM_DIGITS)) id += ALPHABET[byte & 31];
  return id + checksum(id);
}

/** Number of the table an id belongs to, undefined when the text is no id. */
export function tableNumberOf(id: string): number | undefined {
  if (!SHAPE.test(id) || checksum(id.slice(0, -CHECK_DIGITS)) !== id.slice(-CHECK_DIGITS)) return undefined;
  let number = 0;
  for (const digit of id.slice(0, TABLE_DIGITS)) number = number * 32 + ALPHABET.indexOf(digit);
  return number;
}

function digits(value: number, count: number): string {
  let text = '';
  for (let rest = value, at = 0; at < count; at++, rest = Math.floor(rest / 32)) text = ALPHABET[rest % 32] + text;
  return text;
}

function checksum(text: string): string {
  let low = 1;
  let high = 0;
  for (let at = 0; at < text.length; at++) {
    low = (low + text.charCodeAt(at)) % 181;
    high = (high + low) % 181;
  }
  return digits(high * 181 + low, CHECK_DIGITS);
}
