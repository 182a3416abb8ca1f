import type { Call } from './transport.ts';

/** A POST of `value`. */
export function json(value: unknown, headers: Readonly<Record<string, string>> = {}): Call {
  return { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(value) };
}
