import type { LocalFile } from './local-files.ts';

/** Small files travel together in JSON, a larger one alone. */
export type Request =
  | { readonly kind: 'inline'; readonly files: readonly LocalFile[]; readonly bytes: number }
  | { readonly kind: 'alone'; readonly files: readonly [LocalFile]; readonly bytes: number };

const MIB = 2 ** 20;
const SMALL = MIB;
/** The API takes 5,000 files and 16 MiB of JSON a request; a margin is left for a file that still grows. */
const FILES = 5_000;
const JSON_BYTES = 12 * MIB;
/** Field names, checksum and punctuation of one file in JSON, rounded up. */
const JSON_OVERHEAD = 384;

/** Divides files, in their order, into as few requests as the limits of the API allow. */
export function planRequests(files: readonly LocalFile[]): Request[] {
  const requests: Request[] = [];
  let group: LocalFile[] = [];
  let json = 0;
  const close = () => {
    if (group.length > 0) requests.push(inlineRequest(group));
    group = [];
    json = 0;
  };
  for (const file of files) {
    if (file.size > SMALL) {
      requests.push({ kind: 'alone', files: [file], bytes: file.size });
      continue;
    }
    const cost = Math.ceil(file.size / 3) * 4 + Buffer.byteLength(JSON.stringify(file.name)) + JSON_OVERHEAD;
    if (group.length === FILES || json + cost > JSON_BYTES) close();
    group.push(file);
    json += cost;
  }
  close();
  return requests;
}

/** The request that carried these files before; the same again, since size and order decide its form. */
export function repeatRequest(files: readonly LocalFile[]): Request {
  const [first] = files;
  return first && files.length === 1 && first.size > SMALL
    ? { kind: 'alone', files: [first], bytes: first.size }
    : inlineRequest(files);
}

function inlineRequest(files: readonly LocalFile[]): Request {
  return { kind: 'inline', files, bytes: files.reduce((total, file) => total + file.size, 0) };
}
