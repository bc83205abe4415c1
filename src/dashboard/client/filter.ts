/** Rows of a table that hold what is typed; the server does the same with the form it stands in. */
export function startFilters(): void {
  for (const input of document.querySelectorAll<HTMLInputElement>('input[data-filter]')) {
    const rows = document.querySelectorAll<HTMLTableRowElement>(`#${input.dataset['filter'] ?? ''} tbody tr`);
    const told = document.getElementById(`${input.id}-found`);
    const apply = (): void => {
      const wanted = input.value.trim().toLowerCase();
      let shown = 0;
      for (const row of rows) {
        const isShown = row.textContent.toLowerCase().includes(wanted);
        row.hidden = !isShown;
        if (isShown) shown += 1;
      }
      if (told !== null) told.textContent = wanted === '' ? '' : `${shown} of ${rows.length} rows`;
    };
    input.addEventListener('input', apply);
  }
}
