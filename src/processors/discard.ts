import { type DiscardPorts, discardLetters } from './discard-letters.ts';
import type { Processor } from './run.ts';

/** Discards dead letters on request. */
export function discardProcessor(ports: DiscardPorts): Processor<'discard'> {
  return async ({ chosen }, run) => {
    await discardLetters(ports, chosen, run);
    return { end: 'done' };
  };
}
