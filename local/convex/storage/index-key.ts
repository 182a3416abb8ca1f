import type { JSONValue } from 'convex/values';

/**
 * Keys are bytes held as latin1 strings, one character a byte, so that `<` in JavaScript is byte order in LMDB.
 * Byte order is Convex's order of values: undefined, null, bigint, number, boolean, string, bytes, array, object.
 */
export type Key = string;

/** Keys from `lower` on, below `upper`. */
export interface KeyRange {
  readonly lower: Key;
  readonly upper: Key;
}

const TAG = {
  undefined: '\x01',
  null: '\x02',
  bigint: '\x03',
  number: '\x04',
  false: '\x05',
  true: '\x06',
  string: '\x07',
  bytes: '\x08',
  array: '\x09',
  object: '\x0a',
} as const;

/** Ends arrays and objects: below every tag, so a shorter one sorts first. */
const END = '\x00';
/** Above every tag: `key + AFTER` is past all keys that begin with `key`. */
const AFTER = '\xff';

const cell = Buffer.alloc(8);

/** Encodes a value in Convex's JSON form; `undefined` is a missing field. Self-delimiting, so values concatenate. */
export function encodeValue(value: JSONValue | undefined): Key {
  switch (typeof value) {
    case 'undefined':
      return TAG.undefined;
    case 'boolean':
      return value ? TAG.true : TAG.false;
    case 'number':
      return TAG.number + encodeNumber(value);
    case 'string':
      return TAG.string + terminated(utf8(value));
  }
  if (value === null) return TAG.null;
  if (Array.isArray(value)) return TAG.array + value.map(encodeValue).join('') + END;
  if (typeof value.$integer === 'string') return TAG.bigint + encodeInteger(value.$integer);
  if (typeof value.$float === 'string') {
    return TAG.number + encodeNumber(Buffer.from(value.$float, 'base64').readDoubleLE());
  }
  if (typeof value.$bytes === 'string') {
    return TAG.bytes + terminated(Buffer.from(value.$bytes, 'base64').toString('latin1'));
  }
  const fields = Object.keys(value).sort();
  return TAG.object + fields.map((field) => encodeValue(field) + encodeValue(value[field])).join('') + END;
}

/** The least key greater than every key beginning with `prefix`. */
export function pastPrefix(prefix: Key): Key {
  return prefix + AFTER;
}

/** The least key greater than `key`. */
export function justAfter(key: Key): Key {
  return `${key}\x00`;
}

function encodeNumber(value: number): Key {
  cell.writeDoubleBE(value);
  const negative = (cell[0] ?? 0) >= 0x80;
  if (negative) for (let at = 0; at < 8; at++) cell[at] = ~(cell[at] ?? 0);
  else cell[0] = (cell[0] ?? 0) ^ 0x80;
  return cell.toString('latin1');
}

function encodeInteger(base64: string): Key {
  const bytes = Buffer.from(base64, 'base64').reverse();
  bytes[0] = (bytes[0] ?? 0) ^ 0x80;
  return bytes.toString('latin1');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the range is meant, 7-bit text is its own UTF-8
const ASCII = /^[\x00-\x7f]*$/;

function utf8(text: string): Key {
  return ASCII.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
}

/** A zero inside becomes 00 FF, the end is 00 00: no text is a prefix of another, and order is kept. */
function terminated(bytes: Key): Key {
  return `${bytes.includes('\x00') ? bytes.replaceAll('\x00', '\x00\xff') : bytes}\x00\x00`;
}
