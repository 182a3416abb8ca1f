import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RequestHandler, Router } from 'express';
import { z } from 'zod';
import { routeNotFound } from './errors.ts';
import { parse } from './parse.ts';
import { resource } from './resource.ts';

const BUNDLE = dirname(fileURLToPath(import.meta.resolve('swagger-ui-dist/package.json')));

/** Swagger UI's own files that the page asks for, and two of ours. */
const VENDOR = new Set(['swagger-ui-bundle.js', 'swagger-ui.css', 'favicon-32x32.png']);
const OWN: Readonly<Record<string, string>> = {
  'start.js': `SwaggerUIBundle({
  url: 'openapi.json',
  dom_id: '#docs',
  deepLinking: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: -1,
  displayRequestDuration: true,
  validatorUrl: null,
});
`,
  // The page has no links between operations; on a phone, names and paths of Swagger UI want lines of their own.
  'page.css': `body { margin: 0 }
.swagger-ui .response-col_links, .swagger-ui .view-line-link { display: none }
@media (max-width: 640px) {
  .swagger-ui .wrapper { padding: 0 12px }
  .swagger-ui .info { margin: 16px 0 }
  .swagger-ui .scheme-container { padding: 12px 0 }
  .swagger-ui .opblock-tag { flex-wrap: wrap }
  .swagger-ui .opblock-tag a { flex: 1 }
  .swagger-ui .opblock-tag small { order: 1; flex-basis: 100%; padding: 0 }
  .swagger-ui .opblock .opblock-summary-method { min-width: 58px; padding: 6px 4px; font-size: 12px }
  .swagger-ui .opblock .opblock-summary-path { max-width: none }
  .swagger-ui .opblock .opblock-summary-path-description-wrapper { flex-direction: column; align-items: start; gap: 2px }
  .swagger-ui .opblock .opblock-summary-path, .swagger-ui .opblock .opblock-summary-description { padding: 0 10px }
  .swagger-ui .parameters-col_name { width: 7em; max-width: 35% }
  .swagger-ui .response-col_status { width: 3em }
  .swagger-ui .responses-inner { padding: 12px }
  .swagger-ui .response-col_description { overflow-wrap: anywhere }
}
`,
};

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Reelay: the HTTP API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="stylesheet" href="docs/page.css">
<div id="docs"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</html>
`;

/** Nothing of the page comes from elsewhere, nor does it call anybody else. Swagger UI draws its icons as data: URLs. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const fileParams = z.object({ file: z.string() });

/** `GET /docs`: `/openapi.json` as a page that needs no other host. */
export function docs(router: Router): void {
  const getPage: RequestHandler = (_req, res) => {
    res.set('Content-Security-Policy', POLICY).type('html').send(PAGE);
  };
  const getFile: RequestHandler = (req, res, next) => {
    const { file } = parse(fileParams, req.params);
    const own = OWN[file];
    if (own !== undefined) res.type(file).send(own);
    else if (VENDOR.has(file)) res.set('Cache-Control', 'public, max-age=3600').sendFile(file, { root: BUNDLE });
    else routeNotFound(req, res, next);
  };
  resource(router, '/docs', { get: getPage });
  resource(router, '/docs/:file', { get: getFile });
}
