import { sizeText } from './output.ts';

/** The rate is of the last so many milliseconds, so that it follows a line that becomes slow. */
const WINDOW_MS = 10_000;

/** Tells how fast bytes go, from their sum as it grows. */
export function createRate(clock: () => number) {
  let samples: { at: number; bytes: number }[] = [];

  function perSecond(): number {
    const [first, last] = [samples[0], samples.at(-1)];
    if (!first || !last || last.at === first.at) return 0;
    return Math.max(0, ((last.bytes - first.bytes) * 1_000) / (clock() - first.at));
  }
  return {
    add(bytes: number) {
      const at = clock();
      const last = samples.at(-1);
      // Chunks come by the thousand; ten samples a second draw the same line.
      if (last && samples.length > 1 && at - last.at < 100) last.bytes = bytes;
      else samples.push({ at, bytes });
      samples = samples.filter((sample) => at - sample.at <= WINDOW_MS);
    },
    text: () => `${sizeText(perSecond())}/s`,
    /** How long `bytes` more will take, in words. */
    left(bytes: number): string {
      const speed = perSecond();
      if (bytes <= 0) return '0 s';
      return speed === 0 ? '–' : durationText(bytes / speed);
    },
  };
}

/** `40 s`, `3 min 05 s`, `2 h 10 min`. */
function durationText(seconds: number): string {
  const whole = Math.ceil(seconds);
  const two = (n: number) => String(n).padStart(2, '0');
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3_600)} h ${two(Math.floor((whole % 3_600) / 60))} min`;
}
