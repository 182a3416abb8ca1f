import { ConvexError } from 'convex/values';
import type { QueryCtx } from '../_generated/server.js';
import type { MemberRole } from './fields.ts';

/** Subject of the tokens that Reelay's own processes sign for themselves. */
const SERVICE = 'service';
const RANK: Record<MemberRole, number> = { viewer: 1, editor: 2, admin: 3 };

/** The error every refusal of these functions is: `code` is one of Reelay's, `message` a sentence. */
export function refusal(code: string, message: string): ConvexError<{ code: string; message: string }> {
  return new ConvexError({ code, message });
}

/** Throws `UNAUTHENTICATED` without a token; enough to be told that a thing does not exist. */
export async function requireIdentity(ctx: Pick<QueryCtx, 'auth'>): Promise<void> {
  await subjectOf(ctx);
}

/** Throws `UNAUTHENTICATED` without a token, `FORBIDDEN` for any but the service's. */
export async function requireService(ctx: Pick<QueryCtx, 'auth'>): Promise<void> {
  if ((await subjectOf(ctx)) !== SERVICE) throw refusal('FORBIDDEN', 'Only the service may call this function.');
}

/** Lets the service pass, and people with `role` or a higher one in the project; throws `FORBIDDEN` for others. */
export async function requireMember(ctx: Pick<QueryCtx, 'auth' | 'db'>, project: string, role: MemberRole) {
  const subject = await subjectOf(ctx);
  if (subject === SERVICE) return;
  const member = await findMember(ctx, project, subject);
  if (!member || RANK[member.role] < RANK[role]) {
    throw refusal('FORBIDDEN', `It takes the role ${role} in project ${project}.`);
  }
}

export function findMember(ctx: Pick<QueryCtx, 'db'>, project: string, subject: string) {
  return ctx.db
    .query('members')
    .withIndex('by_project_and_subject', (q) => q.eq('project', project).eq('subject', subject))
    .unique();
}

async function subjectOf(ctx: Pick<QueryCtx, 'auth'>): Promise<string> {
  const identity = await ctx.auth.getUserIdentity();
  if (!identity) throw refusal('UNAUTHENTICATED', 'A token signed by the service is needed.');
  return identity.subject;
}
