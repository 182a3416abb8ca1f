import type { Key } from './index-key.ts';
import type { Reader } from './storage.ts';
import { META } from './tables.ts';

/** Who asked for a mutation: a client repeats the same pair after a reconnect. */
export interface RequestId {
  readonly session: string;
  readonly request: number;
}

/** What a mutation answered the first time. */
export interface Answer {
  readonly timestamp: bigint;
  readonly value: string;
}

const BY_REQUEST = `${META}request/`;
const BY_TIME = `${META}requested/`;
/** A client that was away longer than this may see its mutation run twice. */
const KEPT_NANOSECONDS = 24n * 3600n * 1_000_000_000n;
const PRUNED_AT_ONCE = 4;

/** The answer given before, when the request was committed before. */
export function findAnswer(reader: Reader, id: RequestId): Answer | undefined {
  const text = reader.get(requestKey(id));
  if (text === undefined) return undefined;
  const space = text.indexOf(' ');
  return { timestamp: BigInt(text.slice(0, space)), value: text.slice(space + 1) };
}

/** Entries that keep an answer, to be written with its commit; with them go some that are too old. */
export function answerEntries(reader: Reader, id: RequestId, answer: Answer): [Key, string | null][] {
  const key = requestKey(id);
  const entries: [Key, string | null][] = [
    [key, `${answer.timestamp} ${answer.value}`],
    [timeKey(answer.timestamp), key],
  ];
  const old = { lower: BY_TIME, upper: timeKey(answer.timestamp - KEPT_NANOSECONDS) };
  for (const oldTime of reader.keys(old, false, PRUNED_AT_ONCE)) {
    entries.push([oldTime, null], [reader.get(oldTime) ?? oldTime, null]);
  }
  return entries;
}

function requestKey({ session, request }: RequestId): Key {
  return `${BY_REQUEST}${session}/${request}`;
}

function timeKey(timestamp: bigint): Key {
  return BY_TIME + timestamp.toString().padStart(20, '0');
}
