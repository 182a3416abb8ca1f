import type { Journal } from '#storage/store.ts';

/** A journal that keeps its fields in memory, as the processes before left them. */
export function memoryJournal(): Journal & { fields: Record<string, string> } {
  const fields: Record<string, string> = {};
  return { fields, read: async () => ({ ...fields }), write: async (written) => void Object.assign(fields, written) };
}
