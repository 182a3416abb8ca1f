import { z } from 'zod';

/** Fields that answers share. */

export const time = (what: string) => z.int().min(0).describe(`${what} Milliseconds since the epoch.`);
export const bytes = (what: string) => z.int().min(0).describe(what);
export const lane = z.string().describe('The queue that a job is in: `small`, `large` or `maintenance`.');

/** A `delayed` job waits for its next attempt; a `failed` one stays until it is replayed. */
export const JOB_STATES = ['waiting', 'active', 'delayed', 'completed', 'failed'] as const;
