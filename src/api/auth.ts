import type { RequestHandler, Response } from 'express';
import { LRUCache } from 'lru-cache';
import { AppError } from '#errors';
import type { ApiKey, Metadata, Scope } from '#metadata/metadata.ts';
import { readApiKey, secretMatches } from './api-key.ts';
import { createKnownKeys } from './known-keys.ts';

/** Who is calling: an agent by its key, or a person by a token. */
export type Caller =
  | { readonly kind: 'agent'; readonly id: string; readonly key: ApiKey }
  | { readonly kind: 'viewer'; readonly id: string };

/** Who may do what. People read the projects they are members of; agents act within their key. */
export interface Access {
  /** Reads `Authorization: Bearer …`. Throws `UNAUTHENTICATED`. */
  authenticate(header: string | undefined): Promise<Caller>;
  /** Throws `FORBIDDEN` without the scope; for requests whose project is not known yet. */
  requireScope(caller: Caller, scope: Scope): void;
  /** Throws `FORBIDDEN` without the scope in all projects. */
  requireEverywhere(caller: Caller, scope: Scope): void;
  /** Throws `FORBIDDEN` without the scope in that project; for projects the caller named. */
  require(caller: Caller, scope: Scope, project: string): Promise<void>;
  /** True with the scope in that project; for things found by id, where no is the same as not there. */
  allows(caller: Caller, scope: Scope, project: string): Promise<boolean>;
}

interface AccessPorts {
  readonly metadata: Pick<Metadata, 'findApiKey' | 'findMember'>;
  readonly clock: () => number;
  readonly verifyViewer: (token: string) => Promise<{ subject: string } | undefined>;
}

/** A membership is believed this long before it is asked for again. */
const FRESH_MS = 30_000;
const ADMIN_KEY = 'Use such a key. The embedded stack keeps one in credentials.json, as adminKey.';
const REMEMBERED = 10_000;

/** Tells who calls and what that caller may see; keys and memberships are remembered for 30 s. */
export function createAccess({ metadata, clock, verifyViewer }: AccessPorts): Access {
  const findKey = createKnownKeys(metadata, clock);
  const members = new LRUCache<string, { member: boolean; at: number }>({ max: REMEMBERED });

  async function authenticateKey(keyId: string, secret: string): Promise<Caller> {
    const key = await findKey(keyId);
    if (!key || !secretMatches(secret, key.secretHash)) throw unauthenticated('The API key is not known.');
    if (key.revokedAt !== undefined) throw unauthenticated('The API key was revoked.');
    if (key.expiresAt !== undefined && key.expiresAt <= clock()) throw unauthenticated('The API key has expired.');
    return { kind: 'agent', id: keyId, key };
  }

  async function isMember(project: string, subject: string): Promise<boolean> {
    const name = JSON.stringify([project, subject]);
    const known = members.get(name);
    if (known && clock() - known.at < FRESH_MS) return known.member;
    const member = (await metadata.findMember(project, subject)) !== undefined;
    members.set(name, { member, at: clock() });
    return member;
  }

  async function allows(caller: Caller, scope: Scope, project: string): Promise<boolean> {
    if (!hasScope(caller, scope)) return false;
    if (caller.kind === 'viewer') return isMember(project, caller.id);
    return caller.key.projects?.includes(project) ?? true;
  }

  return {
    async authenticate(header) {
      const token = /^Bearer +(\S+)$/i.exec(header ?? '')?.[1];
      if (!token) throw unauthenticated('The request carries no API key or token.');
      const parts = readApiKey(token);
      if (parts) return authenticateKey(parts.keyId, parts.secret);
      const viewer = await verifyViewer(token);
      if (!viewer) throw unauthenticated('The token is not valid, or has expired.');
      return { kind: 'viewer', id: viewer.subject };
    },
    requireScope(caller, scope) {
      if (hasScope(caller, scope)) return;
      throw new AppError('FORBIDDEN', `The caller has no ${scope}.`, { details: { scope } });
    },
    requireEverywhere(caller, scope) {
      if (hasScope(caller, scope) && caller.kind === 'agent' && caller.key.projects === undefined) return;
      throw new AppError('FORBIDDEN', `This takes a key with the scope ${scope} in all projects.`, {
        nextAction: scope === 'admin' ? ADMIN_KEY : `Use such a key, or name a project in which the key has ${scope}.`,
        details: { scope },
      });
    },
    async require(caller, scope, project) {
      if (await allows(caller, scope, project)) return;
      throw new AppError('FORBIDDEN', `The caller has no ${scope} in project ${project}.`, {
        details: { scope, project },
      });
    },
    allows,
  };
}

/** People only read; what they read is decided by their memberships. */
function hasScope(caller: Caller, scope: Scope): boolean {
  return caller.kind === 'viewer' ? scope === 'assets:read' : caller.key.scopes.includes(scope);
}

/** Lets only known callers through to the routes behind it. */
export function authenticated(access: Access): RequestHandler {
  return async (req, res, next) => {
    res.locals.caller = await access.authenticate(req.get('authorization'));
    next();
  };
}

/** Lets only callers with the scope through, before anything of the request is read. */
export function scoped(access: Access, scope: Scope): RequestHandler {
  return (_req, res, next) => {
    access.requireScope(callerOf(res), scope);
    next();
  };
}

/** The same, when they have the scope in all projects. */
export function scopedEverywhere(access: Access, scope: Scope): RequestHandler {
  return (_req, res, next) => {
    access.requireEverywhere(callerOf(res), scope);
    next();
  };
}

/** Who sent the request: set by the sign-in that ran before the route. */
export function callerOf(res: Response): Caller {
  return res.locals.caller as Caller;
}

function unauthenticated(message: string): AppError {
  return new AppError('UNAUTHENTICATED', message);
}
