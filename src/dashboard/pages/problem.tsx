import type { FC } from 'hono/jsx';
import type { ProblemDetails } from '../../api/problems.ts';
import { Mark } from '../components/marks.tsx';
import { Facts, Notice } from '../components/parts.tsx';

export type Part = { name: string; answers: boolean; detail: string };

/** An error as a page: what happened, what is down, what to do. */
export const ProblemPage: FC<{ details: ProblemDetails; parts: readonly Part[]; again: string | null }> = (
  props,
) => {
  const { details, parts, again } = props;
  const { status, title, detail, requestId } = details;
  return (
    <section class="panel">
      <h1>{title}</h1>
      <Notice tone={status >= 500 ? 'fail' : 'wait'}>
        <p>{detail}</p>
      </Notice>
      {parts.length === 0 ? null : (
        <Facts
          rows={parts.map(({ name, answers, detail: said }) => [
            name,
            <>
              <span class={`badge is-${answers ? 'ok' : 'fail'}`}>
                <Mark name={answers ? 'check' : 'cross'} />
                {answers ? 'answers' : 'is down'}
              </span>{' '}
              {said}
            </>,
          ])}
        />
      )}
      {status === 503 ? (
        <p>
          Nothing is lost: what runs goes on or waits. <code>nightshift doctor</code> checks every part.{' '}
          {again === null ? null : <span id="returns" role="status" />}
        </p>
      ) : null}
      <p class="buttons">
        {status === 401 ? (
          <a class="button" href="/login">
            Log in
          </a>
        ) : again === null ? null : (
          <a class="button" href={again}>
            Try again
          </a>
        )}
        <a class="button" href="/">
          To the first page
        </a>
      </p>
      <p class="muted small">
        {status}, request <code>{requestId}</code>
      </p>
    </section>
  );
};
