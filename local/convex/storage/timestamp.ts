/**
 * Gives commits their timestamps (nanoseconds of the wall clock, always rising, across restarts too)
 * and documents their creation times (milliseconds, always rising, with a fraction when several fall into one).
 */
export interface Clock {
  /** Timestamp of the latest commit, or of the start. */
  readonly latest: bigint;
  next(): bigint;
  creationTime(): number;
}

/** A power of two that a double still resolves at today's milliseconds. */
const CREATION_STEP = 1 / 1024;

/** A clock that goes on after `last`, the highest timestamp ever handed out. */
export function startClock(last: bigint): Clock {
  let latest = last;
  let created = Number(last / 1_000_000n);
  const next = () => {
    const now = BigInt(Date.now()) * 1_000_000n;
    latest = now > latest ? now : latest + 1n;
    return latest;
  };
  next();
  return {
    get latest() {
      return latest;
    },
    next,
    creationTime() {
      created = Math.max(Date.now(), created + CREATION_STEP);
      return created;
    },
  };
}

/** The form of a timestamp on the wire: base64 of a little-endian u64. */
export function encodeTimestamp(timestamp: bigint): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(timestamp);
  return bytes.toString('base64');
}

/** A timestamp from the wire, undefined when it is none. */
export function decodeTimestamp(text: string): bigint | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === 8 ? bytes.readBigUInt64LE() : undefined;
}
