import { EventSourceParserStream } from 'eventsource-parser/stream';
import { type Asset, type Batch, type Job, job } from '#answers';
import type { EntityRef } from '#domain';
import { ReelayError } from './error.ts';
import type { Pause } from './pause.ts';

const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 1_000;
/** Nothing tells when an entity changes next, so it is asked less often. */
const LONGEST_ENTITY_WAIT_MS = 5_000;

export interface Following {
  readonly pause: Pause;
  readonly signal?: AbortSignal | undefined;
}

/** What can be followed to its end: a batch, an asset or a job; or all assets of a scene or session, without one. */
export type Watchable =
  | { readonly batchId: string }
  | { readonly assetId: string }
  | { readonly jobId: string }
  | EntityRef;

/** What is seen of it at each change. */
export type Seen<T extends Watchable> = T extends { readonly batchId: string }
  ? Batch
  : T extends { readonly assetId: string }
    ? Asset
    : T extends { readonly jobId: string }
      ? Job
      : Asset;

export const batchDone = ({ state }: Batch) => state === 'done';
const jobDone = ({ state }: Job) => state === 'completed' || state === 'failed';
export const assetDone = ({ status }: Asset) => status === 'ready' || status === 'error' || status === 'deleted';

/** Asks until `done` accepts the answer, 50 ms apart at first, then ever longer up to a second; gives each change. */
export async function* changes<T>(
  ask: () => Promise<T>,
  done: (answer: T) => boolean,
  { pause, signal }: Following,
): AsyncGenerator<T, void> {
  let last = '';
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
    const answer = await ask();
    const seen = JSON.stringify(answer);
    if (seen !== last) yield answer;
    last = seen;
    if (done(answer)) return;
    await pause(wait, signal);
  }
}

/** Gives each asset when it is first seen and whenever it has changed; without end. */
export async function* entityChanges(
  list: () => AsyncIterable<Asset>,
  { pause, signal }: Following,
): AsyncGenerator<Asset, void> {
  const seen = new Map<string, string>();
  let wait = FIRST_WAIT_MS;
  for (;;) {
    for await (const asset of list()) {
      const now = JSON.stringify(asset);
      if (seen.get(asset.assetId) === now) continue;
      seen.set(asset.assetId, now);
      wait = FIRST_WAIT_MS;
      yield asset;
    }
    await pause(wait, signal);
    wait = Math.min(wait * 2, LONGEST_ENTITY_WAIT_MS);
  }
}

/** A job as its live events tell; asked for instead from the moment there are no events. */
export async function* jobChanges(
  events: () => Promise<Response>,
  ask: () => Promise<Job>,
  following: Following,
): AsyncGenerator<Job, void> {
  let last: Job | undefined;
  for await (const seen of jobEvents(events, following.signal)) {
    if (JSON.stringify(seen) !== JSON.stringify(last)) yield seen;
    last = seen;
    if (jobDone(seen)) return;
  }
  for await (const seen of changes(ask, jobDone, following)) {
    if (JSON.stringify(seen) !== JSON.stringify(last)) yield seen;
    last = undefined;
  }
}

/** Ends when the stream does, and at once when there is none. */
async function* jobEvents(events: () => Promise<Response>, signal: AbortSignal | undefined): AsyncGenerator<Job, void> {
  const response = await events().catch((thrown: unknown) => {
    if (thrown instanceof ReelayError) return undefined;
    throw thrown;
  });
  if (!response?.body) return;
  const reader = response.body
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream())
    .getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const seen = job.safeParse(parseJson(value.data));
      if (seen.success) yield seen.data;
    }
  } catch {
    signal?.throwIfAborted();
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
