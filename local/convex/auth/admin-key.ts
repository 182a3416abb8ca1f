import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The key of this data folder, made at the first start and kept in `admin.key`, readable by its owner only. */
export function keptAdminKey(folder: string): string {
  const file = join(folder, 'admin.key');
  if (!existsSync(file)) writeFileSync(file, `embedded|${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
  return readFileSync(file, 'utf8').trim();
}

/** Compares in constant time. */
export function isAdminKey(given: string, key: string): boolean {
  return timingSafeEqual(digest(given), digest(key));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
