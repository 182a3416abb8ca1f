import type { PutOptions } from '#storage/store.ts';
import { memoryJournal } from '#test/memory-journal.ts';

/** The two ways to put: as the API stages a form's file, and as the worker stores what another may go on with. */
export const ways: [string, () => Partial<PutOptions>][] = [
  ['streamed', () => ({})],
  ['resumable', () => ({ journal: memoryJournal() })],
];
