import type { FC } from 'hono/jsx';
import { Notice } from '../components/parts.tsx';

/** Where a browser shows its token. */
export const LoginPage: FC<{ next: string; refused: string | null }> = ({ next, refused }) => (
  <section class="panel login">
    <h1>Log in</h1>
    <p class="muted">Nightshift runs the night of a quant desk. Its pages need a token.</p>
    {refused === null ? null : (
      <div role="alert" id="refused">
        <Notice tone="fail">
          <p>{refused}</p>
        </Notice>
      </div>
    )}
    <form method="post" action="/login">
      <input type="hidden" name="next" value={next} />
      <div class="field">
        <label for="token">Token</label>
        <input
          type="password"
          id="token"
          name="token"
          required
          maxlength={200}
          autocomplete="current-password"
          spellcheck={false}
          autofocus
          aria-describedby={refused === null ? 'token-help' : 'refused token-help'}
          aria-invalid={refused === null ? undefined : 'true'}
        />
        <p class="small muted" id="token-help">
          It begins with <code>nst_</code>. The first <code>nightshift up</code> printed one;{' '}
          <code>nightshift token create</code> makes another.
        </p>
      </div>
      <button type="submit" class="main">
        Log in
      </button>
    </form>
  </section>
);
