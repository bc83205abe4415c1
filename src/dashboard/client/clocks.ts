import { relative } from '../format.ts';

const TICK_MS = 1_000;

/** `12.0 s`, `3 min 05 s`, `2 h 10 min`: as the server writes it, without tenths. */
function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (part: number): string => String(part).padStart(2, '0');
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  const hours = Math.floor(seconds / 3600);
  if (hours >= 48) return `${Math.floor(hours / 24)} days ${hours % 24} h`;
  return `${hours} h ${two(Math.floor((seconds % 3600) / 60))} min`;
}

/** Writes what each node with this data says of its instant; text that stays is left, with what is selected in it. */
function write(root: ParentNode, name: string, words: (instantMs: number) => string): void {
  for (const node of root.querySelectorAll<HTMLElement>(`[data-${name}]`)) {
    const text = words(Date.parse(node.dataset[name] ?? ''));
    if (node.textContent !== text) node.textContent = text;
  }
}

/** Lengths of time that go on, bars of them, and times in the reader's own zone. */
export function tick(root: ParentNode = document): void {
  const now = Date.now();
  write(root, 'since', (instant) => duration(now - instant));
  write(root, 'until', (instant) => (instant > now ? `in ${duration(instant - now)}` : 'now'));
  write(root, 'ago', (instant) => relative(instant, now));
  for (const bar of root.querySelectorAll<HTMLProgressElement>('progress[data-from]'))
    bar.value = Math.min(bar.max, now - Date.parse(bar.dataset['from'] ?? ''));
  for (const node of root.querySelectorAll<HTMLTimeElement>('time[data-local]')) {
    const at = new Date(node.dateTime);
    node.textContent = at.toLocaleString(undefined, {
      weekday: 'short',
      year: 'numeric',
      month: 'short',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      timeZoneName: 'short',
    });
    delete node.dataset['local'];
  }
}

export function startClocks(): void {
  tick();
  setInterval(tick, TICK_MS);
}
