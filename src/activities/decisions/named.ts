import { failure } from '../errors.ts';

/** A decision has a person and a reason. Fails with InvalidInput. */
export function requireNamed({ by, why }: { by: string; why: string }): void {
  if (by.trim() === '') throw failure('InvalidInput', 'a decision needs the name of the person');
  if (why.trim() === '') throw failure('InvalidInput', 'a decision needs a reason');
}
