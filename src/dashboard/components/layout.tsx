import { html } from 'hono/html';
import type { Child, FC } from 'hono/jsx';
import type { HtmlEscapedString } from 'hono/utils/html';
import { assetPaths } from '../assets.ts';
import { type Chrome, THEMES } from '../deps.ts';
import { toDecide, utcOffset } from '../format.ts';
import { Mark, MarkSheet } from './marks.tsx';
import { Act, Notice } from './parts.tsx';

export const PAGES = [
  { path: '/', title: 'Tonight' },
  { path: '/history', title: 'History' },
  { path: '/signals', title: 'Signals' },
  { path: '/models', title: 'Models' },
  { path: '/backtest', title: 'Backtest' },
  { path: '/drift', title: 'Drift' },
  { path: '/data', title: 'Data' },
  { path: '/settings', title: 'Settings' },
] as const;
export type PagePath = (typeof PAGES)[number]['path'];

export type PageInput = {
  title: string;
  chrome: Chrome;
  /** Its entry in the navigation. */
  at?: PagePath;
  /** Loads the script that draws charts. */
  charts?: boolean;
  body: Child;
};

/** A whole page. */
export async function renderPage(input: PageInput): Promise<HtmlEscapedString> {
  const { title, chrome, at, charts = false, body } = input;
  const assets = await assetPaths();
  const theme = chrome.theme === 'auto' ? undefined : chrome.theme;
  return html`<!doctype html>${(
    <html lang="en" data-theme={theme}>
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>{`${chrome.waiting === 0 ? '' : `(${chrome.waiting}) `}${title} · Nightshift`}</title>
        <link rel="icon" href={assets['icon.svg']} type="image/svg+xml" />
        <link rel="stylesheet" href={assets['app.css']} />
        <script type="module" src={assets['app.js']} />
        {charts ? <script type="module" src={assets['charts.js']} /> : null}
      </head>
      <body>
        <MarkSheet />
        <a class="skip-link" href="#main">
          Skip to the content
        </a>
        <Top chrome={chrome} at={at} icon={assets['icon.svg']} />
        <main id="main" tabindex={-1}>
          {chrome.flash === null ? null : (
            <div role="status">
              <Notice tone={chrome.flash.kind === 'done' ? 'ok' : 'fail'}>
                <p>
                  <strong>{chrome.flash.kind === 'done' ? 'Done: ' : 'Refused: '}</strong>
                  {chrome.flash.text}
                </p>
              </Notice>
            </div>
          )}
          {body}
        </main>
        <footer class="foot">
          <p>
            Times are in {chrome.timezone} (now {utcOffset(chrome.nowMs, chrome.timezone)}); a mouse over one
            shows UTC. Old sample data, fit for tests and demonstration, not for investment decisions.
          </p>
          {chrome.user === null ? null : (
            <p>
              <a href="/docs">The API</a>: all of this for programs.
            </p>
          )}
        </footer>
      </body>
    </html>
  )}`;
}

const Top: FC<{ chrome: Chrome; at: PagePath | undefined; icon: string }> = ({ chrome, at, icon }) => (
  <header class="top">
    <div class="top-in">
      <a class="brand" href="/">
        <img src={icon} alt="" width="24" height="24" />
        Nightshift
      </a>
      {chrome.user === null ? null : (
        <nav aria-label="Pages">
          <ul>
            {PAGES.map(({ path, title }) => (
              <li>
                <a href={path} aria-current={path === at ? 'page' : undefined}>
                  {title}
                  {path === '/' ? (
                    <>
                      {' '}
                      <span id="to-decide" class="badge is-wait">
                        {toDecide(chrome.waiting)}
                      </span>
                    </>
                  ) : null}
                </a>
              </li>
            ))}
          </ul>
        </nav>
      )}
      <div class="who small">
        <ThemeSwitch chrome={chrome} />
        {chrome.user === null ? null : (
          <>
            <span class="muted">
              {chrome.user.name} ({chrome.user.role})
            </span>
            <Act action="/logout" chrome={chrome}>
              <button type="submit" class="slim">
                Log out
              </button>
            </Act>
          </>
        )}
      </div>
    </div>
  </header>
);

const THEME_WORDS = {
  auto: 'Colours: as the system',
  light: 'Colours: light',
  dark: 'Colours: dark',
} as const;

const THEME_MARKS = { auto: 'half', light: 'sun', dark: 'moon' } as const;

const ThemeSwitch: FC<{ chrome: Chrome }> = ({ chrome }) => {
  const next = THEMES[(THEMES.indexOf(chrome.theme) + 1) % THEMES.length] ?? 'auto';
  return (
    <form method="post" action="/theme">
      <input type="hidden" name="back" value={chrome.here} />
      <button type="submit" class="slim" name="theme" value={next} title={THEME_WORDS[chrome.theme]}>
        <Mark name={THEME_MARKS[chrome.theme]} size={16} />
        <span class="hidden-words">{`${THEME_WORDS[chrome.theme]}; switch to ${next}`}</span>
      </button>
    </form>
  );
};
