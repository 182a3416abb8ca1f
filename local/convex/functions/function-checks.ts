import type { JSONValue } from 'convex/values';
import { DEEPEST_VALUE, LARGEST_VALUE } from '#local/convex/values/limits.ts';
import { measure, showSize } from '#local/convex/values/measure.ts';
import { isPlainObject } from '#local/convex/values/validate.ts';
import { RefusedCall } from './call.ts';
import type { RegisteredFunction } from './functions.ts';

/** Throws `RefusedCall`, in Convex's words, for arguments the function does not take. */
export function checkArguments(fn: RegisteredFunction, args: JSONValue): asserts args is { [name: string]: JSONValue } {
  if (!isPlainObject(args)) throw new RefusedCall('The arguments of a Convex function must be an object.');
  // Convex holds arguments as a list of one, which counts.
  const size = sizeOf([args], `Invalid arguments for ${printed(fn)}`);
  if (size > LARGEST_VALUE) {
    throw new RefusedCall(`Arguments for ${printed(fn)} are too large ${compared(size)}`);
  }
  refuse('ArgumentValidationError', fn.checkArgs(args, ''));
}

/** Throws `RefusedCall` for a result, as JSON text, that no function may give or that this one does not declare. */
export function checkResult(fn: RegisteredFunction, text: string): void {
  // So short a text can be neither too deep, nor too long, nor too large.
  const isShort = text.length <= 2 * DEEPEST_VALUE;
  if (isShort && !fn.checkReturns) return;
  const value = JSON.parse(text) as JSONValue;
  const size = isShort ? 0 : sizeOf(value, `Function ${printed(fn)} return value invalid`);
  if (size > LARGEST_VALUE) {
    throw new RefusedCall(`Function ${printed(fn)} return value is too large ${compared(size)}`);
  }
  if (fn.checkReturns) refuse('ReturnsValidationError', fn.checkReturns(value, ''));
}

/** The path of a function as Convex prints it: `dir/file.js:fn`. */
export function printed({ path }: Pick<RegisteredFunction, 'path'>): string {
  return path.replace(':', '.js:');
}

function sizeOf(value: JSONValue, about: string): number {
  try {
    return measure(value).size;
  } catch (error) {
    throw new RefusedCall(`${about}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}

function compared(size: number): string {
  return `(actual: ${showSize(size)}, limit: ${showSize(LARGEST_VALUE)})`;
}

function refuse(kind: string, problem: string | undefined): void {
  if (problem !== undefined) throw new RefusedCall(`${kind}: ${problem}`);
}
