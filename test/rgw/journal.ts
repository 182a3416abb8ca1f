import type { Journal, PutOptions } from '#storage/store.ts';

/** A journal that keeps its fields in memory. */
export function memoryJournal(): Journal & { fields: Record<string, string> } {
  const fields: Record<string, string> = {};
  return { fields, read: async () => fields, write: async (written) => void Object.assign(fields, written) };
}

/** The two ways to put: as the API stages a form's file, and as the worker stores what another may go on with. */
export const ways: [string, () => Partial<PutOptions>][] = [
  ['streamed', () => ({})],
  ['resumable', () => ({ journal: memoryJournal() })],
];
