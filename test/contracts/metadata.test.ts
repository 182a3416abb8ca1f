import { createConvexMetadata } from '#metadata/convex.ts';
import { startEngine } from '../engine.ts';
import { metadataContract } from './metadata.ts';

metadataContract('the embedded Convex', async () => {
  const engine = await startEngine();
  const { url, token } = engine;
  return { metadata: createConvexMetadata({ url, token }), close: () => engine.stop() };
});
