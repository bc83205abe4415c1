type Row = {
  open: number | null;
  high: number | null;
  low: number | null;
  close: number | null;
  volume: number | null;
};

/**
 * Why a row cannot be a bar at all, whoever vouches for it; null if it can. An open or close outside low and high is
 * a doubt that a person may settle, a missing or impossible number is not.
 */
export function whyNotStorable(row: Row): string | null {
  for (const field of ['open', 'high', 'low', 'close'] as const) {
    const price = row[field];
    if (price === null || !Number.isFinite(price)) return `it has no ${field}`;
    if (price <= 0) return `its ${field} is ${price}`;
  }
  const { volume } = row;
  if (volume === null || !Number.isFinite(volume)) return 'it has no volume';
  return volume < 0 ? `its volume is ${volume}` : null;
}
