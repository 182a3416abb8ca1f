import { build } from 'esbuild';
import { expect, test } from 'vitest';

test('the client bundles for a browser, with nothing of Node', async () => {
  const { outputFiles, metafile } = await build({
    entryPoints: [`${import.meta.dirname}/client.ts`],
    ...{ bundle: true, write: false, metafile: true, format: 'esm', platform: 'browser', logLevel: 'silent' },
  });
  expect(outputFiles[0]?.text).toContain('createClient');
  const ours = Object.keys(metafile.inputs).filter(
    (path) => path.startsWith('src/') && !path.startsWith('src/client/'),
  );
  expect(ours.filter((path) => !/^src\/(answers[\w-]*|errors|domain)\.ts$/.test(path))).toEqual([]);
});
