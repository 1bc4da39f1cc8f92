// How long to wait between tries. Pure.

/** pauseAfter returns how long to wait before the next try: short at first. */
export const pauseAfter = (tries) => Math.min(120 * 1.5 ** Math.max(0, tries - 1), 1500);
