import { buffer } from 'node:stream/consumers';
import type { StoredFacts } from '#domain';
import { contentTypeOf, HEAD_BYTES } from './content-type.ts';
import { withHead } from './peek.ts';
import type { PutOptions, Source, Store } from './store.ts';

/** The options of a put whose media type is judged by its bytes. */
export type Typed = PutOptions & {
  readonly signal: AbortSignal;
  /** `contentType` was only guessed, from the name. */
  readonly typeGuessed?: boolean | undefined;
};

/**
 * `Store.put` under the media type that declaration and bytes agree on; the facts name it when only the bytes told.
 * Throws `CONTENT_TYPE_MISMATCH` before anything is stored.
 */
export async function putTyped(
  store: Pick<Store, 'put'>,
  key: string,
  source: Source,
  options: Typed,
): Promise<StoredFacts> {
  const { signal, park } = options;
  // The stream lives on in the put, which itself knows when to park: only its beginning ends by that.
  const opening = new AbortController();
  const stop = () => opening.abort(park?.reason);
  if (park?.aborted) stop();
  park?.addEventListener('abort', stop, { once: true });
  const begun = () => park?.removeEventListener('abort', stop);
  return withHead(source, HEAD_BYTES, AbortSignal.any([signal, opening.signal]), (head, whole) => {
    begun();
    return typed(head, options, (agreed) => store.put(key, whole, agreed));
  }).finally(begun);
}

/** The same for `Store.copy`, by the first bytes of what is copied. */
export async function copyTyped(store: Store, from: string, to: string, options: Typed): Promise<StoredFacts> {
  const { body } = await store.get(from, { range: { start: 0, end: HEAD_BYTES - 1 }, signal: options.signal });
  return typed(await buffer(body), options, (agreed) => store.copy(from, to, agreed));
}

async function typed(
  head: Buffer,
  { typeGuessed, ...options }: Typed,
  keep: (options: PutOptions) => Promise<StoredFacts>,
): Promise<StoredFacts> {
  const contentType = await contentTypeOf(head, options.contentType, typeGuessed);
  options.onWait?.('store');
  const stored = await keep({ ...options, contentType });
  return contentType === options.contentType ? stored : { ...stored, contentType };
}
