import { expect } from 'vitest';
import { ReelayError } from '#client/client.ts';

/** The ReelayError a call rejects with. */
export async function errorOf(call: Promise<unknown>): Promise<ReelayError> {
  const thrown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(thrown).toBeInstanceOf(ReelayError);
  return thrown as ReelayError;
}
