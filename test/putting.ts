import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import process from 'node:process';
import { createDiskStore } from '#storage/disk.ts';
import { createPathOpener, fileSource } from '#storage/source.ts';
import type { Journal } from '#storage/store.ts';

/**
 * A process that puts `FILE` at `a.mp4` of the disk store in `DIR`, by the journal that is the file `JOURNAL`, and prints
 * how many bytes it gave to the kernel (Linux only). With `FIELDS` it gets stuck, to be killed, before the journal has
 * more fields than that.
 */
const [dir = '', file = '', journalFile = '', fields = 'Infinity'] = process.argv.slice(2);

function read(): Record<string, string> {
  return JSON.parse(readFileSync(journalFile, 'utf8')) as Record<string, string>;
}

const journal: Journal = {
  read: async () => read(),
  async write(written) {
    const all = { ...read(), ...written };
    if (Object.keys(all).length > Number(fields)) await new Promise(() => setInterval(() => undefined, 60_000));
    writeFileSync(`${journalFile}.new`, JSON.stringify(all));
    renameSync(`${journalFile}.new`, journalFile);
  },
};
const store = createDiskStore({ dir, urlSecret: Buffer.alloc(32), clock: Date.now });
await store.put('a.mp4', await fileSource(file, createPathOpener([dirname(file)])), {
  contentType: 'video/mp4',
  journal,
});
process.stdout.write(/^wchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1] ?? '');
