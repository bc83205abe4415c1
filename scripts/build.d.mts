export function build(): Promise<{ app: boolean; workflows: boolean }>;
