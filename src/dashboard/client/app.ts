import { startClocks } from './clocks.ts';
import { startFilters } from './filter.ts';
import { startLive } from './live.ts';
import { startReturn } from './return.ts';

startLive();
startReturn();
startClocks();
startFilters();
