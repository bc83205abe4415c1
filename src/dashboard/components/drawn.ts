import { html } from 'hono/html';
import type { Child } from 'hono/jsx';

/** Components as the text that a browser gets. */
export async function drawn(node: Child): Promise<string> {
  return (await html`${node}`).toString();
}
