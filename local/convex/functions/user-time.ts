import { performance } from 'node:perf_hooks';
import { USER_CODE_MS } from '#local/convex/values/limits.ts';
import { type Call, RefusedCall } from './call.ts';

/**
 * Time that functions spend in their own code. Whoever ran last on this thread is charged for what passed since the
 * last mark; time the thread slept through is nobody's. Nothing can stop code that never comes back: what is over
 * its limit is refused when it next asks the engine for something, or ends.
 */
let marked = 0;

const RECENT_MS = 50;

/** The engine's own work ends here: what follows is a function's. */
export function startUserTime(): void {
  marked = busyMs();
}

/** The code of `call` ends or pauses here. Adds what it took. */
export function chargeUserTime(call: Call): void {
  const now = busyMs();
  call.userMs += now - marked;
  marked = now;
}

/** Throws `RefusedCall` when a query or mutation took more than a second. */
export function refuseOvertime({ kind, userMs, cpuMsBefore }: Call): void {
  if (kind === 'action' || userMs <= USER_CODE_MS) return;
  // On a machine that is short of processors the clock alone would blame functions for waiting.
  if (cpuMs() - cpuMsBefore <= USER_CODE_MS) return;
  throw new RefusedCall(`Function execution timed out (maximum duration: ${USER_CODE_MS / 1000}s)`);
}

let recent = { at: -Infinity, cpuMs: 0 };

/** What this process had computed a moment ago: asking the system at each call would cost more than many a call. */
export function recentCpuMs(): number {
  const at = performance.now();
  if (at - recent.at > RECENT_MS) recent = { at, cpuMs: cpuMs() };
  return recent.cpuMs;
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function busyMs(): number {
  return performance.eventLoopUtilization().active;
}
