import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { LRUCache } from 'lru-cache';
import { prettyFactory } from 'pino-pretty';

/** A log that grew past this is moved aside (`.1`) at the next start, in bytes. */
const ROTATE_AT = 20 * 1024 * 1024;

/** pino's levels from 40 (warn) on; it writes the level first. */
const WARNING = /^\{"level":[456]0,/;

/** Moves a big log aside, so that the folder holds at most two of them. */
export function prepareLog(file: string): void {
  if (existsSync(file) && statSync(file).size > ROTATE_AT) renameSync(file, `${file}.1`);
  writeFileSync(file, '', { flag: 'a', mode: 0o600 });
}

/** While something is away the same warning comes again and again: once in this many milliseconds is enough. */
const REPEAT_AFTER_MS = 30_000;

/** Hands each warning written to a log from now on to `show`, as one line; the answer stops it. */
export function followWarnings(file: string, show: (text: string) => void): () => void {
  const pretty = prettyFactory({
    colorize: process.stderr.isTTY ?? false,
    ignore: 'pid,hostname,time,name',
    hideObject: true,
    messageFormat: oneLine,
  });
  const fd = openSync(file, 'r');
  const chunk = Buffer.alloc(64 * 1024);
  let position = fstatSync(fd).size;
  let rest = Buffer.alloc(0);
  const recent = new LRUCache<string, true>({ max: 100, ttl: REPEAT_AFTER_MS });
  const showOnce = (text: string) => {
    if (recent.has(text)) return;
    recent.set(text, true);
    show(text);
  };
  const watcher = watch(file, () => {
    for (;;) {
      const read = readSync(fd, chunk, 0, chunk.length, position);
      if (read === 0) return;
      position += read;
      const text = Buffer.concat([rest, chunk.subarray(0, read)]);
      const end = text.lastIndexOf('\n') + 1;
      rest = text.subarray(end);
      for (const line of text.toString('utf8', 0, end).split('\n')) if (WARNING.test(line)) showOnce(pretty(line));
    }
  });
  return () => {
    watcher.close();
    closeSync(fd);
  };
}

/** The message and its error's; stacks and the rest stay in the log. */
function oneLine({ msg, err }: LogObject): string {
  const cause = typeof err?.message === 'string' && err.message !== msg ? `: ${err.message}` : '';
  return `${msg ?? ''}${cause}`.replaceAll(/\s*\n\s*/g, ' ');
}

interface LogObject {
  readonly msg?: unknown;
  readonly err?: { readonly message?: unknown };
}
