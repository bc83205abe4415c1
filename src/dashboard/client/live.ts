import { tick } from './clocks.ts';

/** What the server drew last, part by part: only parts that changed are replaced. */
const drawn = new Map<string, string>();

function partsOf(root: ParentNode): HTMLElement[] {
  return [...root.querySelectorAll<HTMLElement>('[data-part]')];
}

/** Puts a newly drawn board in place of the old one; focus, selection and typed text stay. */
function swap(board: HTMLElement, html: string): void {
  const template = document.createElement('template');
  template.innerHTML = html;
  const fresh = partsOf(template.content);
  const old = new Map(partsOf(board).map((part) => [part.dataset['part'] ?? '', part]));
  const isSameOrder = fresh.map((part) => part.dataset['part']).join() === [...old.keys()].join();
  const kept = keep(board);
  if (isSameOrder) {
    for (const part of fresh) {
      const name = part.dataset['part'] ?? '';
      if (drawn.get(name) === part.outerHTML) continue;
      drawn.set(name, part.outerHTML);
      old.get(name)?.replaceWith(part);
    }
  } else {
    drawn.clear();
    for (const part of fresh) drawn.set(part.dataset['part'] ?? '', part.outerHTML);
    board.replaceChildren(template.content);
  }
  kept();
  tick(board);
}

/** Remembers what a person has typed, opened and focused; the result puts it back. */
function keep(board: HTMLElement): () => void {
  const active = document.activeElement;
  const focusedId = active instanceof HTMLElement && board.contains(active) ? active.id : '';
  const selection =
    active instanceof HTMLInputElement || active instanceof HTMLTextAreaElement
      ? [active.selectionStart, active.selectionEnd]
      : null;
  const typed = new Map<string, string>();
  for (const field of board.querySelectorAll<HTMLInputElement | HTMLTextAreaElement>(
    'input[id], textarea[id]',
  ))
    if (field.value !== field.defaultValue) typed.set(field.id, field.value);
  const open = [...board.querySelectorAll<HTMLDetailsElement>('details[id][open]')].map(({ id }) => id);
  return () => {
    for (const [id, value] of typed) {
      const field = document.getElementById(id);
      if (field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement) field.value = value;
    }
    for (const id of open) {
      const details = document.getElementById(id);
      if (details instanceof HTMLDetailsElement) details.open = true;
    }
    const again = focusedId === '' ? null : document.getElementById(focusedId);
    if (again === null || again === document.activeElement) return;
    again.focus({ preventScroll: true });
    if (selection !== null && (again instanceof HTMLInputElement || again instanceof HTMLTextAreaElement))
      again.setSelectionRange(selection[0] ?? null, selection[1] ?? null);
  };
}

/** Follows the night: the server sends the board when it has changed. */
export function startLive(): void {
  const board = document.getElementById('board');
  const address = board?.dataset['live'];
  if (board === null || address === undefined) return;
  const state = document.getElementById('live-state');
  const announcer = document.getElementById('announcer');
  for (const part of partsOf(board)) drawn.set(part.dataset['part'] ?? '', part.outerHTML);
  let told = board.querySelector<HTMLElement>('[data-announce]')?.dataset['announce'];
  const say = (words: string): void => {
    if (state !== null && state.textContent !== words) state.textContent = words;
  };
  const source = new EventSource(address);
  source.addEventListener('open', () => say('live'));
  source.addEventListener('board', (event) => {
    say('live');
    swap(board, String(event.data));
    const words = board.querySelector<HTMLElement>('[data-announce]')?.dataset['announce'];
    if (words !== undefined && words !== told && announcer !== null) announcer.textContent = words;
    told = words;
  });
  source.addEventListener('full', () => {
    source.close();
    say('not live: too many pages are open; reload to see more');
  });
  source.addEventListener('error', () => {
    say(
      source.readyState === EventSource.CLOSED
        ? 'not live: reload the page'
        : 'connection lost, trying again',
    );
  });
}
