import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiLog } from '../api/deps.ts';
import { Problem, problemDetails, problemOf } from '../api/problems.ts';
import { Board } from './components/board.tsx';
import { drawn } from './components/drawn.ts';
import type { Chrome } from './deps.ts';
import type { TonightReader, TonightView } from './tonight.ts';

const POLL_MS = 1_000;
/** A look that takes longer finds nothing new either: a connection may be dead without a word. */
const LOOK_MS = 5_000;
const MOST_LISTENERS = 64;
/** Of one token, so that nobody takes every place. */
const MOST_OF_TOKEN = 16;
/** Stands where a login's own token goes: one drawing serves all listeners of a role. */
const CSRF_PLACE = 'csrf-of-this-login';

type BoardReader = Pick<TonightReader, 'view' | 'settings'>;
/** The board as it is, or in words why what was sent last is no longer known to be so. */
export type LiveMessage = { event: 'board' | 'stale'; data: string };
type Listener = {
  tokenId: string;
  mayAct: boolean;
  csrfToken: string;
  send: (message: LiveMessage) => Promise<void>;
};
/** What a listener is to get next: one that reads slowly gets the newest message only. */
type Outbox = { next: LiveMessage | null; isSending: boolean };

/**
 * Tells browsers when the board has changed. It asks Postgres and Temporal once a second for all of them together,
 * and not at all while nobody listens.
 */
export class LiveBoard {
  readonly #reader: BoardReader;
  readonly #log: ApiLog;
  readonly #lookMs: number;
  readonly #listeners = new Map<Listener, Outbox>();
  #polling = false;
  /** Hash of the view that was sent last; empty: none holds. */
  #shown = '';
  /** Why the board cannot be read; null while it can. */
  #trouble: string | null = null;

  constructor(reader: BoardReader, log: ApiLog, lookMs = LOOK_MS) {
    this.#reader = reader;
    this.#log = log;
    this.#lookMs = lookMs;
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
      await this.#sendTo([listener], await this.#view());
    } catch (error) {
      // The next look tells it, even if it finds what all others have.
      this.#shown = '';
      this.#tell([listener], { event: 'stale', data: titleOf(error) });
    }
    void this.#poll();
    return leave;
  }

  async #view(): Promise<TonightView> {
    const late = new Problem('timed-out', 'the board could not be read in time');
    const view = this.#reader.view();
    return await Promise.race([
      view,
      sleep(this.#lookMs, undefined, { ref: false }).then(() => Promise.reject(late)),
    ]);
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
      this.#trouble = null;
    }
  }

  async #look(): Promise<void> {
    try {
      const view = await this.#view();
      const now = createHash('sha256').update(JSON.stringify(view)).digest('hex');
      if (now === this.#shown) return;
      await this.#sendTo([...this.#listeners.keys()], view);
      this.#shown = now;
      this.#trouble = null;
    } catch (error) {
      // Postgres is away: browsers keep what they have and say so, and the next look may find it back.
      this.#shown = '';
      const data = titleOf(error);
      if (data === this.#trouble) return;
      this.#trouble = data;
      this.#log('WARNING', 'the board cannot be drawn', { problem: problemOf(error).message });
      this.#tell([...this.#listeners.keys()], { event: 'stale', data });
    }
  }

  #tell(listeners: readonly Listener[], message: LiveMessage): void {
    for (const listener of listeners) {
      const outbox = this.#listeners.get(listener);
      if (outbox === undefined) continue;
      outbox.next = message;
      // Nobody waits for a browser that does not read: it would hold up all others.
      void this.#empty(listener, outbox);
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
        const data = (await drawing).replaceAll(CSRF_PLACE, csrfToken);
        this.#tell([listener], { event: 'board', data });
      }),
    );
  }

  async #empty(listener: Listener, outbox: Outbox): Promise<void> {
    if (outbox.isSending) return;
    outbox.isSending = true;
    try {
      for (let message = outbox.next; message !== null; message = outbox.next) {
        outbox.next = null;
        await listener.send(message);
      }
    } catch {
      this.#listeners.delete(listener);
    } finally {
      outbox.isSending = false;
    }
  }
}

/** What is wrong, in the few words of a problem's title. */
function titleOf(error: unknown): string {
  return problemDetails(problemOf(error), { instance: '/live', requestId: '' }).title;
}

function drawBoard(view: TonightView, shown: Pick<Chrome, 'mayAct' | 'timezone'>): Promise<string> {
  const chrome: Chrome = {
    ...shown,
    user: null,
    csrfToken: CSRF_PLACE,
    theme: 'auto',
    flash: null,
    here: '/',
    waiting: view.waiting.length,
    nowMs: Date.now(),
  };
  return drawn(<Board view={view} chrome={chrome} />);
}
