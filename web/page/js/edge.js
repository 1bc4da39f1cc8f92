// Staying near the live edge. Pure.

const target = 0.25; // seconds behind the last fragment that are wanted
const tooFar = 1.0; // seconds behind at which playing jumps

/** chase decides how to stay near the live edge; it returns {jump: time} or {rate}. */
export function chase(time, start, end) {
  if (time < start - 0.05 || end - time > tooFar) return { jump: Math.max(start, end - target) };
  return { rate: end - time > target + 0.35 ? 1.2 : 1 };
}
