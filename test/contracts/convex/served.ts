import type { FunctionArgs, FunctionReference, FunctionReturnType } from 'convex/server';
import { ConvexError } from 'convex/values';
import { api } from '#convex/_generated/api.js';
import { wire, withMetadataText } from '#metadata/wire.ts';
import * as some from '../../asset-facts.ts';

/** Someone who calls functions. */
export interface Caller {
  query<Fn extends FunctionReference<'query'>>(fn: Fn, args: FunctionArgs<Fn>): Promise<FunctionReturnType<Fn>>;
  mutation<Fn extends FunctionReference<'mutation'>>(fn: Fn, args: FunctionArgs<Fn>): Promise<FunctionReturnType<Fn>>;
}

/** Something that serves the functions of `convex/`. */
export interface Backend {
  /** The holder of a token for `subject`, of none for null. */
  as(subject: string | null): Promise<Caller>;
  close(): Promise<void>;
}

/** A backend once it serves, and what most tests ask of it as the service. */
export interface Served {
  readonly backend: Backend;
  readonly service: Caller;
  commit(items: readonly unknown[]): Promise<FunctionReturnType<typeof api.assets.batchUpdateAssets>>;
  apply(...updates: ReturnType<typeof someUpdate>[]): Promise<null>;
  /** What `scenes.watch` gives; throws when there is no such scene. */
  watch(scene: Scene): Promise<NonNullable<FunctionReturnType<typeof api.scenes.watch>>>;
}

export async function serve(backend: Backend): Promise<Served> {
  const service = await backend.as('service');
  return {
    backend,
    service,
    commit: (items) => service.mutation(api.assets.batchUpdateAssets, { items: [...items] }),
    apply: (...updates) => service.mutation(api.assets.applyStatuses, { updates }),
    async watch(scene) {
      const seen = await service.query(api.scenes.watch, scene);
      if (!seen) throw new Error('The scene is not there.');
      return seen;
    },
  };
}

export const FIRST_PAGE = { numItems: 100, cursor: null };
export const ERROR = {
  code: 'CHECKSUM_MISMATCH' as const,
  message: 'Other bytes.',
  retryable: false,
  nextAction: 'Again.',
  details: {},
};

/** Commits and status writes as the functions take them. */
export const { someScene } = some;
type Scene = ReturnType<typeof someScene>;
export const someCommit = (...of: Parameters<typeof some.someCommit>) => wire(withMetadataText(some.someCommit(...of)));
export const someFacts = (...of: Parameters<typeof some.someCommit>) => someCommit(...of).facts;
export const someUpdate = (facts: ReturnType<typeof someFacts>, own: Parameters<typeof some.someUpdate>[1] = {}) =>
  wire({ ...some.someUpdate(some.someFacts(facts.entity), own), facts });

/** The code of the refusal, or what happened instead. */
export async function codeOf(call: () => Promise<unknown>): Promise<unknown> {
  try {
    return { answered: await call() };
  } catch (thrown) {
    return thrown instanceof ConvexError ? thrown.data.code : thrown;
  }
}
