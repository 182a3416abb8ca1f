import type { JSONValue } from 'convex/values';

/** Values may nest 64 deep in Convex; the rest is room for what wraps them. */
const DEEPEST = 128;

/** What came over the wire is no JSON that could mean anything. The message says why. */
export class MalformedJson extends Error {
  override readonly name = 'MalformedJson';
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Parses bytes from outside. Throws `MalformedJson`; deep nesting is found before it costs memory. */
export function parseJson(bytes: Uint8Array): JSONValue {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch (error) {
    throw new MalformedJson('It is not UTF-8.', { cause: error });
  }
  if (nestsDeeper(text)) throw new MalformedJson(`It nests deeper than ${DEEPEST} levels.`);
  try {
    return JSON.parse(text) as JSONValue;
  } catch (error) {
    throw new MalformedJson(`It is not JSON: ${error instanceof Error ? error.message : error}.`, { cause: error });
  }
}

const [QUOTE, BACKSLASH, OPEN, OPEN_BRACE, CLOSE, CLOSE_BRACE] = [...'"\\[{]}'].map((sign) => sign.charCodeAt(0));

function nestsDeeper(text: string): boolean {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const sign = text.charCodeAt(at);
    if (quoted) {
      if (sign === BACKSLASH) at++;
      else if (sign === QUOTE) quoted = false;
    } else if (sign === QUOTE) quoted = true;
    else if (sign === OPEN || sign === OPEN_BRACE) {
      if (++depth > DEEPEST) return true;
    } else if (sign === CLOSE || sign === CLOSE_BRACE) depth--;
  }
  return false;
}
