import { AppError } from '#errors';
import type { ByteRange } from './store.ts';

/** Throws `RANGE_NOT_SATISFIABLE` for a range that is none; stores answer such a one with all there is. */
export function assertRange(range: ByteRange): void {
  if (range.start >= 0 && range.start <= range.end) return;
  throw new AppError('RANGE_NOT_SATISFIABLE', 'The range ends before it starts.', { details: { ...range } });
}

/** `range` cut to an object of `size` bytes, as HTTP does. Throws `RANGE_NOT_SATISFIABLE` when none of it is inside. */
export function cutRange(range: ByteRange, size: number): ByteRange {
  assertRange(range);
  if (range.start < size) return { start: range.start, end: Math.min(range.end, size - 1) };
  throw new AppError('RANGE_NOT_SATISFIABLE', `The object has ${size} bytes.`, { details: { ...range, size } });
}
