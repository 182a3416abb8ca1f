import { inspect } from 'node:util';
import { currentCall } from './call.ts';

const LEVELS = { debug: 'DEBUG', log: 'LOG', info: 'INFO', warn: 'WARN', error: 'ERROR' } as const;

/** From now on what functions print becomes log lines of their call; anything else goes to stderr. */
export function captureConsole(): void {
  const lines = Object.entries(LEVELS).map(([method, level]) => {
    const print = (...values: unknown[]) => {
      const line = `[${level}] ${values.map((value) => inspect(value)).join(' ')}`;
      const call = currentCall.getStore();
      if (call) call.logLines.push(line);
      else process.stderr.write(`${line}\n`);
    };
    return [method, print];
  });
  Object.assign(globalThis.console, Object.fromEntries(lines));
}
