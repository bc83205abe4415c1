/** Links that sort a table go on looking for what is typed. */
function keepIn(table: Element | null, name: string, wanted: string): void {
  for (const link of table?.querySelectorAll<HTMLAnchorElement>('thead a') ?? []) {
    const address = new URL(link.href);
    address.searchParams.set(name, wanted);
    link.href = address.href;
  }
}

/** Rows of a table that hold what is typed; the server does the same with the form it stands in. */
export function startFilters(): void {
  for (const input of document.querySelectorAll<HTMLInputElement>('input[data-filter]')) {
    const table = document.getElementById(input.dataset['filter'] ?? '');
    const rows = [...(table?.querySelectorAll<HTMLTableRowElement>('tbody tr') ?? [])];
    const told = document.getElementById(`${input.id}-found`);
    const apply = (): void => {
      const wanted = input.value.trim();
      let shown = 0;
      for (const row of rows) {
        const text = row.dataset['find'] ?? row.textContent.toLowerCase();
        row.hidden = !text.includes(wanted.toLowerCase());
        if (!row.hidden) shown += 1;
      }
      if (told !== null) told.textContent = wanted === '' ? '' : `${shown} of ${rows.length} rows`;
      if (input.name !== '') keepIn(table, input.name, wanted);
    };
    input.addEventListener('input', apply);
    // A browser that comes back to the page puts in again what was typed.
    if (input.value !== input.defaultValue) apply();
  }
}
