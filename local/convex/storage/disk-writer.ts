import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Changes } from './storage.ts';

/** Writes from a thread of its own, so that waiting for the disk delays no reader. */
export interface DiskWriter {
  /** Resolves once all of `changes` are on the disk; rejects when none of them are. */
  write(changes: Changes): Promise<void>;
  close(): Promise<void>;
}

/** What the thread answers: undefined, or why it could not write. */
export type WriteAnswer = string | undefined;

export function startDiskWriter(folder: string): DiskWriter {
  const thread = new Worker(new URL('./disk-writer-thread.ts', import.meta.url), { workerData: folder });
  const waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  let ended: Error | undefined;
  thread.on('message', (failure: WriteAnswer) => {
    const first = waiting.shift();
    if (failure === undefined) first?.resolve();
    else first?.reject(new Error(failure));
  });
  const end = (error: Error) => {
    ended ??= error;
    for (const { reject } of waiting.splice(0)) reject(ended);
  };
  thread.on('error', end);
  thread.on('exit', () => end(new Error('The thread that writes to disk has ended.')));
  return {
    write: (changes) =>
      new Promise((resolve, reject) => {
        if (ended) return reject(ended);
        waiting.push({ resolve, reject });
        thread.postMessage(changes);
      }),
    async close() {
      if (ended) return;
      const exited = once(thread, 'exit');
      thread.postMessage('close');
      await exited;
    },
  };
}
