import { createHash } from 'node:crypto';

/** What a fault is known by, wherever it happens. */
interface Fault {
  readonly code: string;
  /** Name of the job. */
  readonly job: string;
  readonly message: string;
}

/** The words of a pack with several files: its own count and the name of the first one say nothing of the fault. */
const OF_A_PACK = /^\d+ of \d+ files failed; (?:.+?\.\w{1,8}: |.+?: )/;
/** A file named at the start of a sentence, which may have spaces. */
const NAMED_FIRST = /^\S.*?\.\w{1,8}(?= (?:has|is|was|took|could)\b)/;
/**
 * URLs, what stands in quotes, paths, names of files, and what has a digit in it: ids, hex, sizes, times. Each begins where
 * a word does: looked for at every letter, a name of 250 would take a millisecond, and 100,000 of them stop the process.
 */
const PARTICULARS =
  /(?<![a-z\d+.-])[a-z][a-z\d+.-]*:\/\/[^\s"'`]+|"[^"]*"|`[^`]*`|(?<![\w])'[^']*'|(?<![\w.~-])[\w.~-]*[/\\][^\s"'`,;:]*|(?<![\w-])[\w-]+(?:\.[\w-]+)*\.[a-z][a-z\d]{0,4}\b[\w-]*|(?<![\w-])[\w-]*\d[\w.-]*/gi;

/** The message without what differs from file to file, so that one fault of many files reads the same. */
export function withoutParticulars(message: string): string {
  return message.replace(OF_A_PACK, '').replace(NAMED_FIRST, '…').replace(PARTICULARS, '…');
}

/** What two faults share exactly when they are the same fault. */
export function faultKey({ code, job, message }: Fault): string {
  return `${code}\n${job}\n${withoutParticulars(message)}`;
}

/** A short name of a fault, 12 hex digits, from its `faultKey`. */
export function fingerprintOf(key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 12);
}
