import { type Logger, pino } from 'pino';
import type { Config } from '#config';

export type { Logger };

/** A JSON logger for one process; `name` is the process. Secrets are redacted wherever they turn up by name. */
export function createLogger(config: Pick<Config, 'logLevel'>, name: string): Logger {
  return pino({
    name,
    level: config.logLevel,
    redact: [
      ...['*.authorization', '*.secret', '*.password', '*.token', 'req.headers.authorization', 'req.headers.cookie'],
      // What Redis was asked, which its errors carry: the password of a login, the data of a job.
      ...['err.command.args', 'err.*.command.args'],
    ],
    timestamp: pino.stdTimeFunctions.isoTime,
  });
}
