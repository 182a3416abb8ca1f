import { parentPort, workerData } from 'node:worker_threads';
import type { WriteAnswer } from './disk-writer.ts';
import { type Changes, openDatabase, writeNow } from './storage.ts';

const db = openDatabase(String(workerData));

parentPort?.on('message', async (message: Changes | 'close') => {
  if (message === 'close') {
    await db.close();
    parentPort?.close();
    return;
  }
  let answer: WriteAnswer;
  try {
    writeNow(db, message);
  } catch (error) {
    answer = error instanceof Error ? error.message : String(error);
  }
  parentPort?.postMessage(answer);
});
