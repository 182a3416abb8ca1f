import { openSubscriber, type RedisConnection } from '#redis/connection.ts';
import type { Lookup } from './lookup.ts';

/** Tells every process which assets to forget, over pub/sub on a connection of its own. */
interface Drops {
  announce(assetIds: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts listening. What was said while the connection was away is lost, so memory is cleared each time the
 * subscription stands again; until then the entries' short life is the bound.
 */
export function listenForDrops(
  redis: RedisConnection,
  prefix: string,
  lookup: Pick<Lookup, 'forget' | 'clear'>,
  onError: (error: unknown, doing: string) => void,
): Drops {
  const channel = `${prefix}:url-drops`;
  const subscriber = openSubscriber(redis);
  const listen = () =>
    subscriber.subscribe(channel).then(
      () => lookup.clear(),
      (error: unknown) => onError(error, 'listening for dropped URLs'),
    );
  subscriber.on('error', (error: Error) => onError(error, 'listening for dropped URLs'));
  subscriber.on('ready', listen);
  // A Cluster subscribes at another node by itself when its own is gone; what was said meanwhile is lost.
  subscriber.on('-node', () => lookup.clear());
  subscriber.on('message', (_channel: string, message: string) => lookup.forget(message.split(',')));
  return {
    async announce(assetIds) {
      await redis.publish(channel, assetIds.join(','));
    },
    async close() {
      subscriber.removeAllListeners('ready');
      subscriber.disconnect();
    },
  };
}
