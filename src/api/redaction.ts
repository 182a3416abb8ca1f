/** Put in the place of what is not shown. */
const HIDDEN = '[hidden]';

/** Names whose value is a secret, or somebody's own matter, whatever it is. */
const SECRET_NAME =
  /^(metadata|cookies?|set-cookie|(proxy-)?authorization|pass(word|wd|phrase)?|pwd|.*secret.*|.*private[-_]?key.*|(.*[-_])?(api|access|signing)[-_]?key(id)?|(.*[-_])?token|signature|credentials?)$/i;

/** In texts: what opens doors, by its form. In this order: a later one sees what an earlier one left. */
const SECRETS: readonly (readonly [form: RegExp, shown: string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g, HIDDEN],
  // A URL's user and password, and its query, which may be its permission.
  [/([a-z][a-z\d+.-]*:\/\/)[^\s/?#"'\\]*@/gi, `$1${HIDDEN}@`],
  [/([a-z][a-z\d+.-]*:\/\/[^\s"'?#\\]+[?#])[^\s"'\\]*/gi, `$1${HIDDEN}`],
  [/\b((?:proxy-)?authorization|cookie|set-cookie)(\\?["']?\s*[:=]\s*\\?["']?)[^"'\\\r\n]+/gi, `$1$2${HIDDEN}`],
  [/\b(bearer|basic)\s+[\w.~+/=-]{6,}/gi, `$1 ${HIDDEN}`],
  // Our own API keys, as `newApiKey` makes them; access keys of AWS; JSON web tokens.
  [/\brk_[A-Za-z\d]{1,64}_[\w-]{16,}/g, `rk_${HIDDEN}`],
  [/\b(?:AKIA|ASIA)[A-Z\d]{12,}\b/g, HIDDEN],
  [/\beyJ[\w-]{5,}\.[\w-]+(\.[\w-]*)?/g, HIDDEN],
  [
    /\b([\w-]*(?:pass(?:word|wd|phrase)|secret|token|signature|credential|api[-_]?key|access[-_]?key(?:[-_]?id)?))(\\?["']?\s*[:=]\s*\\?["']?)[^\s"'\\&,;)}\]]+/gi,
    `$1$2${HIDDEN}`,
  ],
];

/**
 * The same value without what opens doors: in every text, and under every name that says so. For people who look at jobs:
 * their data, errors, stacks and logs carry what callers and vendors wrote.
 */
export function redact(value: unknown): unknown {
  if (typeof value === 'string') return redactText(value);
  if (Array.isArray(value)) return value.map(redact);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      SECRET_NAME.test(name) && isTelling(inner) ? HIDDEN : redact(inner),
    ]),
  );
}

function redactText(text: string): string {
  return SECRETS.reduce((left, [form, shown]) => left.replace(form, shown), text);
}

/** A count or a flag under such a name is no secret. */
const isTelling = (value: unknown) => typeof value === 'string' || (typeof value === 'object' && value !== null);
