import type { Child, FC } from 'hono/jsx';
import { localIso } from '../../domain/schedule-times.ts';
import type { Chrome } from '../deps.ts';
import { duration, relative } from '../format.ts';
import { Mark } from './marks.tsx';
import { lookOf, type Tone } from './states.ts';

type Zone = Pick<Chrome, 'timezone'>;

export const Badge: FC<{ state: string; label?: string }> = ({ state, label }) => {
  const look = lookOf(state);
  return (
    <span class={`badge is-${look.tone}`}>
      <Mark name={look.mark} />
      {label ?? look.label}
    </span>
  );
};

/**
 * `2018-02-07 22:45` in the zone that is given, mostly the configuration's; UTC in its title. `short` leaves the date
 * out.
 */
export const Time: FC<{ at: string | null; zone: Zone; short?: boolean; seconds?: boolean }> = (props) => {
  const { at, zone, short = false, seconds = false } = props;
  if (at === null) return <span>–</span>;
  const local = localIso(Date.parse(at), zone.timezone);
  const clock = local.slice(11, seconds ? 19 : 16);
  return (
    <time class="nowrap" datetime={at} title={`${at.slice(0, 19).replace('T', ' ')} UTC`}>
      {short ? clock : `${local.slice(0, 10)} ${clock}`}
    </time>
  );
};

/** `3 h ago`, with the time itself in its title. */
export const Ago: FC<{ at: string; chrome: Pick<Chrome, 'timezone' | 'nowMs'> }> = ({ at, chrome }) => {
  const local = localIso(Date.parse(at), chrome.timezone).slice(0, 16).replace('T', ' ');
  return (
    <time
      class="nowrap"
      datetime={at}
      data-ago={at}
      title={`${local} ${chrome.timezone}, ${at.slice(0, 16).replace('T', ' ')} UTC`}
    >
      {relative(Date.parse(at), chrome.nowMs)}
    </time>
  );
};

/** `in 3 h`: the page's script counts on, more exactly. */
export const Until: FC<{ at: string; chrome: Pick<Chrome, 'nowMs'> }> = ({ at, chrome }) => (
  <span data-until={at}>
    {Date.parse(at) > chrome.nowMs ? relative(Date.parse(at), chrome.nowMs) : 'now'}
  </span>
);

/** How long something took, or has been going on: the page's script counts on. */
export const Took: FC<{ from: string | null; to: string | null; nowMs: number }> = ({ from, to, nowMs }) => {
  if (from === null) return <span>–</span>;
  const ms = (to === null ? nowMs : Date.parse(to)) - Date.parse(from);
  return to === null ? <span data-since={from}>{duration(ms)}</span> : <span>{duration(ms)}</span>;
};

export const Notice: FC<{ tone: Tone; title?: string; children?: Child }> = ({ tone, title, children }) => (
  <div class={`notice ${tone}`}>
    {title === undefined ? null : (
      <p>
        <strong>{title}</strong>
      </p>
    )}
    {children}
  </div>
);

/** Says that the members of the universe were chosen afterwards; nothing where they were not. */
export const BiasNotice: FC<{ of: { survivorship: string } }> = ({ of }) =>
  of.survivorship === 'biased' ? (
    <Notice tone="skip">
      <p>Survivorship-biased: the members are those of a later date, so every number is too good.</p>
    </Notice>
  ) : null;

/** What stands where there is nothing yet: what it would be, and what to do for it. */
export const Empty: FC<{ title: string; children?: Child }> = ({ title, children }) => (
  <section class="panel empty">
    <h2>{title}</h2>
    {children}
  </section>
);

export const Facts: FC<{ rows: readonly (readonly [string, Child])[] }> = ({ rows }) => (
  <dl class="facts">
    {rows.map(([name, value]) => (
      <>
        <dt>{name}</dt>
        <dd>{value}</dd>
      </>
    ))}
  </dl>
);

export const Figures: FC<{ rows: readonly (readonly [string, string])[] }> = ({ rows }) => (
  <dl class="figures">
    {rows.map(([name, value]) => (
      <div>
        <dt>{name}</dt>
        <dd>{value}</dd>
      </div>
    ))}
  </dl>
);

/** `wide`: not on a phone; `long`: prose, which needs room. */
export type Column = { head: string; numeric?: boolean; wide?: boolean; long?: boolean };

/** A table with caption and scopes; the first cell of each row is its head. */
export const Table: FC<{
  caption: string;
  columns: readonly Column[];
  rows: readonly (readonly Child[])[];
  id?: string;
  current?: number;
}> = ({ caption, columns, rows, id, current }) => {
  const classOf = (index: number): string => {
    const { numeric = false, wide = false, long = false } = columns[index] ?? {};
    return [numeric ? 'num' : '', wide ? 'wide-only' : '', long ? 'long' : '']
      .filter((name) => name !== '')
      .join(' ');
  };
  return (
    <Scroll label={caption}>
      <table id={id}>
        <caption>{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ head }, index) => (
              <th scope="col" class={classOf(index)}>
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <tr class={index === current ? 'current' : undefined}>
              {row.map((cell, at) =>
                at === 0 ? (
                  <th scope="row" class={classOf(at)}>
                    {cell}
                  </th>
                ) : (
                  <td class={classOf(at)}>{cell}</td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
};

/** Wide content scrolls in itself, also with the keyboard. */
export const Scroll: FC<{ label: string; children?: Child }> = ({ label, children }) => (
  <div class="scroll" role="group" aria-label={label} tabindex={0}>
    {children}
  </div>
);

export const PageHead: FC<{ title: string; children?: Child; aside?: Child }> = ({
  title,
  children,
  aside,
}) => (
  <div class="page-head">
    <div>
      <h1>{title}</h1>
      {children}
    </div>
    {aside}
  </div>
);

/** Links beside each other, of which one leads to what is shown. */
export const Choices: FC<{
  label: string;
  links: readonly { text: string; href: string; isShown: boolean }[];
}> = ({ label, links }) => (
  <nav aria-label={label}>
    <ul class="legend">
      {links.map(({ text, href, isShown }) => (
        <li>
          <a href={href} aria-current={isShown ? 'true' : undefined}>
            {text}
          </a>
        </li>
      ))}
    </ul>
  </nav>
);

/** A form that does something: it carries the login's token and the way back. */
export const Act: FC<{
  action: string;
  chrome: Pick<Chrome, 'csrfToken' | 'here'>;
  hidden?: Record<string, string>;
  id?: string;
  children?: Child;
}> = ({ action, chrome, hidden = {}, id, children }) => (
  <form method="post" action={action} id={id}>
    <input type="hidden" name="csrf" value={chrome.csrfToken} />
    <input type="hidden" name="back" value={chrome.here} />
    {Object.entries(hidden).map(([name, value]) => (
      <input type="hidden" name={name} value={value} />
    ))}
    {children}
  </form>
);

/** The reason, which every act needs. */
export const Why: FC<{ id: string; placeholder?: string }> = ({ id, placeholder }) => (
  <div class="field">
    <label for={id}>Reason</label>
    <input
      type="text"
      id={id}
      name="why"
      required
      maxlength={500}
      autocomplete="off"
      placeholder={placeholder}
    />
  </div>
);
