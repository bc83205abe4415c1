import type { FC } from 'hono/jsx';
import { Mark, type MarkName } from './marks.tsx';

/** One square of a heat map: a mark to see, words to hear. */
export const Cell: FC<{ tone: string; mark?: MarkName; text?: string; words: string; href?: string }> = (
  props,
) => {
  const { tone, mark, text, words, href } = props;
  const sign = mark === undefined ? <span aria-hidden="true">{text}</span> : <Mark name={mark} />;
  return href === undefined ? (
    <span class={`cell ${tone}`} title={words}>
      {sign}
      <span class="hidden-words">{words}</span>
    </span>
  ) : (
    <a class={`cell ${tone}`} href={href} title={words} aria-label={words}>
      {sign}
    </a>
  );
};
