import { untilBack } from './until-back.ts';

/** A page that could not be drawn comes back by itself, and says that it will. */
export function startReturn(): void {
  const told = document.getElementById('returns');
  if (told === null) return;
  told.textContent = 'This page comes back by itself.';
  void untilBack(location.href).then(() => location.reload());
}
