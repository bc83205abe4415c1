import type { Client } from '@temporalio/client';
import { entryOf, type OpenNames, type TimelineEntry } from './event-words.ts';
import { isRefusedArgument, isTemporalGone, isUnknownRun } from './gone.ts';
import { readHistoryPage, type RunKey } from './history.ts';

/** A part of a timeline: what the rows say, or a run with its history in Temporal. */
export type Chapter =
  | { entries: readonly TimelineEntry[] }
  | { run: RunKey; attempt: number | null; rows: readonly TimelineEntry[] };

/** Where the next page of a timeline begins. */
export type TimelinePlace = {
  chapter: number;
  /** The server's own token, as base64; '' for the first page of a history. */
  page: string;
  /** Events of that page, or rows, that were told before. */
  skip: number;
  /** The chapter is told by the rows: Temporal did not know its run when it began. */
  byRows: boolean;
  names: [string, string][];
};

export type TimelinePage = {
  entries: TimelineEntry[];
  next: TimelinePlace | null;
  /** Why a part of it is told by the rows alone; null where none is. */
  note: string | null;
};

const START: Omit<TimelinePlace, 'chapter'> = { page: '', skip: 0, byRows: false, names: [] };
/** Events of one page of the server. The same for every page: its tokens count in these. */
const PAGE_EVENTS = 100;
/** A page of ours asks for no more of them: it may then be shorter than its limit. */
const MAX_PAGES = 6;
/** Names of open activities that a token carries; a fan-out is not as wide. */
const MAX_NAMES = 150;

/**
 * A page of a timeline, oldest first; no history is read further than the page needs. Where Temporal does not know a
 * run any more, or does not answer when its chapter begins, the rows tell that chapter. Rejects when it does not
 * answer in the middle of a history.
 */
export async function readTimeline(options: {
  client: Client;
  chapters: readonly Chapter[];
  from: TimelinePlace | null;
  limit: number;
  /** For all that is asked of Temporal. */
  callMs: number;
}): Promise<TimelinePage> {
  const { client, chapters, limit, callMs } = options;
  const deadlineMs = Date.now() + callMs;
  const entries: TimelineEntry[] = [];
  let place: TimelinePlace = options.from ?? { ...START, chapter: 0 };
  let note: string | null = null;
  for (let pages = 0; entries.length < limit && pages < MAX_PAGES; ) {
    const chapter = chapters[place.chapter];
    if (chapter === undefined) return { entries, next: null, note };
    if ('run' in chapter && !place.byRows) {
      pages += 1;
      const read = await client.withDeadline(deadlineMs, () =>
        readEvents(client, { chapter, place, room: limit - entries.length }),
      );
      entries.push(...read.entries);
      note = read.note ?? note;
      place = read.next;
    } else {
      const told = 'run' in chapter ? chapter.rows : chapter.entries;
      const room = limit - entries.length;
      entries.push(...told.slice(place.skip, place.skip + room));
      const isOver = place.skip + room >= told.length;
      place = isOver ? chapterAfter(place) : { ...place, skip: place.skip + room };
    }
  }
  return { entries, next: place.chapter < chapters.length ? place : null, note };
}

function chapterAfter({ chapter }: TimelinePlace): TimelinePlace {
  return { ...START, chapter: chapter + 1 };
}

async function readEvents(
  client: Client,
  input: { chapter: Extract<Chapter, { run: RunKey }>; place: TimelinePlace; room: number },
): Promise<{ entries: TimelineEntry[]; next: TimelinePlace; note: string | null }> {
  const { chapter, place, room } = input;
  const { run, attempt } = chapter;
  const pageToken = place.page === '' ? null : Buffer.from(place.page, 'base64');
  let page: Awaited<ReturnType<typeof readHistoryPage>>;
  try {
    page = await readHistoryPage(client, { ...run, pageSize: PAGE_EVENTS, pageToken });
  } catch (error) {
    const isBeginning = place.page === '' && place.skip === 0;
    // An id that the server cannot even read is of a run it never had.
    const isUnknown = isUnknownRun(error) || (isBeginning && isRefusedArgument(error));
    if (!isUnknown && !(isBeginning && isTemporalGone(error))) throw error;
    const words = isUnknown ? 'does not know' : 'does not answer about';
    const note = `Temporal ${words} ${run.workflowId}${isUnknown ? ' any more' : ''}: the rows tell what they know`;
    // In the middle of a history there is nothing that the rows could go on with.
    const next = isBeginning ? { ...place, byRows: true } : chapterAfter(place);
    return { entries: [], next, note };
  }
  const names: OpenNames = new Map(place.names);
  const entries: TimelineEntry[] = [];
  let taken = place.skip;
  while (taken < page.events.length && entries.length < room) {
    const event = page.events[taken];
    taken += 1;
    const entry = event === undefined ? null : entryOf(event, names, attempt);
    if (entry !== null) entries.push(entry);
  }
  const kept = [...names].slice(-MAX_NAMES);
  if (taken < page.events.length)
    return { entries, next: { ...place, skip: taken, names: kept }, note: null };
  if (page.nextPageToken === null) return { entries, next: chapterAfter(place), note: null };
  const token = Buffer.from(page.nextPageToken).toString('base64');
  return { entries, next: { ...place, page: token, skip: 0, names: kept }, note: null };
}
