import type { RequestHandler, Router } from 'express';
import type { ApiPorts } from './ports.ts';
import { resource } from './resource.ts';
import { sendObject } from './send-object.ts';

/** `GET /objects/<key>?expires=&signature=`: the disk store's signed URLs. The signature is the permission. */
export function objects(router: Router, { store, verifyDiskUrl }: ApiPorts): void {
  const get: RequestHandler = async (req, res) => {
    const { key, filename, download } = verifyDiskUrl(req.originalUrl);
    // Frontends of any origin may read what they were given a URL for.
    res.set('Access-Control-Allow-Origin', '*');
    await sendObject(req, res, store, { key, filename, download });
  };
  resource(router, '/objects/*key', { get });
}
