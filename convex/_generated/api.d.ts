/* eslint-disable */
/**
 * Generated `api` utility.
 *
 * THIS CODE IS AUTOMATICALLY GENERATED.
 *
 * To regenerate, run `npx convex dev`.
 * @module
 */

import type {
  ApiFromModules,
  FilterApi,
  FunctionReference,
} from "convex/server";
import type * as apiKeys from "../apiKeys.js";
import type * as assets from "../assets.js";
import type * as audit from "../audit.js";
import type * as batches from "../batches.js";
import type * as flags from "../flags.js";
import type * as health from "../health.js";
import type * as members from "../members.js";
import type * as model_access from "../model/access.js";
import type * as model_api_keys from "../model/api_keys.js";
import type * as model_assets from "../model/assets.js";
import type * as model_commit from "../model/commit.js";
import type * as model_commit_item from "../model/commit_item.js";
import type * as model_commit_rows from "../model/commit_rows.js";
import type * as model_deletion from "../model/deletion.js";
import type * as model_entities from "../model/entities.js";
import type * as model_fields from "../model/fields.js";
import type * as model_keys from "../model/keys.js";
import type * as model_limit from "../model/limit.js";
import type * as model_scan from "../model/scan.js";
import type * as model_statuses from "../model/statuses.js";
import type * as model_totals from "../model/totals.js";
import type * as model_version from "../model/version.js";
import type * as model_views from "../model/views.js";
import type * as model_withdrawal from "../model/withdrawal.js";
import type * as quarantine from "../quarantine.js";
import type * as scenes from "../scenes.js";
import type * as sessions from "../sessions.js";

/**
 * A utility for referencing Convex functions in your app's API.
 *
 * Usage:
 * ```js
 * const myFunctionReference = api.myModule.myFunction;
 * ```
 */
declare const fullApi: ApiFromModules<{
  apiKeys: typeof apiKeys;
  assets: typeof assets;
  audit: typeof audit;
  batches: typeof batches;
  flags: typeof flags;
  health: typeof health;
  members: typeof members;
  "model/access": typeof model_access;
  "model/api_keys": typeof model_api_keys;
  "model/assets": typeof model_assets;
  "model/commit": typeof model_commit;
  "model/commit_item": typeof model_commit_item;
  "model/commit_rows": typeof model_commit_rows;
  "model/deletion": typeof model_deletion;
  "model/entities": typeof model_entities;
  "model/fields": typeof model_fields;
  "model/keys": typeof model_keys;
  "model/limit": typeof model_limit;
  "model/scan": typeof model_scan;
  "model/statuses": typeof model_statuses;
  "model/totals": typeof model_totals;
  "model/version": typeof model_version;
  "model/views": typeof model_views;
  "model/withdrawal": typeof model_withdrawal;
  quarantine: typeof quarantine;
  scenes: typeof scenes;
  sessions: typeof sessions;
}>;
export declare const api: FilterApi<
  typeof fullApi,
  FunctionReference<any, "public">
>;
export declare const internal: FilterApi<
  typeof fullApi,
  FunctionReference<any, "internal">
>;
