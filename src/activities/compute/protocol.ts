/** What a thread is told to do: one message a job, everything in it can be cloned. */
export type ToThread = { name: string; input: unknown };

/** What it says. */
export type FromThread =
  | { kind: 'progress'; phase: string; done: number; total: number }
  | { kind: 'done'; output: unknown }
  | { kind: 'failed'; name: string; message: string; stack: string };

/** Tells how far a job is. */
export type Report = (phase: string, done: number, total: number) => void;
