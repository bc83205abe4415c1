export function requireGlibc(system: {
  platform: string;
  header: { glibcVersionRuntime?: string } | null;
  loader: string;
}): void;
