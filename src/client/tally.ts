import type { FileReport } from './report.ts';
import type { Known } from './resume.ts';
import type { Outgoing, Sent } from './send.ts';

/** How far an upload is, in files and bytes. */
export interface UploadProgress {
  readonly phase: 'sending' | 'processing';
  /** Files to send in this run, and those the API has accepted. */
  readonly files: number;
  readonly sentFiles: number;
  readonly bytes: number;
  readonly sentBytes: number;
  /** Files an earlier run sent, which the API still has. */
  readonly already: number;
  /** Files that will end ready or failed, and those that have, in phase `processing`. */
  readonly awaited: number;
  readonly ended: number;
}

/** Tells of each file once, as soon as its end is known. */
export function teller(onFile: ((file: FileReport) => void) | undefined) {
  const told = new Set<string>();
  return (files: readonly FileReport[], also?: 'accepted too') => {
    for (const file of onFile ? files : []) {
      if (told.has(file.path) || (file.status === 'accepted' && !also)) continue;
      told.add(file.path);
      onFile?.(file);
    }
  };
}

export type Tally = ReturnType<typeof createTally>;

/** Counts an upload and tells how far it is. */
export function createTally(
  requests: readonly Outgoing[],
  known: readonly Known[],
  onProgress: ((progress: UploadProgress) => void) | undefined,
) {
  const count = { sentFiles: 0, sentBytes: 0, awaited: 0, ended: 0 };
  const files = requests.reduce((sum, request) => sum + request.files.length, 0);
  const bytes = requests.reduce((sum, request) => sum + request.bytes, 0);
  const already = known.length;
  let phase: UploadProgress['phase'] = 'sending';
  const tell = () => onProgress?.({ phase, files, bytes, already, ...count });
  tell();
  return {
    sentBytes(more: number) {
      count.sentBytes += more;
      tell();
    },
    sent(one: Sent) {
      if ('accepted' in one) count.sentFiles += one.request.files.length;
      tell();
    },
    awaiting(files: number) {
      phase = 'processing';
      count.awaited = files;
      tell();
    },
    ended(files: number) {
      count.ended += files;
      tell();
    },
  };
}
