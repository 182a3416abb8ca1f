import { openStorage } from '#local/convex/storage/storage.ts';
import { indexRange, Tables } from '#local/convex/storage/tables.ts';

/** Documents of Convex as they lie on its disk, asked of none of its functions. */
export interface ConvexWalk {
  readonly assets: readonly AssetDocument[];
  readonly batches: readonly { readonly batchId: string; readonly state: string }[];
  readonly scenes: readonly SceneDocument[];
}

export interface AssetDocument {
  readonly assetId: string;
  readonly project: string;
  readonly session: string;
  readonly scene?: string;
  readonly type: string;
  readonly status: string;
  readonly version?: number;
  readonly current: boolean;
  readonly acceptedSeq: number;
  readonly s3Key: string;
  readonly size?: number;
  readonly checksum?: string;
  readonly error?: { readonly code: string };
}

export interface SceneDocument {
  readonly project: string;
  readonly session: string;
  readonly scene: string;
  /** Commits of the scene. */
  readonly assetVersion: number;
}

/** Reads the data folder of an engine that has ended. */
export async function walkConvex(data: string): Promise<ConvexWalk> {
  const storage = openStorage(data);
  try {
    const tables = new Tables(storage);
    const documents = <T>(name: string): T[] => {
      const keys = storage.keys(indexRange(tables.table(name).byId), false, Number.MAX_SAFE_INTEGER);
      return keys.map((key) => JSON.parse(storage.get(key) ?? 'null') as T);
    };
    return { assets: documents('assets'), batches: documents('batches'), scenes: documents('scenes') };
  } finally {
    await storage.close();
  }
}
