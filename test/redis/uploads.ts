import { setTimeout as pause } from 'node:timers/promises';
import { type Stack, startStack } from '#test/stack.ts';
import { until } from '#test/until.ts';

const ENTITY = { project: 'demo', session: 'failover', scene: 'failover' };
const ASSETS = `/v1/projects/${ENTITY.project}/sessions/${ENTITY.session}/scenes/${ENTITY.scene}/assets`;
const SENDERS = 8;
/** Pause before a request that had no answer, or a 503, is sent again, in milliseconds. */
const AGAIN = 100;
/** A request is sent again for at most this long; then the Redis has not come back. In milliseconds. */
const GIVE_UP = 120_000;

/** A Redis to upload by, and how to take its master away in the midst of it. */
export interface Outage {
  /** For `REDIS_URL`. */
  readonly url: string;
  /** Replicas that must have what is acknowledged. */
  readonly minReplicas: number;
  /** Takes the master away, and does what whoever runs it would do; resolves when that is done. */
  readonly happen: () => Promise<void>;
}

/** What became of the uploads. */
export interface OutageOutcome {
  /** Requests answered by 202; each is a batch of one file. */
  readonly acknowledged: number;
  /** Answers other than 202, and requests without one. */
  readonly refused: number;
  /** Batches whose one file is ready, as Redis tells. */
  readonly done: number;
  /** Rows of ready assets in Convex. */
  readonly rows: number;
  /** Different versions among the rows, and the highest. */
  readonly versions: number;
  readonly lastVersion: number;
  /** Milliseconds in which no request was acknowledged, at the longest. */
  readonly longestGap: number;
}

/**
 * Uploads `count` files of one type to one scene by a real API and worker, and lets the outage happen after a third of
 * them. Each request is sent again, under its Idempotency-Key, until it is acknowledged.
 */
export async function uploadThrough(outage: Outage, count: number): Promise<OutageOutcome> {
  const stack = await startStack({ REDIS_URL: outage.url, REDIS_MIN_REPLICAS: String(outage.minReplicas) });
  try {
    const acknowledged: { readonly batchId: string; readonly at: number }[] = [];
    let refused = 0;
    let next = 0;
    let happened: Promise<void> | undefined;
    const send = async () => {
      while (next < count) {
        const upload = next++;
        const { batchId, tries } = await sendUntilAcknowledged(stack, upload);
        refused += tries - 1;
        acknowledged.push({ batchId, at: performance.now() });
        if (acknowledged.length >= count / 3) happened ??= outage.happen();
      }
    };
    await Promise.all(Array.from({ length: SENDERS }, send));
    await happened;
    const batchIds = new Set(acknowledged.map(({ batchId }) => batchId));
    const done = await Promise.all([...batchIds].map((batchId) => isDone(stack, batchId)));
    const rows = await readRows(stack);
    const versions = new Set(rows.map(({ version }) => version));
    return {
      acknowledged: batchIds.size,
      refused,
      done: done.filter(Boolean).length,
      rows: rows.filter(({ status }) => status === 'ready').length,
      versions: versions.size,
      lastVersion: Math.max(...versions),
      longestGap: Math.max(...acknowledged.map(({ at }, index) => at - (acknowledged[index - 1]?.at ?? at))),
    };
  } finally {
    await stack.remove();
  }
}

async function sendUntilAcknowledged(stack: Stack, upload: number): Promise<{ batchId: string; tries: number }> {
  const file = {
    assetType: 'source_code',
    filename: `upload-${upload}.py`,
    origin: { kind: 'inline', text: `print(${upload})\n` },
  };
  const init = {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': `upload-${upload}` },
    body: JSON.stringify({ ...ENTITY, files: [file] }),
  };
  const end = Date.now() + GIVE_UP;
  for (let tries = 1; Date.now() < end; tries++) {
    const response = await call(stack, '/v1/uploads', init).catch(() => undefined);
    if (response?.status === 202) return { tries, batchId: ((await response.json()) as { batchId: string }).batchId };
    // A batch that is being taken in by an earlier try is refused as well (409), until that one is over.
    if (response && ![409, 429, 503].includes(response.status)) throw new Error(await response.text());
    await pause(AGAIN);
  }
  throw new Error(`Upload ${upload} was not acknowledged within ${GIVE_UP} ms.`);
}

async function isDone(stack: Stack, batchId: string): Promise<boolean> {
  const read = async () => {
    const response = await call(stack, `/v1/batches/${batchId}`);
    if (!response.ok) return undefined;
    const batch = (await response.json()) as { state: string; successful: string[] };
    return batch.state === 'done' ? batch : undefined;
  };
  const batch = await until(read, { within: GIVE_UP, what: `batch ${batchId} to be done`, every: 200 });
  return batch.successful.length === 1;
}

interface Row {
  readonly version: number;
  readonly status: string;
}

async function readRows(stack: Stack): Promise<Row[]> {
  const rows: Row[] = [];
  for (let cursor: string | undefined = ''; cursor !== undefined; ) {
    const page = await call(stack, `${ASSETS}?history=1&limit=200${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    if (!page.ok) throw new Error(await page.text());
    const { assets, next } = (await page.json()) as { assets: Row[]; next?: string };
    rows.push(...assets);
    cursor = next;
  }
  return rows;
}

function call(stack: Stack, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set('authorization', `Bearer ${stack.agentKey}`);
  return fetch(stack.apiUrl + path, { ...init, headers, signal: AbortSignal.timeout(15_000) });
}
