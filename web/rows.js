export const GAP_PX = 8;
const NARROWEST = 0.6, WIDEST = 2.4;

/**
 * The sizes of pictures in rows: each row fills `width` and is about `height` high, and has at most `most` pictures;
 * the last one is at most `last` high. Each picture keeps its ratio, unless that is extreme. All in CSS pixels;
 * `[{ width, height }]`, in order.
 */
export function rowsOf(ratios, { width, height, most, last }) {
  const sizes = [];
  let row = [];
  const fitting = () => (width - GAP_PX * (row.length - 1)) / row.reduce((sum, ratio) => sum + ratio, 0);

  function close(high) {
    // Rounded down, so that the sum of a row never exceeds the width.
    for (const ratio of row) sizes.push({ width: Math.floor(ratio * high * 100) / 100, height: Math.floor(high * 100) / 100 });
    row = [];
  }

  for (const ratio of ratios.map((each) => Math.min(WIDEST, Math.max(NARROWEST, each)))) {
    const before = row.length ? fitting() : Infinity;
    row.push(ratio);
    if (fitting() > height && row.length < most) continue;
    if (before - height < height - fitting()) { // nearer to the height without it
      row.pop();
      close(before);
      row.push(ratio);
    }
    if (fitting() <= height || row.length === most) close(fitting());
  }
  if (row.length) close(Math.min(last, fitting()));
  return sizes;
}
