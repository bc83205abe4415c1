export function removeStale(path: string, judged: string): void;
