import { ChannelError } from './port.ts';

/** Posts JSON; rejects unless the answer is 2xx. Redirections are refused: a signed message goes where it was meant to. */
export async function postJson(input: {
  url: string;
  body: string;
  headers: Record<string, string>;
  signal: AbortSignal;
}): Promise<void> {
  const { url, body, headers, signal } = input;
  const response = await fetch(url, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/json', 'user-agent': 'nightshift', ...headers },
    body,
    signal,
  });
  // Nobody reads it; an answer without end must not keep the connection.
  await response.body?.cancel();
  if (!response.ok) throw new ChannelError(`the receiver answered ${response.status}`);
}

/** A URL from the environment. Throws a ChannelError without it. */
export function urlFrom(name: string, value: string): string {
  if (URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)) return value;
  throw new ChannelError(`the environment variable ${name} is no http or https URL`);
}
