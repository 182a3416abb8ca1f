import { openSubscriber, type RedisConnection } from '#redis/connection.ts';
import { type Cancellations, cancelChannel, cancelledError } from './cancellations.ts';

/** Tells running jobs that they are cancelled, wherever that was asked for. */
export interface CancelWatch {
  /** A signal aborted with `CANCELLED` once the job is; `stop` it when the job's start is over. */
  watch(batchId: string, jobId: string): { readonly signal: AbortSignal; stop(): void };
  close(): void;
}

/** A call may get lost: every running job asks for the truth this often, in milliseconds. */
const ASK_EVERY = 1_000;

/** Listens on a connection of its own. `onError` hears that it is broken; it mends itself. */
export function createCancelWatch(
  redis: RedisConnection,
  prefix: string,
  cancellations: Pick<Cancellations, 'isCancelled'>,
  onError: (error: Error) => void,
): CancelWatch {
  const running = new Map<string, AbortController>();
  const subscriber = openSubscriber(redis);
  subscriber.on('error', onError);
  subscriber.on('ready', () => subscriber.subscribe(cancelChannel(prefix)).catch(onError));
  subscriber.on('message', (_channel: string, jobId: string) => running.get(jobId)?.abort(cancelledError()));

  return {
    watch(batchId, jobId) {
      const controller = new AbortController();
      running.set(jobId, controller);
      const timer = setInterval(async () => {
        // Without an answer the next one counts.
        const cancelled = await cancellations.isCancelled(batchId, jobId).catch(() => false);
        if (cancelled) controller.abort(cancelledError());
      }, ASK_EVERY);
      return {
        signal: controller.signal,
        stop() {
          clearInterval(timer);
          if (running.get(jobId) === controller) running.delete(jobId);
        },
      };
    },
    close: () => subscriber.disconnect(),
  };
}
