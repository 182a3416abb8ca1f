import { Redis } from 'ioredis';

/** What is in a queue, as Redis has it. */
export interface QueueWalk {
  readonly queue: string;
  /** Job ids. Delayed jobs that only come again by schedule are not among them. */
  readonly open: readonly string[];
  readonly active: number;
  readonly delayed: number;
  readonly completed: readonly string[];
  readonly failed: readonly string[];
}

/** Redis looked at past all of Reelay's and BullMQ's code: by the keys that they leave there. */
export interface Queues {
  /** Every queue; undefined while Redis does not answer. */
  look(): Promise<readonly QueueWalk[] | undefined>;
  /** Statuses on their way to Convex. */
  onTheWay(): Promise<number>;
  /** Tries that jobs, and files in jobs, have spent beyond their first, by job. */
  spent(): Promise<Map<string, number>>;
  close(): void;
}

export function openQueues(url: string): Queues {
  const redis = new Redis(url, { enableOfflineQueue: false, maxRetriesPerRequest: 0, retryStrategy: () => 100 });
  redis.on('error', () => undefined);

  async function keys(pattern: string): Promise<string[]> {
    // SCAN may name a key twice.
    const found = new Set<string>();
    for await (const page of redis.scanStream({ match: pattern, count: 1_000 })) for (const key of page) found.add(key);
    return [...found];
  }

  async function walk(base: string): Promise<QueueWalk> {
    const list = (name: string) => redis.lrange(`${base}:${name}`, 0, -1);
    const set = (name: string) => redis.zrange(`${base}:${name}`, 0, '-1');
    const [wait, paused, active] = await Promise.all([list('wait'), list('paused'), list('active')]);
    const [prioritized, delayed, children] = await Promise.all([
      set('prioritized'),
      set('delayed'),
      set('waiting-children'),
    ]);
    const waiting = [...wait, ...paused, ...active, ...prioritized, ...children];
    const unscheduled = delayed.filter((id) => !id.startsWith('repeat:'));
    return {
      queue: base,
      open: [...waiting, ...unscheduled],
      active: active.length,
      delayed: unscheduled.length,
      completed: await set('completed'),
      failed: await set('failed'),
    };
  }

  return {
    async look() {
      try {
        const metas = await keys('{*}:*:meta');
        return await Promise.all(metas.map((key) => walk(key.slice(0, -':meta'.length))));
      } catch {
        return undefined;
      }
    },
    async onTheWay() {
      const outboxes = await keys('*:status-outbox');
      const sizes = await Promise.all(outboxes.map((key) => redis.hlen(key)));
      return sizes.reduce((all, size) => all + size, 0);
    },
    async spent() {
      const spent = new Map<string, number>();
      const add = (job: string, tries: number) => tries > 0 && spent.set(job, (spent.get(job) ?? 0) + tries);
      for (const meta of await keys('{*}:*:meta')) {
        const base = meta.slice(0, -'meta'.length);
        for (const key of await keys(`${base}*`)) {
          const id = key.slice(base.length);
          if (id.endsWith(':facts')) {
            const fields = Object.entries(await redis.hgetall(key));
            for (const [field, tries] of fields) if (field.startsWith('tries:')) add(id.slice(0, -6), Number(tries));
          } else if (!id.includes(':') && (await redis.type(key)) === 'hash') {
            // BullMQ counts an attempt at each end of one, so a job that never failed has 1 when it is completed.
            const [made, ended] = await redis.hmget(key, 'atm', 'finishedOn');
            add(id, Number(made ?? 0) - (ended ? 1 : 0));
          }
        }
      }
      return spent;
    },
    close: () => redis.disconnect(),
  };
}
