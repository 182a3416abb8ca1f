import { expect, test } from 'vitest';
import { temporaryFolder } from '#local/convex/testing/engines.ts';
import { answerEntries, findAnswer } from './requests.ts';
import { openStorage } from './storage.ts';

const DAY = 24n * 3600n * 1_000_000_000n;

test('answers are found again, and given up after a day as others come', async () => {
  const storage = openStorage(await temporaryFolder());
  const start = 1_795_175_133_985_000_000n;
  const answer = (request: number, timestamp: bigint) =>
    storage.commit(answerEntries(storage, { session: 's', request }, { timestamp, value: `"${request}"` }));
  const found = (request: number) => findAnswer(storage, { session: 's', request })?.value;
  await answer(1, start);
  await answer(2, start + 1n);
  expect([found(1), found(2), found(3)]).toEqual(['"1"', '"2"', undefined]);
  expect(findAnswer(storage, { session: 's', request: 2 })?.timestamp).toBe(start + 1n);
  await answer(3, start + DAY + 1n);
  expect([found(1), found(2), found(3)]).toEqual([undefined, '"2"', '"3"']);
  await storage.close();
});
