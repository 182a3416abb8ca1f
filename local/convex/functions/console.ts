import { inspect } from 'node:util';
import { LONGEST_LOG_LINE, MOST_LOG_LINES } from '#local/convex/values/limits.ts';
import { currentCall } from './call.ts';

const LEVELS = { debug: 'DEBUG', log: 'LOG', info: 'INFO', warn: 'WARN', error: 'ERROR' } as const;
const CUT = ' (truncated due to length)';

/** From now on what functions print becomes log lines of their call, too; all of it goes to stderr. */
export function captureConsole(): void {
  const lines = Object.entries(LEVELS).map(([method, level]) => {
    const print = (...values: unknown[]) => {
      const line = `[${level}] ${cut(values.map((value) => inspect(value, { maxStringLength: null })).join(' '))}`;
      const call = currentCall.getStore();
      if (!call) process.stderr.write(`${line}\n`);
      else if (keep(line, call.logLines)) process.stderr.write(`${call.path} ${call.logLines.at(-1)}\n`);
    };
    return [method, print];
  });
  Object.assign(globalThis.console, Object.fromEntries(lines));
}

/** Adds a line, or the one that says that there are too many; false when that was said before. */
function keep(line: string, lines: string[]): boolean {
  if (lines.length >= MOST_LOG_LINES) return false;
  const isLast = lines.length === MOST_LOG_LINES - 1;
  lines.push(isLast ? `[ERROR] Log overflow (maximum ${MOST_LOG_LINES}). Remaining log lines omitted.` : line);
  return true;
}

function cut(text: string): string {
  if (text.length * 3 <= LONGEST_LOG_LINE) return text;
  const bytes = Buffer.from(text);
  if (bytes.length <= LONGEST_LOG_LINE) return text;
  // A character cut in two decodes to U+FFFD.
  const head = bytes.subarray(0, LONGEST_LOG_LINE - CUT.length).toString();
  return `${head.replace(/\uFFFD$/, '')}${CUT}`;
}
