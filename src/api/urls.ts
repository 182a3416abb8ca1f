import type { RequestHandler, Router } from 'express';
import type { AssetUrls } from '#answers';
import type { UrlWish } from '#cache/choose-url.ts';
import type { Found } from '#cache/lookup.ts';
import { requireReady, type ServedUrl } from '#cache/url-cache.ts';
import { AppError, toAppError } from '#errors';
import { downloadName } from '#storage/keys.ts';
import { noAsset } from './assets.ts';
import { type Access, type Caller, callerOf } from './auth.ts';
import { correlationIdOf } from './correlation.ts';
import { toBody } from './errors.ts';
import { checkCount, jsonBody, parse } from './parse.ts';
import type { ApiPorts } from './ports.ts';
import { resource } from './resource.ts';
import { assetParams, contentQuery, LIMITS, urlQuery, urlsBody } from './schemas.ts';
import { sendObject } from './send-object.ts';

/** The URLs of assets, one or many, and the bytes themselves where no URL can be had. */
export function urls(router: Router, ports: ApiPorts, access: Access): void {
  const { urlCache, metrics, store } = ports;

  /** Public assets need no permission of a person; an agent stays within its key. */
  async function mayRead(caller: Caller, { entry }: Found): Promise<boolean> {
    if (caller.kind === 'viewer' && entry.visibility === 'public') return true;
    return access.allows(caller, 'assets:read', entry.entity.project);
  }

  async function find(caller: Caller, assetId: string): Promise<Found> {
    const found = await urlCache.find(assetId);
    if (!found || !(await mayRead(caller, found))) throw noAsset(assetId);
    return found;
  }

  async function serve(found: Found, wish?: UrlWish): Promise<ServedUrl> {
    const served = await urlCache.url(found, wish);
    metrics.urlRequests.inc({ served_from: served.servedFrom });
    return served;
  }

  const getUrl: RequestHandler = async (req, res) => {
    const { assetId } = parse(assetParams, req.params);
    const { redirect, ...wish } = parse(urlQuery, req.query);
    const served = await serve(await find(callerOf(res), assetId), wish);
    if (redirect) res.redirect(302, served.url);
    else res.json(served);
  };

  const postUrls: RequestHandler = async (req, res) => {
    checkCount(req.body?.assetIds, LIMITS.ids, 'ids');
    const { assetIds } = parse(urlsBody, req.body);
    const caller = callerOf(res);
    const found = await urlCache.findMany(assetIds);
    const answers = assetIds.map(async (assetId): Promise<AssetUrls[number]> => {
      try {
        const one = found.get(assetId);
        if (one instanceof AppError) throw one;
        if (!one || !(await mayRead(caller, one))) throw noAsset(assetId);
        return { assetId, ...(await serve(one)) };
      } catch (error) {
        return { assetId, ...toBody(toAppError(error), correlationIdOf(res)) };
      }
    });
    res.json({ urls: await Promise.all(answers) });
  };

  const getContent: RequestHandler = async (req, res) => {
    const { assetId } = parse(assetParams, req.params);
    const { download } = parse(contentQuery, req.query);
    const { entry } = await find(callerOf(res), assetId);
    requireReady(entry);
    const filename = downloadName({ ...entry, scene: entry.entity.scene });
    await sendObject(req, res, store, { key: entry.s3Key, filename, download, lacking: 'OBJECT_MISSING' });
  };

  resource(router, '/v1/assets/urls', { post: [...jsonBody, postUrls] });
  resource(router, '/v1/assets/:assetId/url', { get: getUrl });
  resource(router, '/v1/assets/:assetId/content', { get: getContent });
}
