import type { FC } from 'hono/jsx';
import { Choices } from './parts.tsx';

type Universes = { universes: readonly string[]; universe: string };

/** A field of a form in which one universe is chosen. */
export const UniverseField: FC<Universes & { id: string }> = ({ id, universes, universe }) => (
  <div class="field">
    <label for={id}>Universe</label>
    <select id={id} name="universe">
      {universes.map((name) => (
        <option value={name} selected={name === universe}>
          {name}
        </option>
      ))}
    </select>
  </div>
);

/** Links to a page of each universe; nothing where there is one alone. */
export const UniverseNav: FC<Universes & { path: string }> = ({ path, universes, universe }) =>
  universes.length > 1 ? (
    <Choices
      label="Universes"
      links={universes.map((name) => ({ text: name, href: hrefOf(path, name), isShown: name === universe }))}
    />
  ) : null;

/** Links to the same page of other universes, within a sentence. */
export const UniverseLinks: FC<{ path: string; universes: readonly string[] }> = ({ path, universes }) => (
  <>
    {universes.map((name, index) => (
      <>
        {index === 0 ? '' : ', '}
        <a href={hrefOf(path, name)}>{name}</a>
      </>
    ))}
  </>
);

function hrefOf(path: string, universe: string): string {
  return `${path}?universe=${encodeURIComponent(universe)}`;
}
