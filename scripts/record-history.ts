// Records the histories in tests/replay/histories anew (and the fingerprints): after a change of workflow code
// that no open run needs to survive. Otherwise guard the change with `patched()` and keep the old ones. With the name
// of a scenario only that one is recorded: what a new workflow needs.
import { recordWith } from './lib/record.ts';

process.exitCode = await recordWith('histories', process.argv[2]);
