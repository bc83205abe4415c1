/** undefined: no such process (or a zombie); null: this system does not say. */
export function startOf(pid: number): string | null | undefined;
