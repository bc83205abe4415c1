/** Entry for drizzle-kit: every table of the three schemas. */
export * from './market.ts';
export * from './models.ts';
export * from './ops.ts';
export * from './results.ts';
export { market, ops, turbomode } from './types.ts';
