import type { Redis } from 'ioredis';
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
  redis: Redis,
  prefix: string,
  lookup: Pick<Lookup, 'forget' | 'clear'>,
  onError: (error: unknown, doing: string) => void,
): Drops {
  const channel = `${prefix}:url-drops`;
  const subscriber = redis.duplicate({ autoResubscribe: false });
  const listen = () =>
    subscriber.subscribe(channel).then(
      () => lookup.clear(),
      (error: unknown) => onError(error, 'listening for dropped URLs'),
    );
  subscriber.on('error', (error) => onError(error, 'listening for dropped URLs'));
  subscriber.on('ready', listen);
  subscriber.on('message', (_channel, message) => lookup.forget(message.split(',')));
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
