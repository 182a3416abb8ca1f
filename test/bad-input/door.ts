import type { AssetRow } from '#metadata/metadata.ts';
import type { Deployment, Process } from '../deployment.ts';
import { until } from '../until.ts';

/** The API as a caller meets it. */
export interface Door {
  /** Sends a request with the key of an agent that may do everything, unless the headers say otherwise. */
  send(path: string, init?: RequestInit): Promise<Response>;
  /** Posts one file of `SCENE`, gives the answer. */
  post(file?: object): Promise<Response>;
  /** What the door said: status and code. */
  verdict(response: Response): Promise<string>;
  /** What became of the first file of an accepted request: `ready` or `error <code>`; of another, the verdict. */
  fate(response: Response): Promise<string>;
}

export const SCENE = { project: 'demo', session: 's-1', scene: 'scene-1' };
const ENDS_WITHIN = 60_000;

export function openDoor(api: Process, { agentKey, metadata }: Pick<Deployment, 'agentKey' | 'metadata'>): Door {
  const send: Door['send'] = (path, init = {}) => {
    const headers = new Headers(init.headers);
    if (!headers.has('authorization')) headers.set('authorization', `Bearer ${agentKey}`);
    return fetch(api.url + path, { ...init, headers });
  };
  const verdict: Door['verdict'] = async (response) => {
    const { error } = (await response.json()) as { error?: { code: string } };
    return error ? `${response.status} ${error.code}` : String(response.status);
  };
  return {
    ...{ send, verdict },
    post(file = {}) {
      const given = {
        assetType: 'source_code',
        filename: 'a.py',
        origin: { kind: 'inline', text: 'print(1)' },
        ...file,
      };
      const body = JSON.stringify({ ...SCENE, files: [given] });
      return send('/v1/uploads', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    },
    async fate(response) {
      if (response.status !== 202) return verdict(response);
      const { jobs } = (await response.json()) as { jobs: { files: { assetId: string }[] }[] };
      const assetId = jobs[0]?.files[0]?.assetId ?? '';
      const ended = async (): Promise<AssetRow | undefined> => {
        const [row] = await metadata.getAssets([assetId]);
        return row?.status === 'ready' || row?.status === 'error' ? row : undefined;
      };
      const row = await until(ended, { within: ENDS_WITHIN, what: `the end of ${assetId}`, every: 100 });
      return row.error ? `${row.status} ${row.error.code}` : row.status;
    },
  };
}
