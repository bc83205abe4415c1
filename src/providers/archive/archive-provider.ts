import { type EpochDay, epochDayOf, sliceBars } from '../../domain/bars.ts';
import type { DividendAction, SplitAction } from '../../domain/market-data.ts';
import { ActionRequiredError, NotFoundError, ProviderError, TransientError } from '../errors.ts';
import type {
  MarketDataProvider,
  Provenance,
  ProviderCoverage,
  SymbolResult,
  SymbolsRequest,
} from '../port.ts';
import { type BarsFile, decodeBarsFile } from './bars-file.ts';
import { ARCHIVE_FILES, type ArchiveManifest, readArchiveFile, readManifest } from './manifest.ts';
import { readDividends, readFundamentals, readInstruments, readSplits } from './reference-files.ts';

interface ArchiveOptions {
  /** A folder like data/sample: manifest.json and the files it names. */
  readonly directory: string;
  /** Name in provenance and configuration; default: `provider` of the manifest. */
  readonly id?: string;
}

/**
 * Daily data from a folder of files. Files are read and checked against the manifest's checksums
 * once, on first use. Nothing is shown that became known after `asOfSession`: no later bar, no
 * split or dividend with a later ex date, no statement before its `availableAt`, and a symbol
 * without a bar until then is unknown.
 */
export function createArchiveProvider(options: ArchiveOptions): MarketDataProvider {
  const id = options.id ?? 'archive';
  const files = createArchiveFiles(options.directory, id);

  /** One result per symbol; `read` gives null for a symbol the archive does not know as of the session. */
  const answer = async <Value>(
    request: SymbolsRequest,
    read: (symbol: string) => Value | null,
  ): Promise<SymbolResult<Value>[]> => {
    const manifest = await files.manifest();
    const provenance: Provenance = {
      provider: id,
      dataset: manifest.dataset,
      fetchedAt: manifest.createdAt,
      fallbackFrom: [],
    };
    const total = request.symbols.length;
    return request.symbols.map((symbol, index): SymbolResult<Value> => {
      request.signal?.throwIfAborted();
      const value = read(symbol);
      request.onProgress?.({ done: index + 1, total });
      if (value !== null) return { ok: true, symbol, value, provenance };
      const message = `${id} has no ${symbol} as of ${request.asOfSession}`;
      return { ok: false, symbol, error: new NotFoundError(message, { provider: id, symbol }), attempts: [] };
    });
  };

  const listedBars = async (asOfSession: string) => {
    const { symbols } = await files.bars();
    const limit = epochDayOf(asOfSession);
    return (symbol: string) => {
      const bars = symbols.get(symbol);
      const first: EpochDay | undefined = bars?.epochDays[0];
      return bars === undefined || first === undefined || first > limit ? null : bars;
    };
  };

  return {
    id,
    async coverage(): Promise<ProviderCoverage> {
      const manifest = await files.manifest();
      const instruments = await files.instruments();
      return {
        provider: id,
        dataset: manifest.dataset,
        firstSession: manifest.coverage.firstSession,
        lastSession: manifest.coverage.lastSession,
        symbols: [...instruments.keys()].sort(),
        basis: manifest.priceBasis,
        survivorship: manifest.survivorship,
        has: {
          corporateActions:
            ARCHIVE_FILES.splits in manifest.files || ARCHIVE_FILES.dividends in manifest.files,
          fundamentals: ARCHIVE_FILES.annual in manifest.files || ARCHIVE_FILES.snapshots in manifest.files,
          instruments: true,
        },
      };
    },
    async bars(request) {
      const { priceBasis: basis } = await files.manifest();
      const find = await listedBars(request.asOfSession);
      const from = epochDayOf(request.from);
      const to = Math.min(epochDayOf(request.to), epochDayOf(request.asOfSession));
      return answer(request, (symbol) => {
        const bars = find(symbol);
        return bars === null ? null : { bars: sliceBars(bars, from, to), basis };
      });
    },
    async corporateActions(request) {
      const find = await listedBars(request.asOfSession);
      const splits = await files.splits();
      const dividends = await files.dividends();
      const last = request.to < request.asOfSession ? request.to : request.asOfSession;
      const inRange = (action: { readonly exDate: string }): boolean =>
        action.exDate >= request.from && action.exDate <= last;
      return answer(request, (symbol) =>
        find(symbol) === null
          ? null
          : {
              splits: (splits.get(symbol) ?? []).filter(inRange),
              dividends: (dividends.get(symbol) ?? []).filter(inRange),
            },
      );
    },
    async fundamentals(request) {
      const find = await listedBars(request.asOfSession);
      const annual = await files.annual();
      const snapshots = await files.snapshots();
      return answer(request, (symbol) =>
        find(symbol) === null
          ? null
          : [...(annual.get(symbol) ?? []), ...(snapshots.get(symbol) ?? [])]
              .filter((record) => record.availableAt <= request.asOfSession)
              .sort((a, b) => (a.availableAt < b.availableAt ? -1 : Number(a.availableAt > b.availableAt))),
      );
    },
    async instruments(request) {
      const instruments = await files.instruments();
      return answer(request, (symbol) => {
        const instrument = instruments.get(symbol);
        return instrument === undefined || instrument.firstSession > request.asOfSession ? null : instrument;
      });
    },
  };
}

/** Lazy readers, each file once. A failed read is forgotten, so that a repaired folder works at once. */
function createArchiveFiles(directory: string, provider: string) {
  const once = <Value>(load: () => Promise<Value>): (() => Promise<Value>) => {
    let value: Promise<Value> | undefined;
    return async () => {
      value ??= load();
      try {
        return await value;
      } catch (error) {
        value = undefined;
        if (error instanceof ProviderError) throw error;
        throw new TransientError(`archive ${directory}: ${String(error)}`, { provider, cause: error });
      }
    };
  };
  const manifest = once(() => readManifest(directory, provider));
  const load = async <Value>(
    name: string,
    empty: Value | null,
    read: (input: {
      readonly bytes: Uint8Array<ArrayBuffer>;
      readonly manifest: ArchiveManifest;
      readonly provider: string;
    }) => Value | Promise<Value>,
  ): Promise<Value> => {
    const content = await manifest();
    const bytes = await readArchiveFile({ directory, provider, manifest: content, name });
    if (bytes !== null) return read({ bytes, manifest: content, provider });
    if (empty === null)
      throw new ActionRequiredError(`the archive ${directory} has no ${name}`, { provider });
    return empty;
  };
  return {
    manifest,
    bars: once(() =>
      load<BarsFile>(ARCHIVE_FILES.bars, null, (input) =>
        decodeBarsFile({ bytes: input.bytes, priceScale: input.manifest.priceScale, provider }),
      ),
    ),
    instruments: once(() => load(ARCHIVE_FILES.instruments, null, readInstruments)),
    splits: once(() =>
      load<ReadonlyMap<string, readonly SplitAction[]>>(ARCHIVE_FILES.splits, new Map(), readSplits),
    ),
    dividends: once(() =>
      load<ReadonlyMap<string, readonly DividendAction[]>>(ARCHIVE_FILES.dividends, new Map(), readDividends),
    ),
    annual: once(() =>
      load(ARCHIVE_FILES.annual, new Map(), (input) => readFundamentals({ ...input, kind: 'annual' })),
    ),
    snapshots: once(() =>
      load(ARCHIVE_FILES.snapshots, new Map(), (input) => readFundamentals({ ...input, kind: 'snapshot' })),
    ),
  };
}
