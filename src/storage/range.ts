import { AppError } from '#errors';
import type { ByteRange } from './store.ts';

/** `range` cut to an object of `size` bytes, as HTTP does. Throws `RANGE_NOT_SATISFIABLE` when none of it is inside. */
export function cutRange(range: ByteRange, size: number): ByteRange {
  const end = Math.min(range.end, size - 1);
  if (range.start >= 0 && range.start <= end) return { start: range.start, end };
  throw new AppError('RANGE_NOT_SATISFIABLE', `The object has ${size} bytes.`, { details: { ...range, size } });
}
