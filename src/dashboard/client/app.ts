import { startClocks } from './clocks.ts';
import { startFilters } from './filter.ts';
import { startLive } from './live.ts';

// It remembers what the server drew, before a clock changes it.
startLive();
startClocks();
startFilters();
