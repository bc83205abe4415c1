// Writes src/workflows/fingerprints.json anew: after a change of commands that is guarded with `patched()`.
import { recordWith } from './lib/record.ts';

process.exitCode = await recordWith('fingerprints');
