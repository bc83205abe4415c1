import { CancellationScope, setCurrentDetails, upsertMemo } from '@temporalio/workflow';

import { describeFailure, topLevelFailure } from './failure.ts';
import { tagDecision } from './search-attributes.ts';

type About = { heading: string; sessionDate: string; task: string; by: string; why: string };

/**
 * Carries out a person's decision: tags the run, says in details and memo what came of it, and ends with a
 * top-level failure where it was refused, so that class and words reach who asked.
 */
export async function asDecision<Result>(
  about: About,
  act: () => Promise<{ result: Result; words: string }>,
): Promise<Result> {
  tagDecision(about);
  const asked = `**${about.heading}**, asked for by ${about.by}: ${about.why}`;
  setCurrentDetails(asked);
  try {
    const { result, words } = await act();
    show(asked, { state: 'succeeded', words });
    return result;
  } catch (error) {
    if (CancellationScope.current().consideredCancelled) throw error;
    const failure = describeFailure(error);
    show(asked, { state: 'failed', words: failure.message });
    throw topLevelFailure(failure, 1);
  }
}

function show(asked: string, { state, words }: { state: string; words: string }): void {
  const summary = `${asked}\n\n${words}`;
  setCurrentDetails(summary);
  upsertMemo({ state, summary });
}
