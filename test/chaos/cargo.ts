import { createHash } from 'node:crypto';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { AssetType } from '#domain';
import { seededBytes, seededRandom, seededSizes } from './seeded.ts';

/** One file to be uploaded, and what must come of it. */
export interface CargoFile {
  /** Unique in the run: by it the judge knows the file again. */
  readonly name: string;
  readonly size: number;
  /** SHA-256 in hex. */
  readonly checksum: string;
  readonly assetType: AssetType;
  /** How its bytes come in. */
  readonly by: 'path' | 'inline' | 'form';
}

/** One request: files of one scene or session. */
export interface CargoRequest {
  readonly key: string;
  readonly entity: { readonly project: string; readonly session: string; readonly scene?: string };
  readonly files: readonly CargoFile[];
}

export interface CargoSize {
  readonly files: number;
  /** Bytes in all, and of the largest file. */
  readonly bytes: number;
  readonly largest: number;
}

const LEAST = 1_000;
const MOST_INLINE = 64_000;
const MOST_OF_A_FORM = 8_000_000;
/** Files; fewer than are sent from one fault to the next, so that there are some for each. */
const MOST_OF_A_REQUEST = 80;
const MOST_PART_OF_A_REQUEST = 0.05;
const SESSIONS = 4;
const SCENES = 25;
const SCENE_TYPES: readonly AssetType[] = ['video_chunk', 'source_code', 'thumbnail', 'subtitle'];
const SESSION_TYPES: readonly AssetType[] = ['combined_video', 'combined_subtitle'];

/** The same files in the same requests for the same seed; those that come by path are written to `dir`. */
export async function loadCargo(dir: string, seed: number, size: CargoSize): Promise<CargoRequest[]> {
  const random = seededRandom(seed);
  const pick = <T>(of: readonly T[]) => of[Math.floor(random() * of.length)] as T;
  const sizes = seededSizes(random, { count: size.files, total: size.bytes, least: LEAST, most: size.largest });
  await mkdir(dir, { recursive: true });
  const requests: CargoRequest[] = [];
  for (let at = 0; at < sizes.length; ) {
    const chunk = sizes.slice(
      at,
      at + 1 + Math.floor(random() * Math.min(MOST_OF_A_REQUEST, size.files * MOST_PART_OF_A_REQUEST)),
    );
    const session = { project: 'chaos', session: `session-${Math.floor(random() * SESSIONS)}` };
    const isScene = random() < 0.9;
    const entity = isScene ? { ...session, scene: `scene-${Math.floor(random() * SCENES)}` } : session;
    const types = isScene ? SCENE_TYPES : SESSION_TYPES;
    const isForm = random() < 0.2 && chunk.reduce((all, bytes) => all + bytes, 0) < MOST_OF_A_FORM;
    const formType = pick(types);
    const files: CargoFile[] = [];
    for (const bytes of chunk) {
      const by = isForm ? 'form' : bytes <= MOST_INLINE && random() < 0.3 ? 'inline' : 'path';
      const assetType = isForm ? formType : pick(types);
      files.push(await makeFile(dir, `${seed}-${at}.bin`, { size: bytes, assetType, by }));
      at += 1;
    }
    requests.push({ key: `chaos-${seed}-${requests.length}`, entity, files });
  }
  return requests;
}

/** The whole of a file that does not come by path. */
export function bytesOf({ name, size }: CargoFile): Buffer<ArrayBuffer> {
  return Buffer.concat([...seededBytes(name, size)]);
}

async function makeFile(
  dir: string,
  name: string,
  facts: Pick<CargoFile, 'size' | 'assetType' | 'by'>,
): Promise<CargoFile> {
  const hash = createHash('sha256');
  const file = facts.by === 'path' ? await open(join(dir, name), 'w') : undefined;
  for (const chunk of seededBytes(name, facts.size)) {
    hash.update(chunk);
    await file?.write(chunk);
  }
  await file?.close();
  return { name, checksum: hash.digest('hex'), ...facts };
}
