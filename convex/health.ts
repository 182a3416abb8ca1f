import { v } from 'convex/values';
import { query } from './_generated/server.js';

/** Answers when functions can run. Anyone may ask. */
export const check = query({ args: {}, returns: v.literal('ok'), handler: async () => 'ok' as const });
