// Scales and ticks that the two pictures share.

// From 0 to 1 along an axis; null where there is no value.
function share_of(axis, v) {
  if (v === null) return null;
  if (!axis.numbers) return (axis.distinct.indexOf(v) + 0.5) / axis.distinct.length;
  const low = axis.distinct[0], high = axis.distinct.at(-1);
  return axis.log ? Math.log(v / low) / Math.log(high / low) : (v - low) / (high - low);
}

// Round numbers within an axis, or its values where they are few.
function candidates_of(axis, most) {
  if (!axis.numbers || axis.distinct.length <= most) return axis.distinct;
  const low = axis.distinct[0], high = axis.distinct.at(-1), out = [];
  if (axis.log) {
    for (let p = Math.floor(Math.log10(low)); p <= Math.log10(high); p++)
      for (const d of [1, 2, 5]) out.push(Number(`${d}e${p}`));
    return out.filter((v) => v >= low && v <= high);
  }
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((d) => d * power).find((s) => s >= rough);
  for (let k = Math.ceil(low / step); k * step <= high; k++) out.push(Number((k * step).toPrecision(12)));
  return out;
}

// Values to write on an axis, at most so many and none too close to the one before.
function ticks_of(axis, most) {
  let last = -1;
  return candidates_of(axis, most).filter((v) => {
    const at = share_of(axis, v);
    if (last >= 0 && at - last < 0.8 / most) return false;
    last = at;
    return true;
  });
}

// Draws again whenever the width of `place` changes.
function follow_width(place, draw) {
  let last = 0;
  new ResizeObserver(() => {
    const width = Math.min(place.clientWidth, 880);
    if (width > 0 && width !== last) draw((last = width));
  }).observe(place);
}
