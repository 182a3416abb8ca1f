import { ASSET_TYPES, type AssetType } from '#domain';
import type { Lane } from './catalog.ts';

const MIB = 1024 * 1024;

/** Limits of packs, in bytes and files. Measured: 50 files a job carry thirteen times what one a job does. */
export const PACKING = {
  /** A file up to this size travels with others. */
  sharedFile: MIB,
  sharedFiles: 50,
  sharedBytes: 8 * MIB,
  /** A file up to this size is a pack of its own in lane `small`; above it goes to `large`. */
  smallFile: 64 * MIB,
  /** A file of unknown size starts in lane `small` and moves over past this many bytes. */
  unknownFile: 16 * MIB,
} as const;

export interface Packable {
  readonly assetType: AssetType;
  /** Bytes; undefined when it is not known before reading. */
  readonly size?: number | undefined;
}

interface PackPlan<File> {
  readonly lane: Exclude<Lane, 'maintenance'>;
  readonly files: readonly File[];
}

/**
 * Sizes and types in, packs out. Small files are packed in order of type, so that a pack's commits
 * touch few entities; within a type they keep the caller's order. Every file is in exactly one pack.
 */
export function packFiles<File extends Packable>(files: readonly File[]): PackPlan<File>[] {
  const packs: PackPlan<File>[] = [];
  const shared: File[] = [];
  for (const file of files) {
    if (file.size === undefined) packs.push({ lane: 'small', files: [file] });
    else if (file.size <= PACKING.sharedFile) shared.push(file);
    else packs.push({ lane: file.size <= PACKING.smallFile ? 'small' : 'large', files: [file] });
  }
  return [...packShared(shared), ...packs];
}

function packShared<File extends Packable>(files: readonly File[]): PackPlan<File>[] {
  const byType = files.toSorted((a, b) => ASSET_TYPES.indexOf(a.assetType) - ASSET_TYPES.indexOf(b.assetType));
  const packs: { lane: 'small'; files: File[] }[] = [];
  let room: { files: number; bytes: number } = { files: 0, bytes: 0 };
  for (const file of byType) {
    const size = file.size ?? 0;
    const last = packs.at(-1);
    if (last && room.files > 0 && room.bytes >= size) {
      last.files.push(file);
      room = { files: room.files - 1, bytes: room.bytes - size };
    } else {
      packs.push({ lane: 'small', files: [file] });
      room = { files: PACKING.sharedFiles - 1, bytes: PACKING.sharedBytes - size };
    }
  }
  return packs;
}
