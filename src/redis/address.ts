/** Where a Redis is and how to enter it, as `REDIS_URL` says. */
export type RedisAddress = Access &
  (
    | { readonly kind: 'standalone'; readonly hosts: readonly [RedisHost]; readonly db: number }
    /** `hosts` are the Sentinels, which know the master by the name `master`. */
    | {
        readonly kind: 'sentinel';
        readonly hosts: readonly RedisHost[];
        readonly db: number;
        readonly master: string;
        readonly sentinel: Login;
      }
    /** `hosts` are some of the nodes; they name the others. */
    | { readonly kind: 'cluster'; readonly hosts: readonly RedisHost[] }
  );

interface RedisHost {
  readonly host: string;
  readonly port: number;
}

interface Login {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

interface Access extends Login {
  readonly tls: boolean;
}

/** The forms there are, in words. */
export const REDIS_URL_FORMS =
  'redis://[user:password@]host[:port][/db], redis+sentinel://[user:password@]host[:port],…/master[/db], ' +
  'redis+cluster://[user:password@]host[:port],… or, with TLS, the same with rediss';

const SCHEME = /^(redis|rediss)(?:\+(sentinel|cluster))?:\/\/(.*)$/s;
const PORTS = { standalone: 6379, sentinel: 26_379, cluster: 6379 };
const LAST_DB = 65_535;

/**
 * Reads `REDIS_URL`; several URLs with commas between them name nodes of one Cluster. Answers the address, or every
 * mistake as a sentence that never repeats a password.
 */
export function parseRedisUrl(
  text: string,
): { readonly address: RedisAddress } | { readonly mistakes: readonly string[] } {
  const urls = text.split(/,\s*(?=rediss?(?:\+\w+)?:\/\/)/);
  const read = urls.map((url) => parseOne(url.trim()));
  const mistakes = [...new Set(read.flatMap((one) => ('mistakes' in one ? one.mistakes : [])))];
  if (mistakes.length > 0) return { mistakes };
  const addresses = read.flatMap((one) => ('address' in one ? [one.address] : []));
  const [first] = addresses;
  if (first && addresses.length === 1) return { address: first };
  return joined(addresses);
}

/** What `parseRedisUrl` answers, where the text has been checked before. Throws a plain `Error` otherwise. */
export function redisAddress(text: string): RedisAddress {
  const read = parseRedisUrl(text);
  if ('address' in read) return read.address;
  throw new Error(`The URL of Redis is not usable: ${read.mistakes.join(' ')}`);
}

/** The URL without who enters and by which password, for logs and tables. */
export function printRedisAddress(address: RedisAddress): string {
  const kind = address.kind === 'standalone' ? '' : `+${address.kind}`;
  const hosts = address.hosts.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(',');
  const master = address.kind === 'sentinel' ? `/${address.master}` : '';
  return `${address.tls ? 'rediss' : 'redis'}${kind}://${hosts}${master}`;
}

/** One Cluster of the nodes that several URLs name. */
function joined(addresses: readonly RedisAddress[]): ReturnType<typeof parseRedisUrl> {
  const [first] = addresses;
  if (!first || addresses.some(({ kind }) => kind === 'sentinel')) {
    return { mistakes: ['Must be one URL for Sentinel, with all its hosts in it; several URLs are a Cluster.'] };
  }
  if (addresses.some((one) => 'db' in one && one.db !== 0)) return { mistakes: [CLUSTER_DB] };
  const { tls, username, password } = first;
  if (addresses.some((one) => one.tls !== tls || one.username !== username || one.password !== password)) {
    return { mistakes: ['Must name one user, one password and one scheme for all nodes of a Cluster.'] };
  }
  return { address: { kind: 'cluster', tls, username, password, hosts: addresses.flatMap(({ hosts }) => hosts) } };
}

const CLUSTER_DB = 'Must not name a database for a Cluster: it has number 0 alone.';

function parseOne(url: string): ReturnType<typeof parseRedisUrl> {
  const [, scheme, form, rest = ''] = SCHEME.exec(url) ?? [];
  if (!scheme) return { mistakes: [`Must be of a form of these: ${REDIS_URL_FORMS}.`] };
  const kind = (form ?? 'standalone') as RedisAddress['kind'];
  const [beforeQuery = '', query] = split(rest, '?');
  const [authority = '', path = ''] = split(beforeQuery, '/');
  const at = authority.lastIndexOf('@');
  const mistakes: string[] = [];
  const login = parseLogin(at < 0 ? undefined : authority.slice(0, at), mistakes);
  const hosts = parseHosts(authority.slice(at + 1), PORTS[kind], mistakes);
  const params = parseQuery(query, kind, mistakes);
  const access = { tls: scheme === 'rediss', ...login };
  const parts = path.split('/').filter((part, index) => part !== '' || index > 0);

  const address = addressOf(kind, { access, hosts, parts, params }, mistakes);
  return mistakes.length > 0 || !address ? { mistakes } : { address };
}

interface Parts {
  readonly access: Access;
  readonly hosts: readonly RedisHost[];
  /** Segments of the path. */
  readonly parts: readonly string[];
  readonly params: Login;
}

function addressOf(
  kind: RedisAddress['kind'],
  { access, hosts, parts, params }: Parts,
  mistakes: string[],
): RedisAddress | undefined {
  if (kind === 'cluster') {
    if (parts.length > 0 && parts[0] !== '0') mistakes.push(CLUSTER_DB);
    return { kind, ...access, hosts };
  }
  if (kind === 'sentinel') {
    const [master = '', db, ...more] = parts;
    if (master === '') mistakes.push('Must name the master as its Sentinels know it: redis+sentinel://host/master.');
    if (more.length > 0) mistakes.push('Must end with the master and, at most, the number of the database.');
    return { kind, ...access, hosts, db: parseDb(db, mistakes), master: decode(master, mistakes), sentinel: params };
  }
  const [db, ...more] = parts;
  if (more.length > 0) mistakes.push('Must end with the number of the database, if anything.');
  const [host, ...others] = hosts;
  if (others.length > 0) {
    mistakes.push('Must name one host; several are written redis+sentinel:// or redis+cluster://.');
  }
  return host && { kind, ...access, hosts: [host], db: parseDb(db, mistakes) };
}

function parseLogin(text: string | undefined, mistakes: string[]): Login {
  if (text === undefined) return {};
  const [user = '', secret] = split(text, ':');
  const username = decode(user, mistakes) || undefined;
  if (username && secret === undefined) mistakes.push('Must have a password after the user: user:password@host.');
  return { username, password: secret === undefined ? undefined : decode(secret, mistakes) || undefined };
}

function parseHosts(text: string, fallback: number, mistakes: string[]): RedisHost[] {
  return text.split(',').flatMap((one) => {
    const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(one.trim()) ?? [];
    const host = bracketed ?? plain;
    if (!host || (port !== undefined && (Number(port) < 1 || Number(port) > 65_535))) {
      // A character of a password that was not encoded can end up here: say nothing of what stands there.
      mistakes.push(
        'Must name each host as host or host:port, with a port from 1 to 65535; in a password write @ as %40, / as %2F, ? as %3F.',
      );
      return [];
    }
    return [{ host, port: port === undefined ? fallback : Number(port) }];
  });
}

function parseQuery(query: string | undefined, kind: RedisAddress['kind'], mistakes: string[]): Login {
  const params = new URLSearchParams(query ?? '');
  const known = kind === 'sentinel' ? ['sentinelUser', 'sentinelPassword'] : [];
  if ([...params.keys()].some((key) => !known.includes(key))) {
    const allowed = kind === 'sentinel' ? 'sentinelUser and sentinelPassword alone' : 'nothing';
    mistakes.push(`Must have ${allowed} after a question mark.`);
  }
  const [username, password] = [params.get('sentinelUser') ?? undefined, params.get('sentinelPassword') ?? undefined];
  if (username && !password) mistakes.push('Must have a sentinelPassword with the sentinelUser.');
  return { username, password };
}

function parseDb(text: string | undefined, mistakes: string[]): number {
  if (text === undefined || text === '') return 0;
  if (/^\d{1,5}$/.test(text) && Number(text) <= LAST_DB) return Number(text);
  mistakes.push(`Must name the database by a number from 0 to ${LAST_DB}.`);
  return 0;
}

function decode(text: string, mistakes: string[]): string {
  try {
    return decodeURIComponent(text);
  } catch {
    mistakes.push('Must have % in a name or password written as %25.');
    return '';
  }
}

/** Before and after the first `separator`; nothing after when there is none. */
function split(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
