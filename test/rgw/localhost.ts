import dns, { type LookupAddress, type LookupOptions } from 'node:dns';

type Answer = (error: Error | null, found: string | LookupAddress[], family?: number) => void;

/**
 * Has this process find every name under `.localhost` on loopback, as browsers do and Debian's resolver does not: a bucket
 * in the host name is found without touching the machine. Answers what undoes it.
 */
export function resolveBuckets(): () => void {
  const { lookup } = dns;
  const local = (name: string, options: LookupOptions, answer: Answer) => {
    if (!name.endsWith('.localhost')) return lookup(name, options, answer);
    if (options.all) return answer(null, [{ address: '127.0.0.1', family: 4 }]);
    return answer(null, '127.0.0.1', 4);
  };
  Object.assign(dns, { lookup: local });
  return () => void Object.assign(dns, { lookup });
}
