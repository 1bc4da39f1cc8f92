// What the page reads and writes in a live fragment (ISO/IEC 14496-12 §8.8):
// its decode time, and how long its one sample lasts. A server sends each
// picture at once, before anyone knows when the next one comes; MediaSource
// throws away everything up to the next key frame where a picture comes later
// than twice the told duration. So each is told its true one. Pure.

const flag = { dataOffset: 0x1, firstFlags: 0x4, duration: 0x100 };

/** boxes yields {type, at, end} of the boxes in [from, to): at is where the content begins. */
function* boxes(view, from, to) {
  while (from + 8 <= to) {
    const size = view.getUint32(from);
    if (size < 8 || from + size > to) return;
    yield { type: String.fromCharCode(...[4, 5, 6, 7].map((i) => view.getUint8(from + i))), at: from + 8, end: from + size };
    from += size;
  }
}

const find = (view, from, to, type) => [...boxes(view, from, to)].find((b) => b.type === type);

/** timing returns {decode, duration, at} in units of the track, at: where the duration stands; undefined if it is no such fragment. */
export function timing(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const moof = find(view, 0, view.byteLength, "moof");
  const traf = moof && find(view, moof.at, moof.end, "traf");
  const tfdt = traf && find(view, traf.at, traf.end, "tfdt");
  const trun = traf && find(view, traf.at, traf.end, "trun");
  if (!tfdt || !trun || trun.end - trun.at < 12) return undefined;
  const flags = view.getUint32(trun.at) & 0xffffff;
  const at = trun.at + 8 + (flags & flag.dataOffset ? 4 : 0) + (flags & flag.firstFlags ? 4 : 0);
  if (!(flags & flag.duration) || view.getUint32(trun.at + 4) !== 1 || at + 4 > trun.end) return undefined;
  const long = view.getUint8(tfdt.at) === 1;
  if (tfdt.end - tfdt.at < (long ? 12 : 8)) return undefined;
  return { decode: long ? Number(view.getBigUint64(tfdt.at + 4)) : view.getUint32(tfdt.at + 4), duration: view.getUint32(at), at };
}

/** Pacer gives each fragment its true duration: it holds one back until the next is there. */
export class Pacer {
  #held = null;

  /** next takes a fragment and returns those that can be played now. */
  next(bytes) {
    const now = timing(bytes);
    const ready = [];
    if (this.#held) {
      const { bytes: before, decode, at } = this.#held;
      const step = (now?.decode ?? 0) - decode;
      if (step > 0 && step < 2 ** 32) new DataView(before.buffer, before.byteOffset).setUint32(at, step);
      ready.push(before);
      this.#held = null;
    }
    if (now) this.#held = { bytes, ...now };
    else ready.push(bytes);
    return ready;
  }

  /** flush returns what is held back, at the end of a session. */
  flush() {
    const ready = this.#held ? [this.#held.bytes] : [];
    this.#held = null;
    return ready;
  }
}
