import type { Breaker } from './breaker.ts';

/** The port with every call of it going through `breaker`; members named in `free` stay as they are. */
export function guard<Port extends object>(port: Port, breaker: Breaker, free: readonly string[] = []): Port {
  const members = Object.entries(port).map(([name, member]) => {
    if (typeof member !== 'function' || free.includes(name)) return [name, member];
    return [name, (...args: unknown[]) => breaker.run(async () => member.apply(port, args))];
  });
  return Object.fromEntries(members) as Port;
}
