#!/usr/bin/env node
// The `nightshift` command: set-up and build when something changed, then the command itself in this process.
import { ensureSetup, reportSetupFailure } from '../scripts/setup.mjs';

async function prepare() {
  try {
    await ensureSetup();
    const { build } = await import('../scripts/build.mjs');
    await build();
    return true;
  } catch (error) {
    reportSetupFailure(error);
    return false;
  }
}

if (await prepare()) {
  process.setSourceMapsEnabled(true);
  const { main } = await import('../dist/cli/main.js');
  await main(process.argv);
}
