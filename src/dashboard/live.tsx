import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiLog } from '../api/deps.ts';
import { problemOf } from '../api/problems.ts';
import { Board } from './components/board.tsx';
import { drawn } from './components/drawn.ts';
import type { Chrome } from './deps.ts';
import type { TonightReader, TonightView } from './tonight.ts';

const POLL_MS = 1_000;
const MOST_LISTENERS = 64;
/** Of one token, so that nobody takes every place. */
const MOST_OF_TOKEN = 16;
/** Stands where a login's own token goes: one drawing serves all listeners of a role. */
const CSRF_PLACE = 'csrf-of-this-login';

type BoardReader = Pick<TonightReader, 'view' | 'settings'>;
type Listener = {
  tokenId: string;
  mayAct: boolean;
  csrfToken: string;
  send: (html: string) => Promise<void>;
};
/** What a listener is to get next: one that reads slowly gets the newest board only. */
type Outbox = { next: string | null; isSending: boolean };

/**
 * Tells browsers when the board has changed. It asks Postgres and Temporal once a second for all of them together,
 * and not at all while nobody listens.
 */
export class LiveBoard {
  readonly #reader: BoardReader;
  readonly #log: ApiLog;
  readonly #listeners = new Map<Listener, Outbox>();
  #polling = false;
  #shown = '';

  constructor(reader: BoardReader, log: ApiLog) {
    this.#reader = reader;
    this.#log = log;
  }

  /**
   * Sends the board now, and whenever it changes, until the result is called. Null: there are too many already, in all
   * or of this token.
   */
  async join(listener: Listener): Promise<(() => void) | null> {
    const { tokenId } = listener;
    const own = [...this.#listeners.keys()].filter((other) => other.tokenId === tokenId).length;
    if (this.#listeners.size >= MOST_LISTENERS || own >= MOST_OF_TOKEN) return null;
    this.#listeners.set(listener, { next: null, isSending: false });
    const leave = (): void => void this.#listeners.delete(listener);
    try {
      await this.#sendTo([listener], await this.#reader.view());
    } catch (error) {
      // It is told as soon as there is something to tell.
      this.#log('WARNING', 'the board cannot be drawn', { problem: problemOf(error).message });
    }
    void this.#poll();
    return leave;
  }

  async #poll(): Promise<void> {
    if (this.#polling) return;
    this.#polling = true;
    try {
      while (this.#listeners.size > 0) {
        await this.#look();
        await sleep(POLL_MS);
      }
    } finally {
      this.#polling = false;
      this.#shown = '';
    }
  }

  async #look(): Promise<void> {
    try {
      const view = await this.#reader.view();
      const now = createHash('sha256').update(JSON.stringify(view)).digest('hex');
      if (now === this.#shown) return;
      await this.#sendTo([...this.#listeners.keys()], view);
      this.#shown = now;
    } catch (error) {
      // Postgres is away: browsers keep what they have, and the next look may find it back.
      this.#log('WARNING', 'the board cannot be drawn', { problem: problemOf(error).message });
    }
  }

  async #sendTo(listeners: readonly Listener[], view: TonightView): Promise<void> {
    const { timezone } = await this.#reader.settings();
    const drawings = new Map<boolean, Promise<string>>();
    await Promise.all(
      listeners.map(async (listener) => {
        const { mayAct, csrfToken } = listener;
        const drawing = drawings.get(mayAct) ?? drawBoard(view, { mayAct, timezone });
        drawings.set(mayAct, drawing);
        const html = (await drawing).replaceAll(CSRF_PLACE, csrfToken);
        const outbox = this.#listeners.get(listener);
        if (outbox === undefined) return;
        outbox.next = html;
        // Nobody waits for a browser that does not read: it would hold up all others.
        void this.#empty(listener, outbox);
      }),
    );
  }

  async #empty(listener: Listener, outbox: Outbox): Promise<void> {
    if (outbox.isSending) return;
    outbox.isSending = true;
    try {
      for (let html = outbox.next; html !== null; html = outbox.next) {
        outbox.next = null;
        await listener.send(html);
      }
    } catch {
      this.#listeners.delete(listener);
    } finally {
      outbox.isSending = false;
    }
  }
}

function drawBoard(view: TonightView, shown: Pick<Chrome, 'mayAct' | 'timezone'>): Promise<string> {
  const chrome: Chrome = {
    ...shown,
    user: null,
    csrfToken: CSRF_PLACE,
    theme: 'auto',
    flash: null,
    here: '/',
    nowMs: Date.now(),
  };
  return drawn(<Board view={view} chrome={chrome} />);
}
