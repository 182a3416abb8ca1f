import { v } from 'convex/values';
import { query } from './_generated/server.js';
import { VERSION } from './model/version.ts';

/** Answers when functions can run. Anyone may ask. */
export const check = query({ args: {}, returns: v.literal('ok'), handler: async () => 'ok' as const });

/** Tells which version of the functions is deployed. Anyone may ask. */
export const version = query({ args: {}, returns: v.string(), handler: async () => VERSION });
