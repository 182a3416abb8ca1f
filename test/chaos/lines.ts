import { type OpenRequest, openTcpProxy, type TcpProxy } from '#test/tcp-proxy.ts';

export const DEPENDENCIES = ['redis', 'store', 'convex'] as const;
export type Dependency = (typeof DEPENDENCIES)[number];
export type Addresses = Readonly<Record<Dependency, { readonly host: string; readonly port: number }>>;

/** The wires of one process, of its own each, so that what it has under way is known. */
export type Lines = Readonly<Record<Dependency, TcpProxy>>;

export async function openLines(addresses: Addresses): Promise<Lines> {
  const [redis, store, convex] = await Promise.all([
    openTcpProxy(addresses.redis),
    openTcpProxy(addresses.store),
    openTcpProxy(addresses.convex),
  ]);
  return { redis, store, convex };
}

/** The environment that leads a process through them. */
export function environmentOf(lines: Lines): NodeJS.ProcessEnv {
  const at = ({ port }: TcpProxy) => `http://127.0.0.1:${port}`;
  return {
    REDIS_URL: `redis://127.0.0.1:${lines.redis.port}`,
    CONVEX_URL: at(lines.convex),
    S3_ENDPOINT_URL: at(lines.store),
    S3_FORCE_PATH_STYLE: 'true',
  };
}

export async function closeLines(lines: Lines): Promise<void> {
  await Promise.all(DEPENDENCIES.map((name) => lines[name].close()));
}

/** A body on its way to the store, or there and not yet acknowledged. What a store is probed with is none. */
export function isUploading({ head, sent }: OpenRequest): boolean {
  const headers = head.indexOf('\r\n\r\n');
  return /^PUT (?!\S*\/staging\/probe-)/.test(head) && headers >= 0 && sent > headers + 4;
}

export function isPart({ head }: OpenRequest): boolean {
  return /^PUT \S*[?&]uploadId=/.test(head);
}

export function isCommit({ head }: OpenRequest): boolean {
  return head.startsWith('POST /api/mutation') && head.includes('assets:batchUpdateAssets');
}

/** Requests that change something at a dependency, by their head. */
export const MUTATES: Readonly<Record<Dependency, (head: string) => boolean>> = {
  // The scripts by which BullMQ and we write; not what only waits for a job, or keeps a lock.
  redis: (head) => /\r\nevalsha\r\n|\r\nhset\r\n|\r\nxadd\r\n/i.test(head),
  store: (head) => /^(PUT|POST|DELETE) /.test(head),
  convex: (head) => head.startsWith('POST /api/mutation'),
};
