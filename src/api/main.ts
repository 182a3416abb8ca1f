#!/usr/bin/env node
import { compose } from '#compose';
import { verifyViewerToken } from '#metadata/service-token.ts';
import { runProcess } from '#process';
import { verifyDiskUrl } from '#storage/disk-url.ts';
import { createApi } from './app.ts';
import { serve } from './serve.ts';

await runProcess(async (config) => {
  const parts = await compose(config, 'api', 'caller');
  const { log, signingKey, urlSecret } = parts;
  const closing = new AbortController();
  const api = createApi({
    ...parts,
    closing: closing.signal,
    clock: Date.now,
    verifyViewer: (token) => verifyViewerToken(signingKey, token),
    verifyDiskUrl: (pathAndQuery) => verifyDiskUrl(urlSecret, pathAndQuery, Date.now()),
  });
  const serving = await serve(api, config);
  log.info({ host: config.host, port: serving.port }, 'The API serves');
  return {
    async close() {
      closing.abort();
      await serving.close();
      await parts.close();
    },
  };
});
