import { ConvexHttpClient } from 'convex/browser';
import { type FunctionArgs, type FunctionReference, type FunctionReturnType, getFunctionName } from 'convex/server';
import { api } from '#convex/_generated/api.js';
import { AppError } from '#errors';
import { toApiKey, toCommitResult, toQuarantined, toRow } from './convex-answers.ts';
import { convexFetch, toMetadataError } from './convex-errors.ts';
import type { Metadata } from './metadata.ts';
import { wire, withDetailsText, withMetadataText } from './wire.ts';

interface ConvexMetadataOptions {
  readonly url: string;
  /** Gives the service's token; asked before each call. */
  readonly token: () => Promise<string>;
  /** Milliseconds until a query without an answer counts as unavailable: short, since a reader waits for it. */
  readonly queryTimeoutMs?: number;
  /** The same for a mutation: long, since one given up may have been done all the same. */
  readonly mutationTimeoutMs?: number;
  /** Told of each mutation sent, as `assets.batchUpdateAssets`. */
  readonly onMutation?: (name: string) => void;
}

type Query = FunctionReference<'query'>;
type Mutation = FunctionReference<'mutation'>;
type CountStep = FunctionReturnType<typeof api.sessions.count>;

/** The metadata port on Convex, real or embedded: calls the functions of `convex/` with the service's token. */
export function createConvexMetadata(options: ConvexMetadataOptions): Metadata {
  const { url, token, queryTimeoutMs = 3_000, mutationTimeoutMs = 30_000, onMutation } = options;
  const open = (timeoutMs: number) =>
    new ConvexHttpClient(url, { skipConvexDeploymentUrlCheck: true, logger: false, fetch: convexFetch(timeoutMs) });
  const queries = open(queryTimeoutMs);
  const mutations = open(mutationTimeoutMs);

  async function query<Fn extends Query>(fn: Fn, args: FunctionArgs<Fn>): Promise<FunctionReturnType<Fn>> {
    queries.setAuth(await token());
    return queries.query(fn as Query, args).catch(refusedBy(fn));
  }

  async function mutation<Fn extends Mutation>(fn: Fn, args: FunctionArgs<Fn>): Promise<FunctionReturnType<Fn>> {
    onMutation?.(nameOf(fn));
    mutations.setAuth(await token());
    return mutations.mutation(fn as Mutation, args, { skipQueue: true }).catch(refusedBy(fn));
  }

  return {
    commit: async (items) =>
      (await mutation(api.assets.batchUpdateAssets, { items: items.map(withMetadataText) })).map(toCommitResult),
    applyStatuses: async (updates) =>
      void (await mutation(api.assets.applyStatuses, { updates: wire(updates.map(withMetadataText)) })),
    applyBatches: async (updates) => void (await mutation(api.batches.apply, { updates: wire(updates) })),
    getAssets: async (assetIds) => (await query(api.assets.getMany, { assetIds: [...assetIds] })).map(toRow),
    listAssets: async (entity, { cursor, limit, ...chosen }) => {
      const paginationOpts = { numItems: limit, cursor: cursor ?? null };
      const answer = await query(api.assets.getAssetsByEntity, { ...wire(entity), ...wire(chosen), paginationOpts });
      return { assets: answer.page.map(toRow), next: answer.isDone ? undefined : answer.continueCursor };
    },
    scanAssets: async (prefix, page) => {
      const { assets, next } = await query(api.assets.scan, { prefix, ...wire(page) });
      return { assets, next: next ?? undefined };
    },
    withdraw: (items) => mutation(api.assets.withdraw, { items: wire(items) }),
    scanSessions: async (page) => {
      const { sessions, next } = await query(api.sessions.scan, wire(page));
      return { sessions, next: next ?? undefined };
    },
    countSession: async (project, session, { write }) => {
      let step: CountStep = { cursor: null, sum: { size: 0, count: 0 } };
      do {
        const args = { project, session, ...step };
        step = write ? await mutation(api.sessions.recount, args) : await query(api.sessions.count, args);
      } while (step.cursor !== null);
      return step.sum;
    },
    putQuarantined: async (objects) => void (await mutation(api.quarantine.put, { objects: wire(objects) })),
    listQuarantined: async (page) => {
      const { objects, next } = await query(api.quarantine.list, wire(page));
      return { objects: objects.map(toQuarantined), next: next ?? undefined };
    },
    removeQuarantined: async (keys) => void (await mutation(api.quarantine.remove, { s3Keys: [...keys] })),
    upsertSession: (project, session, fields) => mutation(api.sessions.upsert, { project, session, ...wire(fields) }),
    upsertScene: (project, session, scene, fields) =>
      mutation(api.scenes.upsert, { project, session, scene, ...wire(fields) }),
    findApiKey: async (keyId) => toApiKey(await query(api.apiKeys.find, { keyId })),
    putApiKey: async (key) => void (await mutation(api.apiKeys.put, wire(key))),
    findMember: async (project, subject) => (await query(api.members.find, { project, subject })) ?? undefined,
    putMember: async (project, subject, role) => void (await mutation(api.members.put, { project, subject, role })),
    listFlags: () => query(api.flags.list, {}),
    putFlag: async (flag) => void (await mutation(api.flags.put, wire(flag))),
    appendAudit: async (entries) => void (await mutation(api.audit.append, { entries: entries.map(withDetailsText) })),
    check: async () => void (await query(api.health.check, {})),
    version: () => query(api.health.version, {}).catch(noSuchFunction),
  };
}

/** Functions from before there was a version refuse the question; in production they say no more than that it failed. */
function noSuchFunction(error: unknown): undefined {
  const refused = error instanceof AppError && (error.code === 'METADATA_REJECTED' || error.code === 'METADATA_FAILED');
  if (!refused) throw error;
}

/** As the contract writes it: `assets.get`, not `assets:get`. */
function nameOf(fn: Query | Mutation): string {
  return getFunctionName(fn).replace(':', '.');
}

/** Throws what a call threw as an error of ours. */
function refusedBy(fn: Query | Mutation): (thrown: unknown) => never {
  return (thrown) => {
    throw toMetadataError(nameOf(fn), thrown);
  };
}
