import { toDecide } from '../format.ts';
import { tick } from './clocks.ts';
import { morph } from './morph.ts';
import { untilBack } from './until-back.ts';

/** The server says something every fifteen seconds; one that says nothing for so long is gone. */
const SILENT_MS = 40_000;
const LOGGED_OUT = 'not live: you are not logged in any more';

/** How far what is shown can be trusted: it is as of now, it is older and somebody tries, it stays old. */
type State = 'live' | 'old' | 'off';

/** Follows the night: the server sends the board when it has changed. */
export function startLive(): void {
  const board = document.getElementById('board');
  const address = board?.dataset['live'];
  if (board === null || address === undefined) return;
  const show = boardShower(board);
  let failures = 0;

  const open = (): void => {
    const source = new EventSource(address);
    const isOver = new AbortController();
    const end = (state: State, words: string): void => {
      source.close();
      isOver.abort();
      say(state, words);
    };
    const lost = (): void => {
      end('old', 'connection lost, trying again');
      void comeBack();
    };
    let silence = setTimeout(lost, SILENT_MS);
    isOver.signal.addEventListener('abort', () => clearTimeout(silence));
    const on = (name: string, then: (data: string) => void): void =>
      source.addEventListener(name, (event: MessageEvent) => {
        clearTimeout(silence);
        silence = setTimeout(lost, SILENT_MS);
        then(String(event.data));
      });
    on('board', (html) => {
      failures = 0;
      say('live', 'live');
      show(html);
    });
    on('beat', () => undefined);
    on('stale', (words) => say('old', `not up to date: ${words}`));
    on('over', () => end('off', LOGGED_OUT));
    on('full', () => end('off', 'not live: too many pages are open; reload to see more'));
    source.addEventListener('error', lost);
  };

  /** An event source does not tell why it failed: the page's own status does. */
  const comeBack = async (): Promise<void> => {
    const status = await untilBack(location.pathname, failures);
    failures += 1;
    if (status === 401) say('off', LOGGED_OUT);
    else open();
  };
  open();
}

function say(state: State, words: string): void {
  const told = document.getElementById('live-state');
  if (told === null) return;
  if (told.textContent !== words) told.textContent = words;
  const line = told.closest<HTMLElement>('.live-line');
  if (line !== null) line.dataset['state'] = state;
}

/** Draws a board over the one that is there, and tells a screen reader, the navigation and the title what is new. */
function boardShower(board: HTMLElement): (html: string) => void {
  const announcer = document.getElementById('announcer');
  const count = document.getElementById('to-decide');
  const announced = (): string | undefined =>
    board.querySelector<HTMLElement>('[data-announce]')?.dataset['announce'];
  let told = announced();
  return (html) => {
    const held = board.contains(document.activeElement);
    morph(board, html);
    tick(board);
    // What had the focus is decided and gone: the keyboard goes on from the content, not from the top.
    if (held && !board.contains(document.activeElement))
      document.getElementById('main')?.focus({ preventScroll: true });
    const words = announced();
    if (words !== undefined && words !== told && announcer !== null) announcer.textContent = words;
    told = words;
    const waiting = board.querySelectorAll('.review').length;
    if (count !== null) count.textContent = toDecide(waiting);
    const title = document.title.replace(/^\(\d+\) /, '');
    document.title = waiting === 0 ? title : `(${waiting}) ${title}`;
  };
}
