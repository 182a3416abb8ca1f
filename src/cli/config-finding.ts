/** What the check of the configuration found of one part. */
export interface Finding {
  readonly part: 'environment' | 'redis' | 'convex' | 'store' | 'ports';
  readonly state: 'ok' | 'warning' | 'error';
  /** One sentence: what is so. */
  readonly what: string;
  /** What to do about it. */
  readonly todo?: string | undefined;
}

/** Findings of one part, by state. */
export function findingsOf(part: Finding['part']) {
  const make = (state: Finding['state']) => (what: string, todo?: string) => ({ part, state, what, todo });
  return { ok: make('ok'), warning: make('warning'), error: make('error') };
}

/** What a part's error says, and what it says to do. */
export function asFinding(part: Finding['part'], thrown: unknown, todo?: string): Finding {
  const { message, nextAction } = thrown as { message?: string; nextAction?: string };
  return findingsOf(part).error(message ?? String(thrown), todo ?? nextAction);
}
