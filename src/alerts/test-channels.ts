import { randomUUID } from 'node:crypto';
import type { AlertSettings } from '../contracts/schemas/alert-settings.ts';
import { type ChannelHouse, createChannel, sendWithin } from './channel.ts';
import { testMessage } from './message.ts';

export type ChannelTest = { channel: string; type: string; arrived: boolean; detail: string };

/** Sends a test message to the channels at once, all side by side, and tells of each whether it arrived. */
export async function testChannels(
  settings: Pick<AlertSettings, 'channels'>,
  options: { by: string; house: ChannelHouse; limitMs?: number },
): Promise<ChannelTest[]> {
  const { by, house, limitMs } = options;
  return await Promise.all(
    settings.channels.map(async (block) => {
      const about = { channel: block.name, type: block.type };
      const message = testMessage({ channel: block.name, by, id: `test-${randomUUID()}`, at: new Date() });
      try {
        const channel = createChannel(block, house);
        await sendWithin(channel, message, limitMs === undefined ? {} : { limitMs });
        return { ...about, arrived: true, detail: 'arrived' };
      } catch (error) {
        return {
          ...about,
          arrived: false,
          detail: error instanceof Error ? error.message : 'did not arrive',
        };
      }
    }),
  );
}
